"""Which tasks may start, which must not, and which are retried: one rule for all engines.

A task starts once everything that must end before it has ended.  It does not run if an upstream task is not
good, or after any failure, unless it is ``last`` or the run keeps going.  If an input is missing from the
store or corrupt, the task that made it reruns first.
"""

from __future__ import annotations

import heapq
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

from baton.core.artifact import Artifact
from baton.core.dag import Dag
from baton.core.events import Event, Reporter, TaskRetried, TaskStarted
from baton.core.execute import TaskRun, execute_task, finish
from baton.core.outcome import Failure, Outcome, RunReport, TaskReport
from baton.core.task import AnyTask, Position
from baton.errors import BatonError
from baton.runs.execution import Execution

_RANKS: Mapping[Position | None, int] = {"first": 0, None: 1, "last": 2}

Start = Callable[[AnyTask, TaskReport | None], TaskReport | None]
"""Starts a task, or receives the report of one that must not run.

Returns the task's report if it has ended, or None if the schedule must wait for it.
"""


class Schedule:
    """Decides which task of an execution is next, and collects the reports.

    Parameters
    ----------
    execution : Execution
        The execution to run.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    reports : iterable of TaskReport
        Reports that are already known; an upstream task without a report counts as good.
    announce : callable, optional
        Receives each report; the execution's reporter unless given.
    """

    def __init__(
        self,
        execution: Execution,
        *,
        keep_going: bool = False,
        reports: Iterable[TaskReport] = (),
        announce: Callable[[TaskReport], object] | None = None,
    ) -> None:
        self.reports: dict[str, TaskReport] = {}
        self._execution = execution
        self._keep_going = keep_going
        self._announce = announce or (lambda report: finish(report, execution.task_run))
        self._began = time.perf_counter()
        self._waiting: dict[str, AnyTask] = {}
        self._blocked: dict[str, int] = {}
        """How many tasks that must end first are still open, by waiting task."""
        self._ready: list[tuple[int, int, str]] = []
        """A heap of rank, place and name of tasks that need not wait; some may be there twice."""
        self._place: dict[str, int] = {}
        self._first_place = 0
        self._open: Counter[int] = Counter()
        """How many tasks wait or run, by rank."""
        self._running: dict[str, AnyTask] = {}
        self._started: set[str] = set()
        self._made_again: Counter[str] = Counter()
        self._failures = 0
        self._made: dict[str, Artifact] = {}
        self.learn(reports)

    def learn(self, reports: Iterable[TaskReport]) -> None:
        """Take in reports of tasks that ended elsewhere, unless they are known."""
        for report in reports:
            if report.task not in self.reports:
                self._keep(report)

    def _keep(self, report: TaskReport) -> None:
        self.reports[report.task] = report
        self._made.update(report.outputs)
        self._failures += report.outcome is Outcome.FAILED

    @property
    def made(self) -> Mapping[str, Artifact]:
        """References to all outputs so far, by artifact name."""
        return self._made

    def inputs_of(self, task: AnyTask) -> dict[str, Artifact]:
        """Return what an attempt at a task must know of `made`: its inputs, all for an effect's context."""
        if task.effect and task.context is not None:
            return dict(self._made)
        return {name: self._made[name] for name in task.inputs if name in self._made}

    def run(
        self,
        tasks: Sequence[AnyTask],
        start: Start,
        wait: Callable[[], TaskReport | None] = lambda: None,
        *,
        jobs: int = 1,
    ) -> None:
        """Run until all given tasks have ended.

        Parameters
        ----------
        tasks : sequence of Task
            The tasks to run, in topological order; all others that they need have ended.
        start : callable
            See `Start`.
        wait : callable
            Returns the next report of a running task, or None after some time without one.
        jobs : int
            Maximum number of concurrent tasks.
        """
        self._add(tasks, range(len(self._place), len(self._place) + len(tasks)))
        while self._waiting or self._running:
            task = self._next() if len(self._running) < jobs else None
            if task is not None:
                self._running[task.name] = self._waiting.pop(task.name)
                refused = self._why_not_run(task)
                if refused is None:
                    self._started.add(task.name)
                report = start(task, refused)
            else:
                report = wait()
            if report is not None:
                self._end(report)

    def report(self) -> RunReport:
        """Return how the tasks ended, in topological order."""
        order = self._execution.dag.order
        tasks = tuple(self.reports[task.name] for task in order if task.name in self.reports)
        return RunReport(self._execution.run_id, tasks, time.perf_counter() - self._began)

    def _add(self, tasks: Sequence[AnyTask], places: Iterable[int]) -> None:
        """Let tasks wait, at places in the order of tasks that may start at once."""
        dag = self._execution.dag
        for task, place in zip(tasks, places, strict=True):
            self._waiting[task.name] = task
            self._place[task.name] = place
            self._open[_RANKS[task.position]] += 1
        for task in tasks:
            open_ones = [
                up for up in dag.upstream_of(task) if up.name in self._waiting or up.name in self._running
            ]
            self._blocked[task.name] = len(open_ones)
            self._ready_if_free(task)

    def _ready_if_free(self, task: AnyTask) -> None:
        if not self._blocked[task.name]:
            heapq.heappush(self._ready, (_RANKS[task.position], self._place[task.name], task.name))

    def _next(self) -> AnyTask | None:
        """Return the first task that need not wait for another task."""
        lowest = min((rank for rank, count in self._open.items() if count), default=0)
        while self._ready:
            rank, _, name = self._ready[0]
            is_stale = name not in self._waiting or self._blocked[name] > 0
            if not is_stale and rank > lowest:
                return None
            heapq.heappop(self._ready)
            if not is_stale:
                return self._waiting[name]
        return None

    def _why_not_run(self, task: AnyTask) -> TaskReport | None:
        # A started task gets its retries, whatever has failed since.
        keep_going = self._keep_going or task.name in self._started
        dag, failed = self._execution.dag, self._failures > 0
        return why_not_run(task, dag, self.reports, keep_going=keep_going, failed=failed)

    def _end(self, report: TaskReport) -> None:
        """Record a report; if an input was lost, schedule its maker to rerun first."""
        task = self._running.pop(report.task)
        dag = self._execution.dag
        self._open[_RANKS[task.position]] -= 1
        makers = self._makers(task, report)
        if makers:
            for maker in makers:
                self._started.add(maker.name)
                for name in self.reports.pop(maker.name).outputs:
                    del self._made[name]
                for dependent in dag.dependents[maker.name]:
                    if dependent.name in self._waiting:
                        self._blocked[dependent.name] += 1
            again = (*makers, task)
            self._first_place -= len(again)
            self._add(again, range(self._first_place, self._first_place + len(again)))
            return
        self._keep(report)
        for dependent in dag.dependents[task.name]:
            if dependent.name in self._waiting:
                self._blocked[dependent.name] -= 1
                self._ready_if_free(dependent)
        self._announce(report)

    def _makers(self, task: AnyTask, report: TaskReport) -> tuple[AnyTask, ...]:
        """Return what must rerun before a task is retried; empty if that would not help.

        A task gets one extra attempt per input, because each input may be found lost once.
        """
        if report.failure is None or not report.failure.has_lost_input:
            return ()
        if self._made_again[task.name] >= len(task.inputs):
            return ()
        self._made_again[task.name] += 1
        has = self._execution.project.store.has
        return tuple(
            maker
            for maker in self._execution.dag.upstream_of(task)
            if maker.name in self.reports
            and any(not has(made) for made in self.reports[maker.name].outputs.values())
        )


def why_not_run(
    task: AnyTask,
    dag: Dag,
    reports: Mapping[str, TaskReport],
    *,
    keep_going: bool,
    failed: bool | None = None,
) -> TaskReport | None:
    """Return the report of a task that must not run, or None if it may run.

    Parameters
    ----------
    task : Task
        A task whose upstream tasks have all ended.
    dag : Dag
        The DAG of the run.
    reports : mapping of str to TaskReport
        The reports so far, by task; an upstream task without a report counts as good.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    failed : bool, optional
        Whether any task has failed; looked up in `reports` unless given.
    """
    upstream = [reports[up.name] for up in dag.upstream_of(task) if up.name in reports]
    bad = [report for report in upstream if not report.outcome.is_good]
    if bad:
        reason = f"'{bad[0].task}' {bad[0].outcome.value}"
        only_skipped = all(report.outcome is Outcome.SKIPPED for report in bad)
        outcome = Outcome.SKIPPED if only_skipped else Outcome.UPSTREAM_FAILED
        return TaskReport(task.name, outcome, reason=reason)
    if failed is None:
        failed = any(report.outcome is Outcome.FAILED for report in reports.values())
    if failed and not keep_going and task.position != "last":
        return TaskReport(task.name, Outcome.SKIPPED, reason="an earlier task failed")
    return None


def artifacts_of(reports: Iterable[TaskReport]) -> dict[str, Artifact]:
    """Return references to all outputs of tasks, by artifact name."""
    return {name: made for report in reports for name, made in report.outputs.items()}


class TaskTimedOut(BatonError):
    """An attempt that took longer than its task allows."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(
            f"it exceeded its timeout of {timeout_s:g} s", "increase timeout_s, or find out why it is slow"
        )


def with_retries(task: AnyTask, attempt: Callable[[int], TaskReport], report: Reporter) -> TaskReport:
    """Make numbered attempts until one succeeds or none is left; return the last report."""
    delays_s = (*task.retry.delays_s, None)
    for number, delay_s in enumerate(delays_s, start=1):
        ended = attempt(number)
        if ended.failure is None or ended.failure.is_final or delay_s is None:
            break
        report(TaskRetried(task.name, number, len(delays_s), delay_s, ended.failure.message))
        time.sleep(delay_s)
    return ended


def run_with_retries(task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun) -> TaskReport:
    """Run a task in this process, with retries and timeout; return the last report."""
    return with_retries(task, lambda number: attempt_in_time(task, inputs, run, number), run.report)


def attempt_in_time(
    task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun, attempt: int = 1
) -> TaskReport:
    """Make one attempt at a task in this process, within its timeout."""
    if task.timeout_s is None:
        return execute_task(task, inputs, run, attempt=attempt)
    with _Alarm(task.timeout_s) as alarm:

        def report_and_count(event: Event) -> None:
            run.report(event)
            if isinstance(event, TaskStarted):  # no longer waiting for another run's lock
                alarm.start()

        report = execute_task(task, inputs, replace(run, report=report_and_count), attempt=attempt)
    if alarm.is_late and report.outcome is Outcome.SUCCEEDED:
        error = TaskTimedOut(task.timeout_s)
        return replace(report, outcome=Outcome.FAILED, outputs={}, failure=Failure(error.message, error.hint))
    return report


class _Alarm:
    """Raises `TaskTimedOut` in the running code, some time after it was started.

    Works in the main thread on POSIX systems; elsewhere the caller checks afterwards.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._began: float | None = None
        self._previous: Any = None
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._can_ring = hasattr(signal, "setitimer") and in_main_thread

    @property
    def is_late(self) -> bool:
        return self._began is not None and time.perf_counter() - self._began > self._timeout_s

    def start(self) -> None:
        self._began = time.perf_counter()
        if self._can_ring:
            signal.setitimer(signal.ITIMER_REAL, self._timeout_s)

    def __enter__(self) -> _Alarm:
        if self._can_ring:
            self._previous = signal.signal(signal.SIGALRM, self._ring)
        return self

    def __exit__(self, *_: object) -> None:
        if self._can_ring:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._previous)

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        raise TaskTimedOut(self._timeout_s)
