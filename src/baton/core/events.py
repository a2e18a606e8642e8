"""Events of a run, sent to reporters as they happen, in any process."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from baton.core.outcome import RunReport, TaskReport


class RunStarted(msgspec.Struct, frozen=True, tag=True):
    """A run starts; `tasks` are the selected ones in topological order."""

    run_id: str
    pipeline: str
    engine: str
    targets: tuple[str, ...]
    tasks: tuple[str, ...]


class RunNoted(msgspec.Struct, frozen=True, tag=True):
    """The engine has a message for the user about the whole run."""

    message: str


class RunKnownAs(msgspec.Struct, frozen=True, tag=True):
    """The run has an identifier in another system, such as ``"prefect"``."""

    system: str
    identifier: str


class TaskStarted(msgspec.Struct, frozen=True, tag=True):
    """A task is about to be called (not sent for a cached task)."""

    task: str
    reason: str


class TaskProgressed(msgspec.Struct, frozen=True, tag=True):
    """A task's progress: `done` of `total` (None if unknown), in the task's own unit."""

    task: str
    done: float
    total: float | None
    message: str


class TaskLogged(msgspec.Struct, frozen=True, tag=True):
    """A running task logs a line, in its attempt with this number."""

    task: str
    message: str
    attempt: int = 1


class TaskRetried(msgspec.Struct, frozen=True, tag=True):
    """An attempt failed; the next one starts after `delay_s` seconds."""

    task: str
    attempt: int
    attempts: int
    delay_s: float
    message: str


class TaskFinished(msgspec.Struct, frozen=True, tag=True):
    """A task ended, with any outcome."""

    report: TaskReport


class RunFinished(msgspec.Struct, frozen=True, tag=True):
    """The run ended."""

    report: RunReport


Event = (
    RunStarted
    | RunNoted
    | RunKnownAs
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
    """Return a thread-safe reporter that passes events to `report` one at a time."""
    lock = threading.Lock()

    def emit(event: Event) -> None:
        with lock:
            report(event)

    return emit
