"""The Airflow operators: each runs one step of an execution."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from airflow.sdk import Asset, BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from baton.core.events import TaskRetried
from baton.core.execute import describe, execute_task
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.core.task import AnyTask
from baton.engines.airflow import messages
from baton.engines.airflow.messages import Message
from baton.engines.airflow.part import Context, Part, line_of
from baton.engines.airflow.steps import Step
from baton.engines.attempts import TaskTimedOut, run_with_retries
from baton.engines.lost_inputs import LostInputs
from baton.engines.readiness import why_not_run
from baton.errors import BatonError, Unavailable
from baton.execution import Execution

RETURNED = "return_value"
_LOOK_AGAIN_AFTER_S = 10
"""Between looks whether an earlier run of the DAG has ended; each look is a short process of its own."""


class TrackingLink(BaseOperatorLink):
    """Leads from an Airflow task to the MLflow run that it records into."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  # Airflow's signature
        """Return the address that the operator found while it ran, or nothing."""
        return str(operator.tracking_page)


class StepOperator(BaseOperator):
    """Runs the tasks of one step.

    Parameters
    ----------
    step : Step
        What to run.
    part : Part
        How to find the execution.
    in_order : bool
        Whether it waits for the DAG's earlier runs, because it does something to the world.
    arguments : Any
        Airflow's own arguments.
    """

    def __init__(self, *, step: Step, part: Part, in_order: bool = False, **arguments: Any) -> None:
        super().__init__(task_id=step.name, **arguments)
        self.in_order = in_order
        self.step = step
        self.part = part
        self.tracking_page = ""

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the tasks, and return the message for the steps that follow.

        Raises
        ------
        AirflowSkipException
            If it was decided already that the step does not run.
        AirflowRescheduleException
            If an earlier run goes first.
        AirflowFailException
            If a task failed for good.
        AirflowException
            If a task failed and may be tried again.
        """
        skipped = self.part.why_not_run(self.step)
        if skipped:
            raise AirflowSkipException(skipped)
        if self.in_order and (earlier := self.part.earlier_run(context)):
            self.log.info("run %s goes first; looking again in %d s", earlier, _LOOK_AGAIN_AFTER_S)
            later = datetime.timedelta(seconds=_LOOK_AGAIN_AFTER_S)
            again_at = datetime.datetime.now(datetime.UTC) + later
            raise AirflowRescheduleException(again_at)  # type: ignore[no-untyped-call]  # Airflow's
        try:
            execution, told = self.join(context)
        except BatonError as error:
            raise self._refused(error, context) from None
        try:
            reports = self._run(execution, told, context["ti"])
        except KeyboardInterrupt:
            self.part.interrupted()
            raise
        return self._pass_on(execution, reports, context)

    def join(self, context: Context) -> tuple[Execution, Message]:
        """Return the execution, and what the steps before told."""
        execution = self.part.execution(context)
        told = hear(context["ti"], self.step.sources, execution)
        return self.part.in_tracking_run(execution, told, opens=self.step.opens_tracking), told

    def _run(self, execution: Execution, told: Message, ti: Any) -> tuple[TaskReport, ...]:
        """Make one attempt; retries are Airflow's."""
        (name,) = self.step.tasks
        task = execution.dag.task(name)
        report = _attempt(task, execution, told, ti.try_number)
        again: tuple[TaskReport, ...] = ()
        if report.failure is not None and report.failure.has_lost_input:
            reports = {one.task: one for one in hear(ti, self.step.before, execution).reports}
            report, again = self._again_if_lost(
                report,
                LostInputs(execution),
                execution,
                reports,
                lambda: _attempt(task, execution, Message(tuple(reports.values())), ti.try_number),
            )
        if report.failure is not None and not self._is_final(report.failure, execution, ti):
            delays_s = task.retry.delays_s
            delay_s = delays_s[min(ti.try_number, len(delays_s)) - 1]
            attempts = self._last_attempt(execution, ti)
            execution.report(TaskRetried(name, ti.try_number, attempts, delay_s, report.failure.message))
        else:
            self.part.ended(execution, report)
        return (*again, report)

    def _again_if_lost(
        self,
        report: TaskReport,
        lost_inputs: LostInputs,
        execution: Execution,
        reports: dict[str, TaskReport],
        attempt: Callable[[], TaskReport],
    ) -> tuple[TaskReport, tuple[TaskReport, ...]]:
        """Make the inputs again that a task found gone from the store, and try the task again.

        Returns
        -------
        report : TaskReport
            The task's last end.
        again : tuple of TaskReport
            The ends of the tasks that were run again.
        """
        again: list[TaskReport] = []
        while makers := lost_inputs.makers(report, reports):
            for maker in makers:
                retry = partial(_retried, maker, execution, reports)
                made, before = self._again_if_lost(retry(), lost_inputs, execution, reports, retry)
                reports[maker.name] = made
                self.part.ended(execution, made)
                again += [*before, made]
                if not made.outcome.is_good:
                    return report, tuple(again)
            report = attempt()
        return report, tuple(again)

    def _pass_on(
        self, execution: Execution, reports: tuple[TaskReport, ...], context: Context
    ) -> dict[str, Any]:
        content = messages.encode(Message(reports, execution.tracking_run_id), execution.project.store)
        failed = [report for report in reports if report.failure is not None]
        for report in failed:
            assert report.failure is not None
            if report.failure.traceback:
                self.log.error("%s", report.failure.traceback)
        if failed and failed[0].failure is not None:
            context["ti"].xcom_push(RETURNED, content)
            failure = failed[0].failure
            message = f"task '{failed[0].task}' failed: {_explained(failure.message, failure.hint)}"
            is_final = self._is_final(failure, execution, context["ti"])
            raise (AirflowFailException if is_final else AirflowException)(message)
        self._tell_assets(execution, reports, context)
        return content

    def _is_final(self, failure: Failure, execution: Execution, ti: Any) -> bool:
        return failure.is_final or ti.try_number >= self._last_attempt(execution, ti)

    def _last_attempt(self, execution: Execution, ti: Any) -> int:
        """Return the number of the last attempt that a task has which fails.

        Airflow may allow one more, for a process that is lost; and after a task was cleared the
        numbers go on from its last attempt.
        """
        (name,) = self.step.tasks
        spare = (self.retries or 0) - execution.dag.task(name).retry.retries
        return int(ti.max_tries) + 1 - spare

    def _refused(self, error: BatonError, context: Context) -> AirflowException:
        """Say that the execution cannot be joined; a service that does not answer may do so later."""
        is_final = not isinstance(error, Unavailable)
        failure = Failure(error.message, error.hint, is_final=is_final)
        reports = tuple(TaskReport(name, Outcome.FAILED, failure=failure) for name in self.step.tasks[:1])
        context["ti"].xcom_push(RETURNED, messages.encode_small(Message(reports)))
        words = _explained(error.message, error.hint)
        return AirflowFailException(words) if is_final else AirflowException(words)

    def _tell_assets(self, execution: Execution, reports: Iterable[TaskReport], context: Context) -> None:
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                digests = {name: made.digest for one in reports for name, made in one.outputs.items()}
                context["outlet_events"][outlet].extra = {
                    "run_id": execution.run_id,
                    "tracking_run_id": execution.tracking_run_id,
                    "digests": digests,
                }


class TrackedStepOperator(StepOperator):
    """Runs a step that records with the tracker."""

    operator_extra_links = (TrackingLink(),)

    def join(self, context: Context) -> tuple[Execution, Message]:
        """Return the execution, and what the steps before told; find the page of the tracking run."""
        execution, told = super().join(context)
        if execution.is_tracked and execution.tracking_run_id:
            self.tracking_page = execution.tracking_run.page
            self.log.info("MLflow run %s: %s", execution.tracking_run_id, self.tracking_page)
        return execution, told


class SeveralOperator(TrackedStepOperator):
    """Runs several tasks in one Airflow task, with their retries and timeouts.

    Airflow's own retries are for a process that was killed: a task that failed had its attempts.
    """

    def _run(self, execution: Execution, told: Message, ti: Any) -> tuple[TaskReport, ...]:  # noqa: ARG002
        reports = {report.task: report for report in told.reports}
        own: list[TaskReport] = []
        lost_inputs = LostInputs(execution)
        for name in self.step.tasks:
            task = execution.dag.task(name)
            report = why_not_run(task, execution.dag, reports, keep_going=False)
            retry = partial(_retried, task, execution, reports)
            report, again = self._again_if_lost(report or retry(), lost_inputs, execution, reports, retry)
            own += again
            reports[name] = report
            own.append(report)
            self.part.ended(execution, report)
        return tuple(own)

    def _is_final(self, _failure: Failure, _execution: Execution, _ti: Any) -> bool:
        return True


class WholeRunOperator(SeveralOperator):
    """Runs all tasks in one Airflow task, and closes the run."""

    def _run(self, execution: Execution, told: Message, ti: Any) -> tuple[TaskReport, ...]:
        reports = super()._run(execution, told, ti)
        said = Message(reports, execution.tracking_run_id)
        self.part.close(execution, said, dict.fromkeys(self.step.tasks, ""), ti.start_date)
        return reports


class StartOperator(TrackedStepOperator):
    """Makes the tracking run before tasks that record into it side by side."""

    def _run(self, _execution: Execution, _told: Message, _ti: Any) -> tuple[TaskReport, ...]:
        return ()


class FinishOperator(TrackedStepOperator):
    """Closes the run, and fails where a task failed, so that Airflow's run does too."""

    def execute(self, context: Any) -> dict[str, Any]:
        """Close the tracking run, write the record and the summary.

        Raises
        ------
        AirflowFailException
            If a task failed.
        """
        try:
            execution, told = self.join(context)
        except BatonError as error:
            raise self._refused(error, context) from None
        ti, dag_run = context["ti"], context["dag_run"]
        states = ti.get_task_states(dag_id=dag_run.dag_id, run_ids=[dag_run.run_id])
        began = dag_run.start_date or ti.start_date
        ended = self.part.close(execution, told, states.get(dag_run.run_id, {}), began)
        for report in ended.tasks:
            self.log.info("%s", line_of(report))
        if ended.is_good:
            return {"run_id": ended.run_id, "tracking_run_id": ended.tracking_run_id}
        bad = [report for report in ended.tasks if report.outcome is Outcome.FAILED]
        raise AirflowFailException(
            "; ".join(f"task '{one.task}' failed: {one.failure.message}" for one in bad if one.failure)
            or "the run did not finish"
        )


def hear(ti: Any, sources: Sequence[str], execution: Execution) -> Message:
    """Return what steps told through XComs; a step that told nothing is left out."""
    store = execution.project.store
    return messages.join(
        messages.decode(ti.xcom_pull(task_ids=one, map_indexes=-1), store) for one in sources
    )


def _attempt(task: AnyTask, execution: Execution, told: Message, attempt: int) -> TaskReport:
    made = told.artifacts
    missing = [name for name in task.inputs if name not in made]
    if missing:
        producer = execution.dag.producers[missing[0]].name
        failure = Failure(f"'{producer}' left no '{missing[0]}'", f"clear '{producer}' in Airflow")
        return TaskReport(task.name, Outcome.FAILED, failure=failure, attempts=attempt)
    try:
        return execute_task(task, made, execution.task_run, attempt=attempt)
    except AirflowTaskTimeout:
        failure = describe(TaskTimedOut(task.timeout_s or 0.0))
        return TaskReport(task.name, Outcome.FAILED, failure=failure, attempts=attempt)


def _retried(task: AnyTask, execution: Execution, reports: Mapping[str, TaskReport]) -> TaskReport:
    """Run a task with its own retries, on what was made so far."""
    return run_with_retries(task, Message(tuple(reports.values())).artifacts, execution.task_run)


def _explained(message: str, hint: str) -> str:
    return f"{message} (hint: {hint})" if hint else message
