"""How the tasks of a local run ended, also those that Airflow never started."""

from __future__ import annotations

import time

from baton.core.execute import finish
from baton.core.outcome import Outcome, RunReport, TaskReport
from baton.engines.readiness import why_not_run
from baton.execution import Execution


class Ends:
    """Collects the ends of tasks, and announces each once.

    Parameters
    ----------
    execution : Execution
        The execution.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    """

    def __init__(self, execution: Execution, *, keep_going: bool) -> None:
        self._execution = execution
        self._keep_going = keep_going
        self._began = time.perf_counter()
        self.reports: dict[str, TaskReport] = {}

    def add(self, report: TaskReport) -> None:
        """Take the end of a task, and with it the ends of those that cannot run any more."""
        self._announce(report)
        dag = self._execution.dag
        for task in dag.order:
            known = all(up.name in self.reports for up in dag.upstream_of(task))
            if known and task.name not in self.reports:
                refused = why_not_run(task, dag, self.reports, keep_going=self._keep_going)
                if refused is not None:
                    self._announce(refused)

    def complete(self) -> RunReport:
        """Return how all tasks ended; those that Airflow left out wait for a first one that failed."""
        dag = self._execution.dag
        firsts = [task.name for task in dag.order if task.position == "first"]
        failed = next(
            (name for name in firsts if name in self.reports and not self.reports[name].outcome.is_good), ""
        )
        for task in dag.order:
            if task.name not in self.reports:
                reason = f"'{failed}' failed" if failed else "Airflow did not start it"
                self._announce(TaskReport(task.name, Outcome.UPSTREAM_FAILED, reason=reason))
        tasks = tuple(self.reports[task.name] for task in dag.order)
        return RunReport(self._execution.run_id, tasks, time.perf_counter() - self._began)

    def _announce(self, report: TaskReport) -> None:
        self.reports[report.task] = finish(report, self._execution.task_run)
