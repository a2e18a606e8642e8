"""The Airflow operators: each runs one step of an execution."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from airflow.sdk import Asset, BaseOperator, BaseOperatorLink

from baton.core.artifact import Artifact, Kind
from baton.core.events import TaskRetried
from baton.core.execute import describe, execute_task
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.core.task import AnyTask
from baton.engines.airflow.logs import report_line
from baton.engines.airflow.part import Context, Part, name_of
from baton.engines.airflow.results import Results, from_xcom, merge, to_long_xcom, to_xcom
from baton.engines.airflow.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from baton.engines.airflow.steps import Step
from baton.engines.scheduling import Schedule, TaskTimedOut, run_with_retries
from baton.errors import BatonError, Unavailable
from baton.kinds.plain import Json
from baton.runs.execution import Execution

RETURNED = "return_value"
ELEMENTS = "elements"
"""Key of the XCom with a reference to the elements of a task."""
_JSON = cast(type[Kind], Json)
_LOOK_AGAIN_AFTER_S = 10
"""Interval for checking whether an earlier run has ended; each check is a short process."""


class TrackingLink(BaseOperatorLink):
    """Links an Airflow task to its MLflow run."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  # Airflow's signature
        """Return the address that the operator stored, or nothing."""
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
        Whether it waits for earlier runs of the DAG, because it has side effects.
    element : str
        Name of the element that a mapped step runs for.
    arguments : Any
        Airflow's own arguments.
    """

    keeps_going = True
    """Whether tasks that do not depend on a failed one still run: Airflow decides step by step."""

    def __init__(
        self, *, step: Step, part: Part, in_order: bool = False, element: str = "", **arguments: Any
    ) -> None:
        super().__init__(**{"task_id": step.name, **arguments})
        self.element = element
        self.in_order = in_order
        self.step = step
        self.part = part
        self.tracking_page = ""

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the tasks, and return what later steps receive.

        Raises
        ------
        AirflowSkipException
            If the step must not run, or all its tasks are skipped.
        AirflowRescheduleException
            If an earlier run must finish first.
        AirflowFailException
            If a task failed permanently.
        AirflowException
            If a task failed and can be retried.
        """
        skipped = self.part.why_not_run(self.step)
        if skipped:
            raise AirflowSkipException(skipped)
        if self.in_order and (earlier := self.part.earlier_run(context)):
            self.log.info("waiting for run %s; checking again in %d s", earlier, _LOOK_AGAIN_AFTER_S)
            later = datetime.timedelta(seconds=_LOOK_AGAIN_AFTER_S)
            again_at = datetime.datetime.now(datetime.UTC) + later
            raise AirflowRescheduleException(again_at)  # type: ignore[no-untyped-call]  # Airflow's
        try:
            execution, received = self.join(context)
        except BatonError as error:
            raise self._refused(error, context) from None
        ti = context["ti"]
        mapped = f"-{ti.map_index}" if ti.map_index >= 0 else ""
        part = f"{self.step.name}{mapped}-{ti.try_number:03d}"
        try:
            with self.part.following(execution, part, context) as followed, self.part.user_code():
                reports = self._run(followed, received, ti)
        except KeyboardInterrupt:
            self.part.interrupted()
            raise
        return self._pass_on(execution, reports, context)

    def join(self, context: Context) -> tuple[Execution, Results]:
        """Return the execution, and what earlier steps passed on."""
        execution = self.part.execution(context, found_elements(context["ti"], self.step))
        received = receive(context["ti"], self.step, self.step.sources, execution)
        return self.part.in_tracking_run(execution, received, opens=self.step.opens_tracking), received

    def _run(self, execution: Execution, received: Results, ti: Any) -> tuple[TaskReport, ...]:
        """Run the tasks, and rerun the producers of lost inputs; return all reports, in order."""
        ended: list[TaskReport] = []

        def announce(report: TaskReport) -> None:
            ended.append(report)
            self._announce(execution, report, ti)

        schedule = Schedule(
            execution, keep_going=self.keeps_going, reports=received.reports, announce=announce
        )

        def start(task: AnyTask, refused: TaskReport | None) -> TaskReport:
            report = refused or self._attempt(execution, task, schedule.made, ti)
            if report.failure is not None and report.failure.has_lost_input:
                schedule.learn(receive(ti, self.step, self.step.before, execution).reports)
            return report

        schedule.run(self._tasks(execution), start)
        return tuple(ended)

    def _tasks(self, execution: Execution) -> list[AnyTask]:
        """Return what the step runs: the copies for its element or for all, and what reads their files."""
        dag, declared = execution.dag, execution.project.declared
        if self.element:
            own = [dag.task(f"{name}_{self.element}") for name in self.step.tasks]
        else:
            own = [one for name in self.step.tasks for one in dag.copies.get(name, ()) or (dag.task(name),)]
        files = [
            up
            for one in own
            for up in dag.upstream_of(one)
            if up.external and up.name not in declared.producers
        ]
        return [*files, *own]

    def _attempt(
        self, execution: Execution, task: AnyTask, made: Mapping[str, Artifact], ti: Any
    ) -> TaskReport:
        """Make one attempt at the step's task, which Airflow retries; run other tasks with retries."""
        if not self._is_own(task):
            return run_with_retries(task, made, execution.task_run)
        number = ti.try_number
        missing = [name for name in task.inputs if name not in made]
        if missing:
            producer = execution.dag.producers[missing[0]].name
            failure = Failure(f"'{producer}' did not make '{missing[0]}'", f"clear '{producer}' in Airflow")
            return TaskReport(task.name, Outcome.FAILED, failure=failure, attempts=number)
        try:
            return execute_task(task, made, execution.task_run, attempt=number)
        except AirflowTaskTimeout:
            failure = describe(TaskTimedOut(task.timeout_s or 0.0))
            return TaskReport(task.name, Outcome.FAILED, failure=failure, attempts=number)

    def _is_own(self, task: AnyTask) -> bool:
        return (task.copy_of or task.name) in self.step.tasks

    def _announce(self, execution: Execution, report: TaskReport, ti: Any) -> None:
        """Report how a task ended, or that the step's own task will be retried."""
        failure = report.failure
        is_own = self._is_own(execution.dag.task(report.task))
        if failure is None or not is_own or self._is_final(failure, execution, ti):
            self.part.ended(execution, report)
            return
        delays_s = execution.dag.task(report.task).retry.delays_s
        delay_s = delays_s[min(ti.try_number, len(delays_s)) - 1]
        attempts = self._last_attempt(execution, ti)
        execution.report(TaskRetried(report.task, ti.try_number, attempts, delay_s, failure.message))

    def _pass_on(
        self, execution: Execution, reports: tuple[TaskReport, ...], context: Context
    ) -> dict[str, Any]:
        content = to_xcom(Results(reports, execution.tracking_run_id), execution.project.store)
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
        stopped = [report for report in reports if report.outcome is Outcome.UPSTREAM_FAILED]
        if stopped:  # a mapped step starts whatever the outcome of the other elements
            context["ti"].xcom_push(RETURNED, content)
            raise AirflowFailException(f"task '{stopped[0].task}' did not run: {stopped[0].reason}")
        skipped = [report for report in reports if report.outcome is Outcome.SKIPPED]
        if skipped and len(skipped) == len(reports):
            context["ti"].xcom_push(RETURNED, content)
            raise AirflowSkipException(skipped[0].reason)
        self._update_assets(execution, reports, context)
        return content

    def _is_final(self, failure: Failure, execution: Execution, ti: Any) -> bool:
        return failure.is_final or ti.try_number >= self._last_attempt(execution, ti)

    def _last_attempt(self, execution: Execution, ti: Any) -> int:
        """Return the number of the last attempt of a failing task.

        Airflow may allow one more, for a lost process; after a task was cleared, the numbers continue from
        its last attempt.
        """
        (name,) = self.step.tasks
        spare = (self.retries or 0) - execution.project.declared.task(name).retry.retries
        return int(ti.max_tries) + 1 - spare

    def _refused(self, error: BatonError, context: Context) -> AirflowException:
        """Return the error for an execution that cannot be joined; retry if a service may recover."""
        is_final = not isinstance(error, Unavailable)
        failure = Failure(error.message, error.hint, is_final=is_final)
        reports = tuple(TaskReport(name, Outcome.FAILED, failure=failure) for name in self.step.tasks[:1])
        context["ti"].xcom_push(RETURNED, to_long_xcom(Results(reports)))
        words = _explained(error.message, error.hint)
        return AirflowFailException(words) if is_final else AirflowException(words)

    def _update_assets(self, execution: Execution, reports: Iterable[TaskReport], context: Context) -> None:
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                digests = {name: made.digest for one in reports for name, made in one.outputs.items()}
                context["outlet_events"][outlet].extra = {
                    "run_id": execution.run_id,
                    "tracking_run_id": execution.tracking_run_id,
                    "digests": digests,
                    "facts": {label: value for one in reports for label, value in one.facts},
                }


class TrackedStepOperator(StepOperator):
    """Runs a step that records with the tracker."""

    operator_extra_links = (TrackingLink(),)

    def join(self, context: Context) -> tuple[Execution, Results]:
        """Return the execution, and what earlier steps passed on; store the tracking run's page."""
        execution, received = super().join(context)
        if execution.is_tracked and execution.tracking_run_id:
            self.tracking_page = execution.tracking_run.page
            self.log.info("MLflow run %s: %s", execution.tracking_run_id, self.tracking_page)
        return execution, received


class SeveralOperator(TrackedStepOperator):
    """Runs several tasks in one Airflow task, with their retries and timeouts.

    Airflow's retries only cover a killed process: failed tasks have used their attempts.
    """

    keeps_going = False

    def _attempt(
        self, execution: Execution, task: AnyTask, made: Mapping[str, Artifact], _ti: Any
    ) -> TaskReport:
        return run_with_retries(task, made, execution.task_run)

    def _is_final(self, _failure: Failure, _execution: Execution, _ti: Any) -> bool:
        return True


class WholeRunOperator(SeveralOperator):
    """Runs all tasks in one Airflow task, and closes the run."""

    def _run(self, execution: Execution, received: Results, ti: Any) -> tuple[TaskReport, ...]:
        reports = super()._run(execution, received, ti)
        everything = Results(reports, execution.tracking_run_id)
        states = dict.fromkeys(self.step.tasks, "")
        self.part.close(execution, everything, states, ti.start_date, name_of(ti))
        return reports


class ElementsOperator(StepOperator):
    """Finds the elements of a task, once for all steps of the run."""

    def execute(self, context: Any) -> Any:
        """Return the names of the elements, for which Airflow maps; their values go into the store."""
        try:
            execution = self.part.execution(context)
            found = execution.project.elements[self.step.finds]
        except BatonError as error:
            raise self._refused(error, context) from None
        kept = execution.project.store.save("elements", _JSON, found)
        context["ti"].xcom_push(ELEMENTS, kept.as_dict())
        return list(found)


class StartOperator(TrackedStepOperator):
    """Creates the tracking run before tasks that record in parallel."""


class FinishOperator(TrackedStepOperator):
    """Closes the run, and fails if a task failed, so that Airflow's run fails, too."""

    def execute(self, context: Any) -> dict[str, Any]:
        """Close the tracking run, write the record and the summary.

        Raises
        ------
        AirflowFailException
            If a task failed.
        """
        try:
            execution, received = self.join(context)
        except BatonError as error:
            raise self._refused(error, context) from None
        ti, dag_run = context["ti"], context["dag_run"]
        states = ti.get_task_states(dag_id=dag_run.dag_id, run_ids=[dag_run.run_id])
        began = dag_run.start_date or ti.start_date
        ended = self.part.close(execution, received, states.get(dag_run.run_id, {}), began, name_of(ti))
        for report in ended.tasks:
            self.log.info("%s", report_line(report))
        if ended.is_good:
            return {"run_id": ended.run_id, "tracking_run_id": ended.tracking_run_id}
        bad = [report for report in ended.tasks if report.outcome is Outcome.FAILED]
        raise AirflowFailException(
            "; ".join(f"task '{one.task}' failed: {one.failure.message}" for one in bad if one.failure)
            or "the run did not finish"
        )


def found_elements(ti: Any, step: Step) -> dict[str, Artifact]:
    """Return references to the elements that the steps before found, by task; empty if any is lacking."""
    found = {
        root: ti.xcom_pull(task_ids=finder, key=ELEMENTS, map_indexes=-1)
        for root, finder in step.finders.items()
    }
    if None in found.values():
        return {}
    return {root: Artifact.from_dict(fields) for root, fields in found.items()}


def receive(ti: Any, step: Step, sources: Sequence[str], execution: Execution) -> Results:
    """Return what steps passed on to a step through XComs; steps without one are left out."""
    store = execution.project.store
    passed: list[Any] = []
    for one in sources:
        root = step.mapped.get(one, "")
        if root and root != step.root:
            passed += ti.xcom_pull(task_ids=[one]) or []
        else:
            passed.append(ti.xcom_pull(task_ids=one, map_indexes=ti.map_index if root else -1))
    return merge(from_xcom(content, store) for content in passed)


def _explained(message: str, hint: str) -> str:
    return f"{message} (hint: {hint})" if hint else message
