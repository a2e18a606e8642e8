"""An execution gone through task by task, in this process: what the simple engine and stepping share.

Tasks run in this process.  Those that record with the tracker run in one worker, which loads the
tracker (seconds of imports) while the tasks before them run here.
"""

from __future__ import annotations

import time
from typing import Any

from baton.core.artifact import Artifact
from baton.core.execute import finish
from baton.core.outcome import RunReport, TaskReport
from baton.core.task import Task
from baton.engines.attempts import run_with_retries
from baton.engines.lost_inputs import LostInputs
from baton.engines.readiness import why_not_run
from baton.engines.worker import Worker, modules_for
from baton.execution import Execution

AnyTask = Task[..., Any]


class Stepping:
    """Runs one task of an execution after another, when told to.

    Parameters
    ----------
    execution : Execution
        What is gone through.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    """

    def __init__(self, execution: Execution, *, keep_going: bool = False) -> None:
        self.reports: dict[str, TaskReport] = {}
        self._began = time.perf_counter()
        self._execution = execution
        self._keep_going = keep_going
        self._lost_inputs = LostInputs(execution)
        tracked = [task for task in execution.dag.order if task.tracking]
        self._worker = Worker(execution, modules_for(tracked), steps_back=True) if tracked else None

    @property
    def made(self) -> dict[str, Artifact]:
        """References to everything made so far, by artifact name."""
        return {name: made for report in self.reports.values() for name, made in report.outputs.items()}

    def run(self, task: AnyTask) -> TaskReport:
        """Run a task whose upstream tasks have ended, unless one of them or an earlier one failed."""
        report = why_not_run(task, self._execution.dag, self.reports, keep_going=self._keep_going)
        self.reports[task.name] = finish(report or self._again_if_lost(task), self._execution.task_run)
        return self.reports[task.name]

    def finish(self, *, good: bool = True) -> RunReport:
        """Close the tracking run and return how the tasks ended.

        Parameters
        ----------
        good : bool
            False where the run is given up, whatever its tasks say.
        """
        ended = RunReport(
            self._execution.run_id, tuple(self.reports.values()), time.perf_counter() - self._began
        )
        if self._worker is None:
            return ended
        return ended.tracked(self._worker.finish_tracking(good=good and ended.is_good))

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()

    def _again_if_lost(self, task: AnyTask) -> TaskReport:
        """Run a task; where inputs were corrupt, make them again first, one after another."""
        report = self._attempt(task)
        while makers := self._lost_inputs.makers(report, self.reports):
            for maker in makers:
                again = self._again_if_lost(maker)
                self.reports[maker.name] = finish(again, self._execution.task_run)
                if not again.outcome.is_good:
                    return report
            report = self._attempt(task)
        return report

    def _attempt(self, task: AnyTask) -> TaskReport:
        if self._worker is not None and task.tracking:
            return self._worker.run(task.name, self.made)
        return run_with_retries(task, self.made, self._execution.task_run)
