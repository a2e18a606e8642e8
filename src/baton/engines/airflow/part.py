"""A step's part in an execution: finding the execution and reporting to it.

On a scheduler every step is a separate process, perhaps on another machine; in a local run all steps
share one process.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec

from baton.core.artifact import Artifact, Kind
from baton.core.dag import Dag
from baton.core.elements import Elements
from baton.core.execute import finish
from baton.core.outcome import Failure, Outcome, RunReport, TaskReport
from baton.core.task import AnyTask
from baton.engines.airflow.logs import logged_in_airflow
from baton.engines.airflow.parameters import options_from
from baton.engines.airflow.results import Results
from baton.engines.airflow.steps import Step
from baton.engines.engine import FORCE, USE_CACHE
from baton.engines.scheduling import why_not_run
from baton.errors import BatonError, UsageError
from baton.kinds.plain import Json
from baton.processes.lifecycle import leave_from_within
from baton.runs.alerts import send_alerts
from baton.runs.execution import Execution
from baton.runs.progress import Progress
from baton.runs.project import Project, find_pipeline, open_project
from baton.runs.records import RunRecord, write_run
from baton.runs.shared import SharedPart
from baton.runs.started_from import StartedFrom

ENGINE = "airflow"
_TAG = "baton.run_id"
_JSON = cast(type[Kind], Json)

Context = Mapping[str, Any]


class Part(Protocol):
    """What a step needs to take part in an execution."""

    def execution(self, context: Context, elements: Mapping[str, Artifact] | None = None) -> Execution:
        """Return the execution that the step belongs to, with the elements that earlier steps found."""

    def in_tracking_run(self, execution: Execution, received: Results, *, opens: bool) -> Execution:
        """Return the execution with its tracking run, which the step creates if it `opens` it."""

    def following(
        self, execution: Execution, name: str, context: Context
    ) -> AbstractContextManager[Execution]:
        """Return a context with the execution whose events are followed, for what other machines see."""

    def why_not_run(self, step: Step) -> str:
        """Return why the step is skipped, or an empty text."""

    def earlier_run(self, context: Context) -> str:
        """Return an earlier run of the DAG that is still in progress, or an empty text."""

    def user_code(self) -> AbstractContextManager[object]:
        """Return a context for calls of tasks that redirects their output."""

    def ended(self, execution: Execution, report: TaskReport) -> None:
        """Record how a task ended."""

    def interrupted(self) -> None:
        """Record that the user interrupted the run."""

    def close(
        self,
        execution: Execution,
        received: Results,
        states: Mapping[str, str],
        began: datetime.datetime,
        name: str,
    ) -> RunReport:
        """Close the tracking run and the record, and return how the tasks ended.

        Parameters
        ----------
        execution : Execution
            The execution.
        received : Results
            What all steps passed on.
        states : mapping of str to str
            Airflow's states of its tasks; empty if the steps passed on everything.
        began : datetime
            When Airflow started the run.
        name : str
            The run's name in Airflow.
        """


@dataclass(frozen=True)
class ScheduledPart:
    """A step started by a scheduler.

    Parameters
    ----------
    folder : Path
        The project's folder on this machine.
    options : mapping of str to Any
        Settings and parameters from the DAG's file.
    targets : tuple of str
        The targets of the DAG.
    steps : tuple of Step
        All steps of the DAG.
    others : frozenset of str
        The params that the DAG's file has added; they are not for the pipeline.
    """

    folder: Path
    options: Mapping[str, Any]
    targets: tuple[str, ...]
    steps: tuple[Step, ...]
    others: frozenset[str] = frozenset()

    def execution(self, context: Context, elements: Mapping[str, Artifact] | None = None) -> Execution:
        """Build the execution from the project's folder and the run in Airflow."""
        os.chdir(self.folder)  # paths in parameters are relative to it, as on the command line
        params = {name: value for name, value in context["params"].items() if name not in self.others}
        dag = find_pipeline(folder=self.folder, options=self.options)
        chosen = options_from(dag, params, context.get("data_interval_start"))
        project = open_project(folder=self.folder, options={**self.options, **chosen})
        if elements:
            found = {root: project.store.load(kept, _JSON) for root, kept in elements.items()}
            project = replace(project, known_elements=found)
        return execution_of(
            project,
            self.targets,
            run_id=run_id_of(context["dag_run"]),
            use_cache=bool(params.get(USE_CACHE, True)),
            forced=tuple(params.get(FORCE) or ()),
        )

    def in_tracking_run(self, execution: Execution, received: Results, *, opens: bool) -> Execution:
        """Find the tracking run from earlier steps, or by its tag if an earlier attempt created it."""
        if not execution.is_tracked or not (received.tracking_run_id or opens):
            return execution
        found = received.tracking_run_id or execution.tracker.find(_TAG, execution.run_id)
        return execution.in_tracking_run(found or execution.tracking_run.run_id)

    @contextmanager
    def following(self, execution: Execution, name: str, context: Context) -> Iterator[Execution]:
        """Write this step's part of the run's record into the store."""
        dag_run = context["dag_run"]
        # Git is asked once, by the step that closes the run.
        begun = RunRecord.begin(execution.task_run, execution.targets, StartedFrom())
        begun = begun.begun_at(dag_run.start_date or datetime.datetime.now(datetime.UTC))
        part = SharedPart(execution.project.store.objects, execution.run_id, name)
        with Progress(_known(begun, name_of(context["ti"])), None, part) as progress:
            yield replace(execution, report=progress.following(execution.report))

    def why_not_run(self, _step: Step) -> str:
        """Leave this to Airflow's trigger rules."""
        return ""

    def earlier_run(self, context: Context) -> str:
        """Ask Airflow; runs without a logical date have no order."""
        earlier = context["ti"].get_previous_dagrun(state="running")
        return str(earlier.run_id) if earlier is not None else ""

    def user_code(self) -> AbstractContextManager[object]:
        """Leave this to Airflow, which captures output in the task's log."""
        return nullcontext()

    def ended(self, execution: Execution, report: TaskReport) -> None:
        """Write to the task's log."""
        finish(report, execution.task_run)

    def interrupted(self) -> None:
        """Leave this to Airflow."""

    def close(
        self,
        execution: Execution,
        received: Results,
        states: Mapping[str, str],
        began: datetime.datetime,
        name: str,
    ) -> RunReport:
        """Combine the reports, close the tracking run and write the record."""
        reports = reports_of(execution.dag, self.steps, received, states, execution.project.elements)
        good = all(report.outcome.is_good or report.outcome is Outcome.SKIPPED for report in reports)
        tracking_run_id = received.tracking_run_id
        if execution.is_tracked:
            # A killed step could not pass on the run that it created.
            tracking_run_id = tracking_run_id or execution.tracker.find(_TAG, execution.run_id)
            if tracking_run_id:
                execution.tracker.resume(tracking_run_id).finish(good=good)
        duration_s = (datetime.datetime.now(datetime.UTC) - began).total_seconds()
        ended = RunReport(execution.run_id, reports, duration_s, tracking_run_id)
        begun = RunRecord.begin(execution.task_run, execution.targets, execution.started_from)
        record = _known(begun, name).begun_at(began).ended(ended)
        write_run(execution.project.home, record)
        with suppress(BatonError):  # the run has ended, whoever can see it
            SharedPart(execution.project.store.objects, execution.run_id).write(record)
        send_alerts(execution, ended)
        return ended


class LocalPart:
    """A step of a local run; all steps share the process and the execution.

    Parameters
    ----------
    execution : Execution
        The execution.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    user_code : callable
        Returns a context for calls of tasks.
    """

    def __init__(
        self,
        execution: Execution,
        *,
        keep_going: bool = False,
        user_code: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.reports: dict[str, TaskReport] = {}
        self.tracking_run_id = ""
        self._execution = execution
        self._keep_going = keep_going
        self._user_code = user_code
        self._began = time.perf_counter()

    def execution(self, _context: Context, _elements: Mapping[str, Artifact] | None = None) -> Execution:
        """Return the execution of this process."""
        return self._execution

    def in_tracking_run(self, execution: Execution, _received: Results, *, opens: bool) -> Execution:
        """Return the execution, which already has its tracking run."""
        if opens and execution.is_tracked:
            _ = execution.tracking_run.run_id
        return execution

    def following(
        self, execution: Execution, _name: str, _context: Context
    ) -> AbstractContextManager[Execution]:
        """Return the execution: the command that started the run follows it."""
        return nullcontext(execution)

    def why_not_run(self, step: Step) -> str:
        """Return why the step's task does not run, if that is already known."""
        known = [self.reports[name].reason for name in step.tasks if name in self.reports]
        return known[0] if known else ""

    def earlier_run(self, _context: Context) -> str:
        """Return an empty text: there is only one run."""
        return ""

    def user_code(self) -> AbstractContextManager[object]:
        """Return a context that shows the tasks' output to the user."""
        return self._user_code()

    def ended(self, _execution: Execution, report: TaskReport) -> None:
        """Report the end of a task, and of all tasks that can no longer run."""
        self._announce(report)
        dag = self._execution.dag
        for task in dag.order:
            known = all(up.name in self.reports for up in dag.upstream_of(task))
            if known and task.name not in self.reports:
                refused = why_not_run(task, dag, self.reports, keep_going=self._keep_going)
                if refused is not None:
                    self._announce(refused)

    def interrupted(self) -> None:
        """Exit the process: Airflow would continue with the next task."""
        leave_from_within(130)

    def close(
        self,
        execution: Execution,
        _received: Results,
        _states: Mapping[str, str],
        _began: datetime.datetime,
        _name: str,
    ) -> RunReport:
        """Close the tracking run; the command that started the run writes the record."""
        ended = self.complete()
        self.tracking_run_id = execution.finish_tracking(good=ended.is_good)
        return ended.tracked(self.tracking_run_id)

    def complete(self) -> RunReport:
        """Return how all tasks ended; Airflow leaves out tasks after a failed first one."""
        order = self._execution.dag.order
        known = [self.reports[task.name] for task in order if task.name in self.reports]
        first = {task.name for task in order if task.position == "first"}
        failed = next((end.task for end in known if end.task in first and not end.outcome.is_good), "")
        for task in order:
            if task.name not in self.reports:
                reason = f"'{failed}' failed" if failed else "Airflow did not start it"
                self._announce(TaskReport(task.name, Outcome.UPSTREAM_FAILED, reason=reason))
        tasks = tuple(self.reports[task.name] for task in order)
        return RunReport(self._execution.run_id, tasks, time.perf_counter() - self._began)

    def _announce(self, report: TaskReport) -> None:
        self.reports[report.task] = finish(report, self._execution.task_run)


def execution_of(
    project: Project, targets: tuple[str, ...], *, run_id: str, use_cache: bool, forced: tuple[str, ...]
) -> Execution:
    """Return the execution of a scheduler's run, the same in every process."""
    begun = Execution.begin(
        project, targets, ENGINE, use_cache=use_cache, forced=forced, report=logged_in_airflow
    )
    return replace(begun, run_id=run_id)


def name_of(ti: Any) -> str:
    """Return a run's name in Airflow, as an address of its pages contains it."""
    return f"{ti.dag_id}/{ti.run_id}"


def _known(record: RunRecord, name: str) -> RunRecord:
    """Return a record with the run's name in Airflow."""
    return msgspec.structs.replace(record, known_as={ENGINE: name})


def run_id_of(dag_run: Any) -> str:
    """Return our id of an Airflow run: the same in every process, and sorted by time like others."""
    digest = hashlib.sha256(f"{dag_run.dag_id}/{dag_run.run_id}".encode()).hexdigest()
    after = dag_run.run_after.astimezone(datetime.UTC)
    return f"{after:%Y%m%d-%H%M%S}-{digest[:6]}"


def reports_of(
    dag: Dag,
    steps: tuple[Step, ...],
    received: Results,
    states: Mapping[str, str],
    elements: Mapping[str, Elements],
) -> tuple[TaskReport, ...]:
    """Return how each task ended, including tasks without a passed report."""
    home = {name: step for step in steps for name in step.tasks}
    numbers = {root: dict(zip(names, range(len(names)), strict=True)) for root, names in elements.items()}
    known = {report.task: report for report in received.reports}
    reports: dict[str, TaskReport] = {}
    for task in dag.order:
        step = _step_of(task, home, dag)
        element = task.name.removeprefix(f"{task.copy_of}_")
        number = numbers[step.root].get(element, -1) if step.root else -1
        state = states.get(f"{step.name}_{number}", states.get(step.name))
        is_skipped = state == "skipped" and task.name in known and known[task.name].outcome is Outcome.SKIPPED
        if is_skipped or (task.name in known and state not in ("skipped", "upstream_failed")):
            reports[task.name] = known[task.name]
        elif state in ("failed", "success", "removed"):
            failure = Failure(
                f"its process ended without a report, Airflow's state is {state}", "see its log"
            )
            reports[task.name] = TaskReport(task.name, Outcome.FAILED, failure=failure)
        else:
            skipped = state == "skipped"
            reports[task.name] = why_not_run(task, dag, reports, keep_going=True) or TaskReport(
                task.name,
                Outcome.SKIPPED if skipped else Outcome.UPSTREAM_FAILED,
                reason="skipped in Airflow" if skipped else "a first task failed",
            )
    return tuple(reports.values())


def _step_of(task: AnyTask, home: Mapping[str, Step], dag: Dag) -> Step:
    """Return the step that runs a task."""
    step = home.get(task.copy_of or task.name)
    if step is None:  # the task brings the file of an element into the store
        return _step_of(dag.dependents[task.name][0], home, dag)
    return step


def refuse_relative(folder: Path) -> None:
    """Raise an error if the project's folder is relative: a scheduler's current folder varies."""
    if not folder.is_absolute():
        raise UsageError(f"the project's folder '{folder}' is relative", "use an absolute path")
