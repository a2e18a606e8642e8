"""Whether a task may start, given how the tasks before it ended: the same on every engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from baton.core.dag import Dag
from baton.core.outcome import Outcome, TaskReport
from baton.core.task import Task


def why_not_run(
    task: Task[..., Any], dag: Dag, reports: Mapping[str, TaskReport], *, keep_going: bool
) -> TaskReport | None:
    """Return the report of a task that must not run, or None where it may.

    Parameters
    ----------
    task : Task
        A task all of whose upstream tasks ended.
    dag : Dag
        The DAG of the run.
    reports : mapping of str to TaskReport
        The ends so far, by task.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    """
    bad = [up.name for up in dag.upstream_of(task) if not reports[up.name].outcome.is_good]
    if bad:
        reason = f"'{bad[0]}' {reports[bad[0]].outcome.value}"
        only_skipped = all(reports[name].outcome is Outcome.SKIPPED for name in bad)
        outcome = Outcome.SKIPPED if only_skipped else Outcome.UPSTREAM_FAILED
        return TaskReport(task.name, outcome, reason=reason)
    failed = any(report.outcome is Outcome.FAILED for report in reports.values())
    if failed and not keep_going and task.position != "last":
        return TaskReport(task.name, Outcome.SKIPPED, reason="an earlier task failed")
    return None


def may_start(task: Task[..., Any], dag: Dag, ended: Collection[str]) -> bool:
    """Whether everything that must end before a task has ended.

    Those are its upstream tasks; for a task that is neither, the ``first`` tasks too; for a ``last``
    task all that are not ``last``.

    Parameters
    ----------
    task : Task
        A task of the DAG.
    dag : Dag
        The DAG of the run.
    ended : collection of str
        Names of the tasks that ended, whatever the outcome.
    """
    if any(up.name not in ended for up in dag.upstream_of(task)):
        return False
    rank = {"first": 0, None: 1, "last": 2}
    return all(other.name in ended for other in dag.tasks if rank[other.position] < rank[task.position])
