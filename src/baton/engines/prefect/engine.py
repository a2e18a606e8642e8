"""The engine ``prefect``: the DAG as a Prefect flow, on a server or on Prefect's temporary one."""

from __future__ import annotations

import os
from pathlib import Path

from baton.core.events import RunNoted
from baton.core.outcome import RunReport
from baton.engines.engine import EngineOptions
from baton.engines.prefect.environment import (
    chosen_api_url,
    named_api_url,
    prepare_environment,
    require_prefect,
    require_server,
)
from baton.engines.prefect.settings import PrefectSettings
from baton.errors import UsageError
from baton.runs.execution import Execution

TEMPORARY = (
    "PREFECT_API_URL is not set: starting a temporary Prefect server, which takes 10 to 30 s; "
    "to keep one running: baton prefect up"
)


class PrefectEngine:
    """Runs every task as a Prefect task run, independent branches side by side."""

    name = "prefect"
    description = "a Prefect flow, here or as a deployment"
    uses_cache = True
    effects_once = False  # a flow run that was asked for has its effects

    def check(self) -> None:
        """Raise `Unavailable` if Prefect is not installed or its server does not answer."""
        require_prefect()
        if url := named_api_url():
            require_server(url)

    def run(self, execution: Execution, options: EngineOptions) -> RunReport:
        """Run the tasks in a flow run of this process.

        ``options.jobs`` limits how many run at once; unless given it is the number of processors, or
        what the Dask cluster can.
        """
        prepare_environment(execution.project.home)
        check_task_runner(execution)
        url = chosen_api_url()
        if url and url != os.environ.get("PREFECT_API_URL"):
            require_server(url)  # a profile names it, which nobody knew before
        from baton.engines.prefect.local import run_here
        from baton.engines.prefect.server import temporary_server

        if url:
            return run_here(execution, keep_going=options.keep_going, jobs=options.jobs)
        execution.report(RunNoted(TEMPORARY))
        with temporary_server(Path(os.environ["PREFECT_HOME"], "server.log")) as url:
            return run_here(execution, keep_going=options.keep_going, jobs=options.jobs, api_url=url)


def check_task_runner(execution: Execution) -> None:
    """Make sure that the task runner that the settings name can be used.

    Raises
    ------
    UsageError
        If the settings name a Dask scheduler for another task runner.
    Unavailable
        If Dask is not installed, or its scheduler does not answer.
    """
    settings = execution.project.configuration.of_engine(PrefectSettings)
    if settings.task_runner != "dask":
        if settings.dask_address is not None:
            raise UsageError(
                f"dask_address is set, and task_runner is '{settings.task_runner}'",
                "use the cluster with: --task-runner dask; or take the address out: "
                "baton config set dask_address none",
            )
        return
    from baton.engines.prefect.dask.availability import require_dask, require_scheduler

    require_dask()
    if settings.dask_address is not None:
        require_scheduler(settings.dask_address)
