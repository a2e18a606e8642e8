"""What happens during a run, told to reporters as it happens, in whichever process that is."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from baton.core.outcome import RunReport, TaskReport


class RunStarted(msgspec.Struct, frozen=True, tag=True):
    """A run begins; `tasks` are the selected ones in topological order."""

    run_id: str
    pipeline: str
    engine: str
    targets: tuple[str, ...]
    tasks: tuple[str, ...]


class RunNoted(msgspec.Struct, frozen=True, tag=True):
    """The engine says something about the whole run that the user must know."""

    message: str


class TaskStarted(msgspec.Struct, frozen=True, tag=True):
    """A task is about to be called (not sent for a task found in the cache)."""

    task: str
    reason: str


class TaskProgressed(msgspec.Struct, frozen=True, tag=True):
    """A running task got further: `done` of `total` (None where unknown), in the task's own unit."""

    task: str
    done: float
    total: float | None
    message: str


class TaskLogged(msgspec.Struct, frozen=True, tag=True):
    """A running task says something worth a line."""

    task: str
    message: str


class TaskRetried(msgspec.Struct, frozen=True, tag=True):
    """An attempt failed and the next one follows after `delay_s` seconds."""

    task: str
    attempt: int
    attempts: int
    delay_s: float
    message: str


class TaskFinished(msgspec.Struct, frozen=True, tag=True):
    """A task ended, whatever the outcome."""

    report: TaskReport


class RunFinished(msgspec.Struct, frozen=True, tag=True):
    """The run ended."""

    report: RunReport


Event = (
    RunStarted
    | RunNoted
    | TaskStarted
    | TaskProgressed
    | TaskLogged
    | TaskRetried
    | TaskFinished
    | RunFinished
)
Reporter = Callable[[Event], None]


def ignore_events(_event: Event) -> None:
    """Report nothing."""


def one_at_a_time(report: Reporter) -> Reporter:
    """Return a reporter for several threads that tells the events to `report` one after another."""
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            report(event)

    return tell
