"""Runs as other machines see them: parts of their records and logs in the store, under ``runs/``.

Each process that takes part in a run writes one part, and renews it while it works.  Parameters are written
without secrets.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from baton.core.records import decode_record
from baton.runs.logs import LogLine, decoded_lines
from baton.runs.records import RUNNING, RunRecord, TaskRecord
from baton.store.shown import plain

if TYPE_CHECKING:
    from baton.store.objects import ObjectStore

_FOLDER = "runs"
_VERSION = 1
WHOLE = "run"
"""The part of a process that sees the whole run."""

WORKING_S = 300.0
"""A part that is not renewed for so long belongs to a process that is gone; clocks differ by less."""

BETWEEN_STEPS_S = 7 * 24 * 3600.0
"""A run on a scheduler may wait so long between two of its steps."""


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    record: RunRecord
    renewed_at: float


class SharedPart:
    """One process's part of a run's record in the store.

    Parameters
    ----------
    objects : ObjectStore
        The store.
    run_id : str
        The run.
    part : str
        Name of the part, unique among the processes of the run; valid in a file name.
    """

    def __init__(self, objects: ObjectStore, run_id: str, part: str = WHOLE) -> None:
        self._objects = objects
        self._place = f"{_FOLDER}/{run_id}"
        self._part = part
        self._logs = 0

    def write(self, record: RunRecord, lines: Sequence[LogLine] = ()) -> None:
        """Write the record so far, and the lines logged since the last time.

        Raises
        ------
        StoreError
            If the store cannot be written.
        """
        if lines:
            self._logs += 1
            text = "".join(msgspec.json.encode(line).decode() + "\n" for line in lines)
            self._objects.write_text(f"{self._place}/{self._part}-{self._logs:06d}.log", text)
        without_secrets = msgspec.structs.replace(record, parameters=plain("", record.parameters))
        part = _Part(version=_VERSION, record=without_secrets, renewed_at=time.time())
        self._objects.write_text(f"{self._place}/{self._part}.json", msgspec.json.encode(part).decode())


class _Names(NamedTuple):
    """The files of one run in a store."""

    parts: list[str]
    logs: list[str]


def shared_ids(objects: ObjectStore) -> list[str]:
    """Return the ids of the runs in a store, newest first."""
    return sorted(_files(objects), reverse=True)


def shared_records(objects: ObjectStore, run_ids: Iterable[str]) -> dict[str, RunRecord]:
    """Return the records of runs in a store, by id; those that do not exist or are malformed are left out."""
    files = _files(objects)
    wanted = {run_id: files[run_id].parts for run_id in run_ids if run_id in files}
    contents = objects.place.read_all([name for parts in wanted.values() for name in parts])
    found = {}
    for run_id, names in wanted.items():
        parts = {name: decode_record(contents[name], _Part) for name in names if name in contents}
        known = {name: part for name, part in parts.items() if part is not None and part.version == _VERSION}
        if known:
            found[run_id] = _joined(known)
    return found


def shared_lines(objects: ObjectStore, run_id: str, seen: set[str]) -> list[LogLine]:
    """Return the lines of a run's log files that are not in `seen`, to which they are added, by time."""
    names = [name for name in _files(objects).get(run_id, _Names([], [])).logs if name not in seen]
    contents = objects.place.read_all(names)
    seen.update(contents)
    lines = [line for name in names for line in decoded_lines(contents.get(name, b""))]
    return sorted(lines, key=lambda line: line.at)


def _files(objects: ObjectStore) -> dict[str, _Names]:
    found: dict[str, _Names] = {}
    for file in objects.place.files(_FOLDER):
        _, run_id, *rest = file.name.split("/")
        if len(rest) != 1 or rest[0].startswith("."):
            continue
        names = found.setdefault(run_id, _Names([], []))
        if rest[0].endswith(".json"):
            names.parts.append(file.name)
        elif rest[0].endswith(".log"):
            names.logs.append(file.name)
    return {run_id: names for run_id, names in found.items() if names.parts}


def _joined(parts: dict[str, _Part]) -> RunRecord:
    """Return the record of a run from its parts."""
    whole = next((part for name, part in parts.items() if name.endswith(f"/{WHOLE}.json")), None)
    ordered = sorted(parts.values(), key=lambda part: part.record.started_at)
    record = whole.record if whole is not None else ordered[0].record
    if record.state != "running":
        return record
    tasks: dict[str, TaskRecord] = {}
    for part in ordered:
        is_gone = time.time() - part.renewed_at > WORKING_S
        tasks.update({one.task: one.interrupted() if is_gone else one for one in part.record.tasks})
    latest = max(part.renewed_at for part in parts.values())
    waits_s = WORKING_S if whole is not None else BETWEEN_STEPS_S
    known_as = {system: name for part in ordered for system, name in part.record.known_as.items()}
    joined = msgspec.structs.replace(record, tasks=list(_in_order(tasks.values())), known_as=known_as)
    return joined.interrupted() if time.time() - latest > waits_s else joined


def _in_order(tasks: Iterable[TaskRecord]) -> Iterator[TaskRecord]:
    """Yield tasks in the order in which they started, those that run last."""
    yield from sorted(tasks, key=lambda one: (one.outcome == RUNNING, one.started_at))
