"""Compute remembered results again on the way of a run, and compare: `TaskRun.recheck_share`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from baton.core.execute import ArtifactStore, CacheEntry
    from baton.core.outcome import TaskReport
    from baton.core.task import AnyTask


def is_sampled(run_id: str, task: str, share: float) -> bool:
    """Whether a run computes a task again to check it; every process of the run says the same."""
    if share <= 0:
        return False
    drawn = int.from_bytes(hashlib.sha256(f"{run_id} {task}".encode()).digest()[:8], "big")
    return drawn < share * 2**64


def differences(task: AnyTask, report: TaskReport, entry: CacheEntry, store: ArtifactStore) -> Iterator[str]:
    """Yield for each output what differs between what is remembered and what was computed now."""
    for name, made in report.outputs.items():
        then = entry.outputs[name]
        if made.identity != then.identity:
            yield f"output '{name}' differs: {store.difference(then, made, task.outputs[name])}"
