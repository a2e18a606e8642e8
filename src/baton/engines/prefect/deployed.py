"""The flow of a deployment: a project's pipeline, with a form for its parameters.

A deployment's entry point is a two-line file written by ``baton prefect deploy``::

    from baton.engines.prefect.deployed import deployed_flow

    flow = deployed_flow("/srv/taxi")
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.schemas import State
from prefect.runtime import flow_run
from prefect.states import Failed

from baton.core.events import ignore_events
from baton.core.outcome import RunReport
from baton.engines.engine import FORCE, USE_CACHE
from baton.engines.prefect.engine import PrefectEngine, check_task_runner
from baton.engines.prefect.flow import flow_state, pipeline_flow, run_in_flow
from baton.engines.prefect.form import chosen_options, form_docstring, form_signature
from baton.engines.prefect.logs import logged_in_prefect
from baton.engines.prefect.runner import open_runner
from baton.errors import BatonError
from baton.runs.alerts import send_alerts
from baton.runs.execution import Execution, record_run
from baton.runs.project import Project, named, open_project


def deployed_flow(
    folder: str | Path,
    *,
    targets: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    lag: int | None = None,
    jobs: int | None = None,
) -> Flow[..., Any]:
    """Return the flow that runs a project's pipeline.

    Parameters
    ----------
    folder : str or Path
        The project's folder on the machine where the flow runs.
    targets : sequence of str
        Groups or tasks; the pipeline's default target if there are none.
    options : mapping, optional
        Settings and parameters by short name, which override the file and the environment.
    lag : int, optional
        For pipelines with a period: how many periods a run without one lies before its scheduled time;
        the pipeline's own value unless given.
    jobs : int, optional
        Maximum number of concurrent tasks; by default the number of CPUs, or what the Dask cluster supports.
    """
    fixed = named(options)
    project = open_project(folder=Path(folder), options=fixed)

    def run_deployed(**chosen: Any) -> State[Any]:
        try:
            given = {**fixed, **options_of_run(project, chosen, lag)}
            execution = Execution.begin(
                open_project(folder=Path(folder), options=given),
                targets,
                PrefectEngine.name,
                use_cache=bool(chosen.get(USE_CACHE, True)),
                forced=chosen.get(FORCE) or (),
                report=logged_in_prefect(ignore_events),
            )
            execution.check()
            check_task_runner(execution)
            report = record_run(execution, lambda followed: _run_in_flow(followed, jobs))
            send_alerts(execution, report)
        except BatonError as error:
            return Failed(message=f"{error.message}\nhint: {error.hint}" if error.hint else error.message)
        return flow_state(execution, report)

    run_deployed.__signature__ = form_signature(project)  # type: ignore[attr-defined]  # read by inspect
    run_deployed.__doc__ = form_docstring(project)
    return pipeline_flow(run_deployed, project.declared)


def _run_in_flow(execution: Execution, jobs: int | None) -> RunReport:
    with open_runner(execution, jobs) as runner:
        return run_in_flow(execution, runner, keep_going=False)


def options_of_run(project: Project, chosen: Mapping[str, Any], lag: int | None) -> dict[str, Any]:
    """Return the chosen parameters, completed by the period that the scheduled time implies.

    Raises
    ------
    UsageError
        If only part of the period is given.
    """
    given = chosen_options(chosen)
    period = project.declared.period
    if period is None:
        return given
    moment = flow_run.scheduled_start_time or datetime.datetime.now(datetime.UTC)
    return given | period.completed(given, period.before(moment, lag))
