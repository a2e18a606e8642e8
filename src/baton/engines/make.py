"""The make engine: runs only what is stale, in parallel if requested.

The scheduler stays in this process: it checks the cache and hands tasks to worker processes, so that they
run truly in parallel.  With one job, pure tasks run in this process, where a worker would gain
nothing.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import replace

import msgspec

from baton.core.events import one_at_a_time
from baton.core.execute import describe, look_up
from baton.core.outcome import Outcome, RunReport, TaskReport
from baton.core.task import AnyTask
from baton.engines.engine import EngineOptions
from baton.engines.pool import Pool, recorder_modules
from baton.engines.protocol import Attempt
from baton.engines.scheduling import Schedule, run_with_retries, with_retries
from baton.runs.execution import Execution


class MakeEngine:
    """Runs stale tasks only, in parallel where the DAG allows."""

    name = "make"
    description = "this machine, only what is stale, in parallel (-j)"
    uses_cache = True
    effects_once = True

    def check(self) -> None:
        """Do nothing: the engine is always available."""

    def run(self, execution: Execution, options: EngineOptions) -> RunReport:
        """Run what is stale.

        After a failure no more tasks start, except those that are ``last`` and, with ``keep_going``,
        those that do not depend on the failed one; running tasks finish.
        """
        shared = replace(execution, report=one_at_a_time(execution.report))
        with Pool(shared, recorder_modules(shared)) as pool:
            return _Build(shared, options, pool).run()


class _Build:
    """One run: starts tasks here or in workers, and collects their reports."""

    def __init__(self, execution: Execution, options: EngineOptions, pool: Pool) -> None:
        self._execution = execution
        self._schedule = Schedule(execution, keep_going=options.keep_going)
        self._jobs = options.jobs or 1
        self._pool = pool
        self._ends: queue.SimpleQueue[TaskReport] = queue.SimpleQueue()

    def run(self) -> RunReport:
        """Run until every task has ended."""
        self._schedule.run(self._execution.dag.order, self._start, self._ends.get, jobs=self._jobs)
        ended = self._schedule.report()
        return ended.tracked(self._pool.finish_tracking(good=ended.is_good).run_id)

    def _start(self, task: AnyTask, refused: TaskReport | None) -> TaskReport | None:
        made, run = self._schedule.made, self._execution.task_run
        report, reason = (refused, "") if refused is not None else look_up(task, made, run)
        if report is not None:
            self._pool.continue_tracking(report.tracking_run_id)
            return report
        self._pool.start_recorder()
        if self._jobs == 1 and not task.tracking:
            return run_with_retries(task, made, run)
        request = Attempt(
            task=task.name,
            inputs=tuple(self._schedule.inputs_of(task).values()),
            number=1,
            is_timed=True,
            # A pure task checks the cache again: another run may have computed it meanwhile.
            forced=reason if task.effect else "",
        )
        threading.Thread(target=self._run, args=(task, request), name=task.name, daemon=True).start()
        return None

    def _run(self, task: AnyTask, request: Attempt) -> None:
        """Run a task in a worker, from its own thread; the scheduler waits for the report."""

        def attempt(number: int) -> TaskReport:
            return self._pool.attempt(
                msgspec.structs.replace(request, number=number), is_tracked=task.tracking is not None
            )

        try:
            report = with_retries(task, attempt, self._execution.report)
        except Exception as error:  # the thread's boundary, for example if the reporter fails
            report = TaskReport(task.name, Outcome.FAILED, failure=describe(error))
        self._ends.put(report)
