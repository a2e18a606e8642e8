"""Messages between the processes of a run: one JSON document per line, one type per message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from baton.core.artifact import Artifact
from baton.core.events import Event
from baton.core.outcome import TaskReport


class Join(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first request to a worker: take part in an execution.

    Parameters
    ----------
    spec : mapping
        As returned by `baton.runs.execution.Execution.spec`.
    modules : tuple of str
        Modules that the worker imports first.
    low_priority : bool
        Whether it prepares for recording tasks at low priority.
    originals : mapping of str to str or None
        Environment variables that the starter set, with the values they had before.
    """

    spec: dict[str, Any]
    modules: tuple[str, ...] = ()
    low_priority: bool = False
    originals: dict[str, str | None] = {}


class Attempt(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Make one attempt at a task; the answer is `Ended`.

    Parameters
    ----------
    task : str
        Name of the task.
    inputs : tuple of Artifact
        All artifacts made so far.
    number : int
        Number of the attempt, from 1.
    is_timed : bool
        Whether the worker enforces the task's timeout; otherwise the sender does.
    forced : str
        Why the task runs even if cached; empty if the worker decides.
    tracking_run_id : str
        The tracking run to add to; the worker's own if empty.
    """

    task: str
    inputs: tuple[Artifact, ...]
    number: int
    is_timed: bool = False
    forced: str = ""
    tracking_run_id: str = ""


class BeginTracking(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Create the execution's tracking run; the answer is `Tracked`."""


class FinishTracking(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Close the execution's tracking run; the answer is `Tracked`, empty if there is none."""

    tracking_run_id: str
    good: bool


class LookFor(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Look for a note with this text in the shared places; the answer is `Seen`."""

    note: str
    text: str


class RunInAirflow(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The only request to the process of a local Airflow run; the answer is `RunEnded`.

    Parameters
    ----------
    spec : mapping
        As returned by `baton.runs.execution.Execution.spec`.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    home, kept, log : str
        The run's ``AIRFLOW_HOME``, the folder kept for the next run, and the log file for Airflow's own
        output.
    """

    spec: dict[str, Any]
    keep_going: bool
    home: str
    kept: str
    log: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How an attempt ended."""

    report: TaskReport


class Tracked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The tracking run and, if it is closed, its page or the command that serves it."""

    run_id: str
    page: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Whether the note is in the store, and in the folder for baton's files."""

    in_store: bool
    in_home: bool


class RunEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How all tasks of a run ended, in order."""

    tasks: tuple[TaskReport, ...]
    tracking_run_id: str


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The request cannot be fulfilled, with the error's message and hint."""

    message: str
    hint: str


Request = Join | Attempt | BeginTracking | FinishTracking | LookFor | RunInAirflow
Answer = Event | Ended | Tracked | Seen | RunEnded | Refused


def encode(message: Request | Answer) -> bytes:
    """Return a message as one line."""
    # msgspec's own encoder rejects nan and file names that are not valid text.
    return json.dumps(msgspec.to_builtins(message)).encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """Return the request encoded by `encode`."""
    request: Request = msgspec.convert(json.loads(line), Request)
    return request


def decode_answer(line: bytes) -> Answer:
    """Return the answer encoded by `encode`."""
    answer: Answer = msgspec.convert(json.loads(line), Answer)
    return answer


def encode_report(report: TaskReport) -> dict[str, Any]:
    """Return a report as plain JSON values, for orchestrators to pass on and store."""
    fields: dict[str, Any] = msgspec.to_builtins(report)
    return fields


def decode_report(fields: Mapping[str, Any]) -> TaskReport:
    """Return the report encoded by `encode_report`."""
    return msgspec.convert(fields, TaskReport)
