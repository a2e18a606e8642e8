"""The simple engine: one task after another, in topological order.

Tasks run in this process.  Tasks that record run in one worker, which loads the tracker (seconds of
imports) while earlier tasks run here.
"""

from __future__ import annotations

from collections.abc import Sequence

from baton.core.outcome import RunReport, TaskReport
from baton.core.task import AnyTask
from baton.engines.engine import EngineOptions
from baton.engines.pool import Pool, recorder_modules
from baton.engines.protocol import Attempt
from baton.engines.scheduling import Schedule, run_with_retries, with_retries
from baton.runs.execution import Execution


class SimpleEngine:
    """Runs one task after another on this machine; needs no setup."""

    name = "simple"
    description = "this machine, one task after another"
    uses_cache = False
    effects_once = False

    def check(self) -> None:
        """Do nothing: the engine is always available."""

    def run(self, execution: Execution, options: EngineOptions) -> RunReport:
        """Run the tasks in topological order.

        After a failure no more tasks start, except those that are ``last`` and, with ``keep_going``,
        those that do not depend on the failed one.
        """
        stepping = Stepping(execution, keep_going=options.keep_going)
        try:
            stepping.run(execution.dag.order)
            return stepping.finish()
        finally:
            stepping.close()


class Stepping:
    """Runs tasks of an execution one after another, on request.

    Parameters
    ----------
    execution : Execution
        The execution to step through.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    """

    def __init__(self, execution: Execution, *, keep_going: bool = False) -> None:
        self.schedule = Schedule(execution, keep_going=keep_going)
        self._execution = execution
        self._pool = Pool(execution, recorder_modules(execution))
        self._pool.start_recorder()

    def run(self, tasks: Sequence[AnyTask]) -> None:
        """Run tasks in topological order; all others that they need have run."""
        self.schedule.run(tasks, self._start)

    def finish(self, *, good: bool = True) -> RunReport:
        """Close the tracking run and return how the tasks ended.

        Parameters
        ----------
        good : bool
            False if the run was aborted, whatever the outcomes of its tasks.
        """
        ended = self.schedule.report()
        return ended.tracked(self._pool.finish_tracking(good=good and ended.is_good).run_id)

    def close(self) -> None:
        """Stop the worker."""
        self._pool.close()

    def _start(self, task: AnyTask, refused: TaskReport | None) -> TaskReport:
        if refused is not None:
            return refused
        made = self.schedule.made
        if task.tracking is None:
            return run_with_retries(task, made, self._execution.task_run)

        def attempt(number: int) -> TaskReport:
            request = Attempt(
                task=task.name,
                inputs=tuple(self.schedule.inputs_of(task).values()),
                number=number,
                is_timed=True,
            )
            return self._pool.attempt(request, is_tracked=True)

        return with_retries(task, attempt, self._execution.report)
