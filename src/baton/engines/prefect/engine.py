"""The engine ``prefect``: the DAG as a Prefect flow, on a Prefect server or a temporary one."""

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
    "PREFECT_API_URL is not set: starting a temporary Prefect server takes 10 to 30 s; "
    "to keep one running: baton prefect up"
)


class PrefectEngine:
    """Runs every task as a Prefect task run, independent branches in parallel."""

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

        ``options.jobs`` limits the concurrent tasks; unless given, the limit is the number of CPUs, or
        what the Dask cluster supports.
        """
        prepare_environment(execution.project.home)
        check_task_runner(execution)
        url = chosen_api_url()
        if url and url != os.environ.get("PREFECT_API_URL"):
            require_server(url)  # it is from a profile, unknown until now
        from baton.engines.prefect.local import run_locally
        from baton.engines.prefect.server import temporary_server

        if url:
            return run_locally(execution, keep_going=options.keep_going, jobs=options.jobs)
        execution.report(RunNoted(TEMPORARY))
        with temporary_server(Path(os.environ["PREFECT_HOME"], "server.log")) as url:
            return run_locally(execution, keep_going=options.keep_going, jobs=options.jobs, api_url=url)


def check_task_runner(execution: Execution) -> None:
    """Check that the configured task runner can be used.

    Raises
    ------
    UsageError
        If a Dask scheduler is configured for another task runner.
    Unavailable
        If Dask is not installed, or its scheduler does not answer.
    """
    settings = execution.project.configuration.of_engine(PrefectSettings)
    if settings.task_runner != "dask":
        if settings.dask_address is not None:
            raise UsageError(
                f"dask_address is set, but task_runner is '{settings.task_runner}'",
                "use the cluster with: --task-runner dask; or unset the address with: "
                "baton config set dask_address none",
            )
        return
    from baton.engines.prefect.dask.availability import require_dask, require_scheduler

    require_dask()
    if settings.dask_address is not None:
        require_scheduler(settings.dask_address)
