"""The simple engine: one task after another, in topological order.

Tasks run in this process.  Those that record with the tracker run in one worker, which loads the
tracker (seconds of imports) while the tasks before them run here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from baton.core.artifact import Artifact
from baton.core.execute import finish
from baton.core.outcome import RunReport, TaskReport
from baton.core.task import Task
from baton.engines.attempts import run_with_retries
from baton.engines.engine import EngineOptions
from baton.engines.lost_inputs import makers_of_lost_inputs
from baton.engines.readiness import why_not_run
from baton.engines.worker import Worker, modules_for
from baton.execution import Execution


class SimpleEngine:
    """Runs one task after another on this machine; nothing to set up."""

    name = "simple"
    description = "this machine, one task after another"
    uses_cache = False
    effects_once = False

    def check(self) -> None:
        """Be always usable."""

    def run(self, execution: Execution, options: EngineOptions) -> RunReport:
        """Run the tasks in topological order.

        After a failure nothing more is started, except tasks that are ``last`` and, with
        ``keep_going``, tasks that do not depend on the failed one.
        """
        began = time.perf_counter()
        tracked = [task for task in execution.dag.order if task.tracking]
        worker = Worker(execution, modules_for(tracked), steps_back=True) if tracked else None
        execution.project.store.texts.keep_later()  # the worker does it, or the end of the run
        reports: dict[str, TaskReport] = {}
        try:
            for task in execution.dag.order:
                report = why_not_run(
                    task, execution.dag, reports, keep_going=options.keep_going
                ) or _run_again_if_lost(task, execution, reports, worker)
                reports[task.name] = finish(report, execution.task_run)
            execution.project.store.texts.keep_noted()
            ended = RunReport(execution.run_id, tuple(reports.values()), time.perf_counter() - began)
            return ended if worker is None else ended.tracked(worker.finish_tracking(good=ended.is_good))
        finally:
            if worker is not None:
                worker.close()


def _run_again_if_lost(
    task: Task[..., Any], execution: Execution, reports: dict[str, TaskReport], worker: Worker | None
) -> TaskReport:
    """Run a task; where an input was corrupt, make it again first."""
    report = _run(task, execution, reports, worker)
    makers = makers_of_lost_inputs(report, execution.dag, reports, execution.project.store)
    if not makers:
        return report
    for maker in makers:
        again = _run_again_if_lost(maker, execution, reports, worker)
        reports[maker.name] = finish(again, execution.task_run)
        if not again.outcome.is_good:
            return report
    return _run(task, execution, reports, worker)


def _run(
    task: Task[..., Any], execution: Execution, reports: Mapping[str, TaskReport], worker: Worker | None
) -> TaskReport:
    made: dict[str, Artifact] = {}
    for report in reports.values():
        made.update(report.outputs)
    if worker is not None and task.tracking:
        return worker.run(task.name, made)
    return run_with_retries(task, made, execution.task_run)
