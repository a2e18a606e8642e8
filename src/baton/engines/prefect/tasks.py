"""A task as a Prefect task: the same name, its retries and timeout handed to Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import Task as PrefectTask
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State, TaskRun
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from prefect.results import ResultRecord  # type: ignore[attr-defined]  # Prefect does not mark it exported
from prefect.states import Completed, Failed

from baton.core.artifact import Artifact
from baton.core.events import TaskRetried
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.core.task import Task
from baton.engines.attempts import TaskTimedOut
from baton.engines.prefect.workers import Workers
from baton.engines.worker import decode_report, encode_report

AnyTask = Task[..., Any]
AnyPrefectTask = PrefectTask[..., Any]


def as_prefect_task(task: AnyTask, workers: Workers) -> AnyPrefectTask:
    """Return the Prefect task that attempts `task`.

    It takes ``inputs``, references to the artifacts made so far, and ``not_run``, the report of a
    task that must not run.  It returns a state that holds the report.
    """

    def attempt(inputs: list[dict[str, Any]], not_run: Any = None) -> Any:
        if not_run is not None:
            return as_state(decode_report(not_run))
        made = {fields["name"]: Artifact.from_dict(fields) for fields in inputs}
        return as_state(workers.attempt(task, made, _attempt_number()))

    def may_retry(_task: AnyPrefectTask, task_run: TaskRun, state: State[Any]) -> bool:
        ended = state.data if isinstance(state.data, State) else state
        report = report_of(task, ended)
        if report.failure is None or report.failure.is_final:
            return False
        delay_s = task.retry.delays_s[task_run.run_count - 1]
        total = task.retry.retries + 1
        return workers.may_retry(
            TaskRetried(task.name, task_run.run_count, total, delay_s, report.failure.message)
        )

    return PrefectTask(
        attempt,
        name=task.name,
        task_run_name=task.name,
        description=task.description or None,
        retries=task.retry.retries,
        retry_delay_seconds=list(task.retry.delays_s),
        retry_condition_fn=may_retry,
        timeout_seconds=task.timeout_s,
        cache_policy=NO_CACHE,
        persist_result=False,
        log_prints=False,
    )


def as_state(report: TaskReport) -> State[Any]:
    """Return the Prefect state that shows how a task ended, with the report as its data.

    Prefect refuses to start what follows a cancelled task, so that one that did not run is shown as
    failed or completed, under the name of our outcome.
    """
    data = encode_report(report)
    match report.outcome:
        case Outcome.SUCCEEDED:
            return Completed(message=report.reason, data=data)
        case Outcome.CACHED:
            return Completed(name="Cached", message=report.reason, data=data)
        case Outcome.FAILED:
            return Failed(message=failure_text(report.failure), data=data)
        case Outcome.UPSTREAM_FAILED:
            return Failed(name="UpstreamFailed", message=report.reason, data=data)
        case Outcome.SKIPPED:
            return Completed(name="Skipped", message=report.reason, data=data)


def failure_text(failure: Failure | None) -> str:
    """Return a failure's message and hint as Prefect shows them."""
    if failure is None:
        return ""
    return f"{failure.message}\nhint: {failure.hint}" if failure.hint else failure.message


def end_of(task: AnyTask, future: PrefectFuture[Any]) -> TaskReport:
    """Return how a task ended, once Prefect is done with it."""
    future.wait()
    return report_of(task, future.state)


def report_of(task: AnyTask, state: State[Any]) -> TaskReport:
    """Return the report that a state holds, or one of what Prefect itself saw."""
    data = state.data.result if isinstance(state.data, ResultRecord) else state.data
    if isinstance(data, Mapping):
        return decode_report(data)
    if task.timeout_s is not None and (state.name == "TimedOut" or isinstance(data, TimeoutError)):
        error = TaskTimedOut(task.timeout_s)
        return TaskReport(
            task.name,
            Outcome.FAILED,
            duration_s=task.timeout_s,
            failure=Failure(error.message, error.hint),
            attempts=task.retry.retries + 1,
        )
    message = state.message or f"Prefect ended it as {state.name}"
    return TaskReport(task.name, Outcome.FAILED, failure=Failure(message, "look into Prefect's logs of it"))


def _attempt_number() -> int:
    context = TaskRunContext.get()
    return max(context.task_run.run_count, 1) if context is not None else 1
