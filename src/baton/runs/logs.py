"""What tasks logged, next to the run's record: one JSON object per line, written as it comes."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from baton.core.events import Event, Reporter, TaskLogged
from baton.store.shown import without_secrets_in

_START_OF_LINE = re.compile(rb'(?={"at":)')
"""Where an encoded line starts; within its text, JSON escapes the quotes."""


class LogLine(msgspec.Struct, frozen=True):
    """A line that a task logged.

    Parameters
    ----------
    at : str
        When, in UTC and ISO format.
    task : str
        The task.
    text : str
        The line, without secrets in addresses and in assignments to names such as ``password``.
    attempt : int
        Number of the task's attempt, from 1.
    """

    at: str
    task: str
    text: str
    attempt: int = 1


def line_of(event: TaskLogged) -> LogLine:
    """Return the line of an event of now, without secrets."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    text = event.message.encode(errors="backslashreplace").decode()  # for names of files that are not text
    return LogLine(now, event.task, without_secrets_in(text), event.attempt)


def kept(report: Reporter, home: Path, run_id: str) -> Reporter:
    """Return a reporter that also keeps the lines that tasks log.

    Lines of several processes do not mix.  A line that cannot be written is lost: no task fails by that.
    """

    def emit(event: Event) -> None:
        if isinstance(event, TaskLogged):
            with contextlib.suppress(OSError):
                _append(_file(home, run_id), event)
        report(event)

    return emit


def read_lines(home: Path, run_id: str, start: int = 0) -> tuple[list[LogLine], int]:
    """Return the lines of a run from a position in its file on, and the position after them."""
    try:
        with _file(home, run_id).open("rb") as file:
            file.seek(start)
            content = file.read()
    except OSError:
        return [], start
    whole = content[: content.rfind(b"\n") + 1]
    return list(decoded_lines(whole)), start + len(whole)


def decoded_lines(content: bytes) -> Iterator[LogLine]:
    """Yield the lines in the content of a file; leave out what is malformed."""
    for line in _START_OF_LINE.split(content):
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):  # half a line, from a full disk
            yield msgspec.json.decode(line, type=LogLine)


def _append(path: Path, event: TaskLogged) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(opened, msgspec.json.encode(line_of(event)) + b"\n")
    finally:
        os.close(opened)


def _file(home: Path, run_id: str) -> Path:
    return home / "runs" / f"{run_id}.log"
