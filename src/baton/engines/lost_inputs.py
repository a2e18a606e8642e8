"""Making inputs again that were found corrupt or gone: the same rule on every engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from baton.core.outcome import TaskReport
from baton.core.task import Task
from baton.execution import Execution

AnyTask = Task[..., Any]


class LostInputs:
    """Says which tasks must run again because what they made is gone from the store.

    A task gets as many further attempts as it has inputs: each may be found corrupt once.

    Parameters
    ----------
    execution : Execution
        The run's execution.
    """

    def __init__(self, execution: Execution) -> None:
        self._dag = execution.dag
        self._store = execution.project.store
        self._tried_again: Counter[str] = Counter()

    def makers(self, report: TaskReport, reports: Mapping[str, TaskReport]) -> tuple[AnyTask, ...]:
        """Return what must run again before the task is tried again; empty where that is of no use.

        Parameters
        ----------
        report : TaskReport
            The end of a task.
        reports : mapping of str to TaskReport
            The ends so far, by task.
        """
        task = self._dag.task(report.task)
        if report.failure is None or not report.failure.has_lost_input:
            return ()
        if self._tried_again[task.name] >= len(task.inputs):
            return ()
        self._tried_again[task.name] += 1
        return tuple(
            maker
            for maker in self._dag.upstream_of(task)
            if any(not self._store.has(made) for made in reports[maker.name].outputs.values())
        )
