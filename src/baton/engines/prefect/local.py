"""Run a flow in this process, as ``baton run`` does."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import httpx
from prefect.client.schemas import State
from prefect.exceptions import PrefectException, TerminationSignal
from prefect.settings import PREFECT_API_URL, temporary_settings

from baton.core.addresses import without_secrets
from baton.core.outcome import RunReport
from baton.engines.prefect.flow import flow_state, pipeline_flow, run_in_flow
from baton.engines.prefect.logs import logged_in_prefect, quiet_console, send_logs
from baton.engines.prefect.runner import Runner, open_runner
from baton.errors import Unavailable
from baton.runs.execution import Execution


def run_locally(execution: Execution, *, keep_going: bool, jobs: int | None, api_url: str = "") -> RunReport:
    """Run an execution as a flow and return how it ended.

    Parameters
    ----------
    execution : Execution
        What to run.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    jobs : int
        Maximum number of concurrent tasks; the number of CPUs unless given.
    api_url : str
        Address of Prefect's API; the configured one unless given.

    Raises
    ------
    Unavailable
        If Prefect's server fails.
    """
    ended: list[RunReport] = []
    raised: list[Exception] = []
    logged = replace(execution, report=logged_in_prefect(execution.report))
    opened: list[Runner] = []

    def run_pipeline() -> State[None]:
        try:
            ended.append(run_in_flow(logged, opened[0], keep_going=keep_going))
        except Exception as error:
            raised.append(error)  # Prefect puts it into a state
            raise
        return flow_state(logged, ended[0])

    with quiet_console(), temporary_settings({PREFECT_API_URL: api_url} if api_url else {}):
        try:
            with open_runner(logged, jobs) as runner:
                opened.append(runner)
                flow = pipeline_flow(run_pipeline, execution.dag, validate_parameters=False)
                state: Any = flow(return_state=True)
        except (httpx.HTTPError, PrefectException, RuntimeError) as error:
            raise _server_failed(error) from error
        except TerminationSignal:
            signal.raise_signal(signal.SIGTERM)  # Prefect consumed it; pass it on to the previous handler
            raise
        finally:
            send_logs()
    if raised and isinstance(raised[0], httpx.HTTPError | PrefectException):
        raise _server_failed(raised[0]) from raised[0]
    if raised:
        raise raised[0]
    if not ended:
        raise Unavailable(
            f"Prefect did not start the run: {state.name}: {state.message}", "see the flow run's page"
        )
    return ended[0]


def _server_failed(error: Exception) -> Unavailable:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return Unavailable(
        f"Prefect's server failed: {without_secrets(lines[0])[:300]}",
        "check the server, or unset PREFECT_API_URL; then resume the run",
    )
