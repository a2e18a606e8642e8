"""Making an input again that was found corrupt: the same on every engine that runs tasks itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baton.core.dag import Dag
from baton.core.execute import ArtifactStore
from baton.core.outcome import TaskReport
from baton.core.task import Task

AnyTask = Task[..., Any]


def makers_of_lost_inputs(
    report: TaskReport, dag: Dag, reports: Mapping[str, TaskReport], store: ArtifactStore
) -> tuple[AnyTask, ...]:
    """Return the tasks that must run again because what they made is gone from the store.

    Parameters
    ----------
    report : TaskReport
        The end of a task.
    dag : Dag
        The DAG of the run.
    reports : mapping of str to TaskReport
        The ends so far, by task.
    store : ArtifactStore
        The run's store.

    Returns
    -------
    tuple of Task
        Empty unless the task failed for a corrupt input that a task of the run made.
    """
    if report.failure is None or not report.failure.has_lost_input:
        return ()
    return tuple(
        maker
        for maker in dag.upstream_of(dag.task(report.task))
        if any(not store.has(made) for made in reports[maker.name].outputs.values())
    )
