"""What happens during a run, told to reporters as it happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from baton.core.outcome import RunReport, TaskReport


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins; `tasks` are the selected ones in topological order."""

    run_id: str
    pipeline: str
    engine: str
    targets: tuple[str, ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunNoted:
    """The engine says something about the whole run that the user must know."""

    message: str


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A task is about to be called (not sent for a task found in the cache)."""

    task: str
    reason: str


@dataclass(frozen=True, slots=True)
class TaskProgressed:
    """A running task got further: `done` of `total` (None where unknown), in the task's own unit."""

    task: str
    done: float
    total: float | None
    message: str


@dataclass(frozen=True, slots=True)
class TaskLogged:
    """A running task says something worth a line."""

    task: str
    message: str


@dataclass(frozen=True, slots=True)
class TaskRetried:
    """An attempt failed and the next one follows after `delay_s` seconds."""

    task: str
    attempt: int
    attempts: int
    delay_s: float
    message: str


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """A task ended, whatever the outcome."""

    report: TaskReport


@dataclass(frozen=True, slots=True)
class RunFinished:
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
