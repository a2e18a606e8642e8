"""The progress of a run: its record is written as it goes, and shared through the store.

A process that takes part in a run writes what it sees: the whole run, or on a scheduler one step of it.  On
this machine the record lies next to baton's other files (`baton.runs.records`).  Into a store that other
machines may use, each process writes a part of the record and the lines that tasks log, so that any of
them can show the run (`baton.runs.shared`).
"""

from __future__ import annotations

import contextlib
import datetime
import threading
from pathlib import Path
from types import TracebackType

import msgspec

from baton.core.events import Event, Reporter, RunKnownAs, TaskFinished, TaskLogged, TaskStarted
from baton.errors import BatonError
from baton.runs.logs import LogLine, line_of
from baton.runs.records import RUNNING, RunRecord, TaskRecord, write_run
from baton.runs.shared import SharedPart

_WRITTEN_EVERY_S = 0.25
"""A record is written so often while tasks start and end, however many they are."""

_SHARED_EVERY_S = 2.0
_RENEWED_EVERY_S = 60.0


class Progress:
    """Writes a run's record while the run goes on; a context, which writes in a thread of its own.

    Parameters
    ----------
    record : RunRecord
        The record of the run that starts.
    home : Path, optional
        Folder of baton's files, for a process that writes the record of the whole run there.
    shared : SharedPart, optional
        This process's part of the record in the store, if other machines may see the run.
    """

    def __init__(self, record: RunRecord, home: Path | None, shared: SharedPart | None) -> None:
        self._record = record
        self._home = home
        self._shared = shared
        self._tasks: dict[str, TaskRecord] = {}
        self._lines: list[LogLine] = []
        self._is_new = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write_often, name="progress", daemon=True)

    @property
    def record(self) -> RunRecord:
        """The record so far."""
        with self._lock:
            return msgspec.structs.replace(self._record, tasks=list(self._tasks.values()))

    def following(self, report: Reporter) -> Reporter:
        """Return a reporter that also follows the run's events; several threads may call it."""

        def emit(event: Event) -> None:
            self._take(event)
            report(event)

        return emit

    def __enter__(self) -> Progress:
        """Start to write."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to write; share what is left, unless `end` has shared the final record."""
        if not self._ended.is_set():
            self.end(self.record)

    def end(self, record: RunRecord) -> None:
        """Stop to write, and share the final record; the caller writes it on this machine."""
        self._ended.set()
        self._thread.join()
        self._share(record)

    def _take(self, event: Event) -> None:
        match event:
            case TaskStarted():
                now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
                began = TaskRecord(
                    task=event.task, outcome=RUNNING, reason=event.reason, duration_s=0.0, started_at=now
                )
                with self._lock:
                    self._tasks[event.task] = began
                    self._is_new = True
            case TaskFinished():
                with self._lock:
                    known = self._tasks.get(event.report.task)
                    started_at = known.started_at if known is not None else ""
                    self._tasks[event.report.task] = TaskRecord.of(event.report, started_at)
                    self._is_new = True
            case TaskLogged() if self._shared is not None:
                with self._lock:
                    self._lines.append(line_of(event))
            case RunKnownAs():
                with self._lock:
                    known_as = {**self._record.known_as, event.system: event.identifier}
                    self._record = msgspec.structs.replace(self._record, known_as=known_as)
                    self._is_new = True

    def _write_often(self) -> None:
        since_shared_s = _SHARED_EVERY_S
        is_unshared = True
        while not self._ended.wait(_WRITTEN_EVERY_S):
            since_shared_s += _WRITTEN_EVERY_S
            with self._lock:
                is_new, self._is_new = self._is_new, False
                has_lines = bool(self._lines)
            record = self.record
            if is_new and self._home is not None:
                with contextlib.suppress(BatonError):  # the final record says whether it can be written
                    write_run(self._home, record)
            is_unshared |= is_new or has_lines
            wait_s = _SHARED_EVERY_S if is_unshared else _RENEWED_EVERY_S
            if since_shared_s >= wait_s:
                self._share(record)
                since_shared_s, is_unshared = 0.0, False

    def _share(self, record: RunRecord) -> None:
        if self._shared is None:
            return
        with self._lock:
            lines, self._lines = self._lines, []
        with contextlib.suppress(BatonError):  # no task fails because nobody else can see it
            self._shared.write(record, lines)
