"""The simple engine: one process, one task after another, in topological order."""

from __future__ import annotations

import time

from baton.core.artifact import Artifact
from baton.core.dag import Dag
from baton.core.engine import EngineOptions
from baton.core.execute import TaskRun, finish
from baton.core.outcome import Outcome, RunReport, TaskReport
from baton.engines.attempts import run_with_retries


class SimpleEngine:
    """Runs tasks in this process; nothing to set up."""

    name = "simple"
    description = "this process, one task after another"

    def check(self) -> None:
        """Be always usable."""

    def run(self, dag: Dag, run: TaskRun, options: EngineOptions) -> RunReport:
        """Run the tasks in topological order.

        After a failure nothing more is started, except tasks that are ``last`` and, with
        ``keep_going``, tasks that do not depend on the failed one.
        """
        began = time.perf_counter()
        reports: dict[str, TaskReport] = {}
        artifacts: dict[str, Artifact] = {}
        for task in dag.order:
            bad = [up.name for up in dag.upstream_of(task) if not reports[up.name].outcome.is_good]
            failed = any(report.outcome is Outcome.FAILED for report in reports.values())
            if bad:
                reason = f"'{bad[0]}' {reports[bad[0]].outcome.value}"
                report = TaskReport(task.name, Outcome.UPSTREAM_FAILED, reason=reason)
            elif failed and not options.keep_going and task.position != "last":
                report = TaskReport(task.name, Outcome.SKIPPED, reason="an earlier task failed")
            else:
                report = run_with_retries(task, artifacts, run)
            reports[task.name] = finish(report, run)
            artifacts.update(report.outputs)
        return RunReport(run.run_id, tuple(reports.values()), time.perf_counter() - began)
