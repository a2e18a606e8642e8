"""What the processes of a run say to each other: one JSON document a line, each of a type of its own."""

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
        As `baton.runs.execution.Execution.spec` returns it.
    modules : tuple of str
        What the worker imports at once, before it is asked for anything.
    steps_back : bool
        Whether it gets ready for tasks that record, and leaves the processor to whoever wants it.
    """

    spec: dict[str, Any]
    modules: tuple[str, ...] = ()
    steps_back: bool = False


class Attempt(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Make one attempt at a task; the answer is `Ended`.

    Parameters
    ----------
    task : str
        Name of the task.
    inputs : tuple of Artifact
        Every artifact made so far.
    number : int
        The attempt's number, from 1.
    is_timed : bool
        Whether the worker sees to the task's timeout; else whoever asks does.
    forced : str
        Why the task runs whatever is remembered; nothing where the worker decides.
    tracking_run_id : str
        The tracking run to add to; the worker's own where empty.
    """

    task: str
    inputs: tuple[Artifact, ...]
    number: int
    is_timed: bool = False
    forced: str = ""
    tracking_run_id: str = ""


class BeginTracking(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Make the execution's tracking run; the answer is `Tracked`."""


class FinishTracking(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Close the execution's tracking run; the answer is `Tracked`, with nothing where there is none."""

    tracking_run_id: str
    good: bool


class LookFor(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Look for a note of this text in the places that are to be shared; the answer is `Seen`."""

    note: str
    text: str


class RunInAirflow(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The one request to the process of a local run in Airflow; the answer is `RunEnded`.

    Parameters
    ----------
    spec : mapping
        As `baton.runs.execution.Execution.spec` returns it.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    home, kept, log : str
        The run's ``AIRFLOW_HOME``, the folder of what is kept for the next run, and the file that takes
        what Airflow itself writes.
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
    """The tracking run, and its page or the command that serves it where the run is closed."""

    run_id: str
    page: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Whether the note is in the store, and in the folder of what baton writes."""

    in_store: bool
    in_home: bool


class RunEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How all tasks of a run ended, in order."""

    tasks: tuple[TaskReport, ...]
    tracking_run_id: str


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What was asked for cannot be done, in the words of the error."""

    message: str
    hint: str


Request = Join | Attempt | BeginTracking | FinishTracking | LookFor | RunInAirflow
Answer = Event | Ended | Tracked | Seen | RunEnded | Refused


def encode(message: Request | Answer) -> bytes:
    """Return a message as a line."""
    # msgspec's own encoder takes neither what is no number nor file names that are no text.
    return json.dumps(msgspec.to_builtins(message)).encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """Return the request that `encode` was given."""
    request: Request = msgspec.convert(json.loads(line), Request)
    return request


def decode_answer(line: bytes) -> Answer:
    """Return the answer that `encode` was given."""
    answer: Answer = msgspec.convert(json.loads(line), Answer)
    return answer


def encode_report(report: TaskReport) -> dict[str, Any]:
    """Return a report as plain JSON values, for what orchestrators pass along and keep."""
    fields: dict[str, Any] = msgspec.to_builtins(report)
    return fields


def decode_report(fields: Mapping[str, Any]) -> TaskReport:
    """Return the report that `encode_report` was given."""
    return msgspec.convert(fields, TaskReport)
