"""The make engine: runs what is stale, as much at once as asked for.

The scheduler stays in this process: it looks up what is remembered, and hands what must run to
worker processes, so that tasks run side by side whatever they do.  With one job, pure tasks run in
this process, as nothing is gained by another.
"""

from __future__ import annotations

import queue
import time
from dataclasses import replace
from typing import Any

from baton.core.artifact import Artifact
from baton.core.events import one_at_a_time
from baton.core.execute import finish, look_up
from baton.core.outcome import RunReport, TaskReport
from baton.core.task import Task
from baton.engines.attempts import run_with_retries
from baton.engines.engine import EngineOptions
from baton.engines.lost_inputs import LostInputs
from baton.engines.pool import Pool
from baton.engines.readiness import may_start, why_not_run
from baton.execution import Execution

AnyTask = Task[..., Any]


class MakeEngine:
    """Runs stale tasks only, in parallel where the DAG allows."""

    name = "make"
    description = "this machine, only what is stale, in parallel (-j)"
    uses_cache = True
    effects_once = True

    def check(self) -> None:
        """Be always usable."""

    def run(self, execution: Execution, options: EngineOptions) -> RunReport:
        """Run what is stale.

        After a failure nothing more is started, except tasks that are ``last`` and, with
        ``keep_going``, tasks that do not depend on the failed one; what runs already is finished.
        """
        began = time.perf_counter()
        told = replace(execution, report=one_at_a_time(execution.report))
        with Pool(told) as pool:
            build = _Build(told, options, pool)
            build.run()
            tasks = tuple(build.reports[task.name] for task in execution.dag.order)
            ended = RunReport(execution.run_id, tasks, time.perf_counter() - began)
            return ended.tracked(pool.finish_tracking(good=ended.is_good))


class _Build:
    """One run: which tasks ended, which run now."""

    def __init__(self, execution: Execution, options: EngineOptions, pool: Pool) -> None:
        self.reports: dict[str, TaskReport] = {}
        self._execution = execution
        self._keep_going = options.keep_going
        self._jobs = options.jobs or 1
        self._pool = pool
        self._waiting: list[AnyTask] = list(execution.dag.order)
        self._running: set[str] = set()
        self._lost_inputs = LostInputs(execution)
        self._made: dict[str, Artifact] = {}
        self._ends: queue.SimpleQueue[TaskReport] = queue.SimpleQueue()

    def run(self) -> None:
        """Go on until every task has ended."""
        while self._waiting or self._running:
            if not self._start_something():
                self._take(self._ends.get())

    def _start_something(self) -> bool:
        """Start or end the first task that can be; say whether there was one."""
        if self._waiting and len(self._running) >= self._jobs:
            return False
        for task in self._waiting:
            if may_start(task, self._execution.dag, self.reports):
                self._waiting.remove(task)
                self._start(task)
                return True
        return False

    def _start(self, task: AnyTask) -> None:
        execution = self._execution
        run = execution.task_run
        reason = ""
        report = why_not_run(task, execution.dag, self.reports, keep_going=self._keep_going)
        if report is None:
            report, reason = look_up(task, self._made, run)
        if report is not None:
            self._pool.continue_tracking(report.tracking_run_id)
            self._take(report)
            return
        self._pool.expect_tracking(execution.dag)
        if self._jobs == 1 and not task.tracking:
            self._take(run_with_retries(task, self._made, run))
        else:
            self._running.add(task.name)
            self._pool.start(task, dict(self._made), reason, self._ends.put)

    def _take(self, report: TaskReport) -> None:
        """Take note of an end; where an input was corrupt, make it again first, each once."""
        self._running.discard(report.task)
        makers = self._lost_inputs.makers(report, self.reports)
        if makers:
            for maker in makers:
                del self.reports[maker.name]
            self._waiting = [*makers, self._execution.dag.task(report.task), *self._waiting]
            return
        self._made.update(report.outputs)
        self.reports[report.task] = finish(report, self._execution.task_run)
