"""A task as a Prefect task with the same name, whose retries and timeout are left to Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prefect import Task as PrefectTask
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State, TaskRun
from prefect.client.schemas.objects import StateDetails
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from prefect.results import ResultRecord  # type: ignore[attr-defined]  # Prefect does not mark it exported
from prefect.states import Completed, Failed

from baton.core.artifact import Artifact
from baton.core.events import TaskRetried
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.core.task import AnyTask
from baton.engines.protocol import Attempt, decode_report, encode_report
from baton.engines.scheduling import TaskTimedOut

AnyPrefectTask = PrefectTask[..., Any]


class Attempts(Protocol):
    """Attempts tasks, from the process in which Prefect runs a task."""

    def attempt(self, request: Attempt, *, is_tracked: bool) -> TaskReport:
        """Make one attempt at a task; the report includes any error."""

    def may_retry(self, retried: TaskRetried) -> bool:
        """Whether another attempt is still wanted; if so, report it."""


@dataclass(frozen=True, slots=True)
class DeclaredTask:
    """What Prefect must know of a task, for processes that have not loaded the pipeline.

    Parameters
    ----------
    name, description : str
        The task's own.
    delays_s : tuple of float
        Seconds before each retry.
    timeout_s : float, optional
        Time limit of an attempt in seconds.
    is_tracked : bool
        Whether it takes the tracking run.
    """

    name: str
    description: str
    delays_s: tuple[float, ...]
    timeout_s: float | None
    is_tracked: bool

    @classmethod
    def of(cls, task: AnyTask) -> DeclaredTask:
        """Return the declaration of a task."""
        return cls(
            task.name, task.description, tuple(task.retry.delays_s), task.timeout_s, task.tracking is not None
        )


@dataclass(frozen=True)
class _Function:
    """The function of a Prefect task, which can be sent to the process that runs it."""

    task: DeclaredTask
    attempts: Attempts

    def __call__(self, inputs: list[dict[str, Any]], not_run: Any = None, tracking_run_id: str = "") -> Any:
        if not_run is not None:
            return to_state(decode_report(not_run))
        request = Attempt(
            task=self.task.name,
            inputs=tuple(Artifact.from_dict(fields) for fields in inputs),
            number=_attempt_number(),
            tracking_run_id=tracking_run_id,
        )
        return to_state(self.attempts.attempt(request, is_tracked=self.task.is_tracked))


def may_retry(prefect_task: AnyPrefectTask, task_run: TaskRun, state: State[Any]) -> bool:
    """Return whether Prefect should retry a task; Prefect accepts only plain functions."""
    function = prefect_task.fn
    assert isinstance(function, _Function)
    task = function.task
    report = from_state(task, state.data if isinstance(state.data, State) else state)
    if report.failure is None or report.failure.is_final:
        return False
    delay_s = task.delays_s[task_run.run_count - 1]
    total = len(task.delays_s) + 1
    return function.attempts.may_retry(
        TaskRetried(task.name, task_run.run_count, total, delay_s, report.failure.message)
    )


def as_prefect_task(task: DeclaredTask, attempts: Attempts) -> AnyPrefectTask:
    """Return the Prefect task that attempts `task`.

    Its arguments are ``inputs``, references to artifacts made so far, ``not_run``, the report of a task
    that must not run, and the tracking run's id, if known.  It returns a state that holds the report.
    """
    return PrefectTask(
        _Function(task, attempts),
        name=task.name,
        task_run_name=task.name,
        description=task.description or None,
        retries=len(task.delays_s),
        retry_delay_seconds=list(task.delays_s),
        retry_condition_fn=may_retry,
        timeout_seconds=task.timeout_s,
        cache_policy=NO_CACHE,
        persist_result=False,
        log_prints=False,
    )


def to_state(report: TaskReport) -> State[Any]:
    """Return the Prefect state for a report, with the report as its data.

    Prefect refuses to start what follows a cancelled task, so a task that did not run is shown as failed or
    completed, with our outcome as the state's name.
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
    """Return a failure's message and hint for Prefect."""
    if failure is None:
        return ""
    return f"{failure.message}\nhint: {failure.hint}" if failure.hint else failure.message


def ended_upstream(future: PrefectFuture[Any]) -> State[Any]:
    """Return a state to wait for, of a task that has ended: it only draws the dependency."""
    return Completed(data=True, state_details=StateDetails(task_run_id=future.task_run_id))


def from_state(task: DeclaredTask, state: State[Any]) -> TaskReport:
    """Return the report in a state, or one of what Prefect itself reported."""
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
            attempts=len(task.delays_s) + 1,
        )
    message = state.message or f"Prefect ended it as {state.name}"
    return TaskReport(task.name, Outcome.FAILED, failure=Failure(message, "see its logs in Prefect"))


def lost(task: str, message: str, number: int, hint: str = "") -> TaskReport:
    """Return the report of an attempt that did not finish."""
    return TaskReport(task, Outcome.FAILED, failure=Failure(message, hint), attempts=number)


def _attempt_number() -> int:
    context = TaskRunContext.get()
    return max(context.task_run.run_count, 1) if context is not None else 1
