"""Run records in the project's folder, one small JSON file per run."""

from __future__ import annotations

import datetime
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from baton.core.execute import TaskRun
from baton.core.files import write_atomically
from baton.core.liveness import at_work, is_at_work
from baton.core.outcome import RunReport, TaskReport
from baton.core.parameters import flatten_plain
from baton.core.records import decode_record
from baton.errors import Unavailable, UsageError, nearest
from baton.runs.started_from import StartedFrom

_IN_PROGRESS = ".lock"
"""Suffix of the file that marks a run as in progress, see `baton.core.liveness`."""

RUNNING = "running"
INTERRUPTED = "interrupted"
"""Outcomes of tasks that have not ended."""

_SETTLED_NS = 50_000_000
"""After this time, a change of a folder is certain to change its time."""
_LOOK_BACK = 20
"""Number of runs to search for the last one of a task."""


class TaskRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How one task of a run ended; `duration_s` in seconds, the rest as in `TaskReport`.

    The outcome of a task that has not ended is `RUNNING`, or `INTERRUPTED`.  `started_at` is UTC in ISO 8601,
    empty if it did not start.
    """

    task: str
    outcome: str
    reason: str
    duration_s: float
    attempts: int = 1
    message: str = ""
    hint: str = ""
    traceback: str = ""
    outputs: dict[str, dict[str, Any]] = {}
    key: str = ""
    unremembered: str = ""
    products: list[str] = []
    started_at: str = ""

    @classmethod
    def of(cls, report: TaskReport, started_at: str = "") -> TaskRecord:
        """Return the record of a task that ended."""
        return cls(
            task=report.task,
            outcome=report.outcome.value,
            reason=report.reason,
            duration_s=report.duration_s,
            attempts=report.attempts,
            message=report.failure.message if report.failure else "",
            hint=report.failure.hint if report.failure else "",
            traceback=report.failure.traceback if report.failure else "",
            outputs={name: artifact.as_dict() for name, artifact in report.outputs.items()},
            key=report.key,
            unremembered=report.unremembered,
            products=list(report.products),
            started_at=started_at,
        )

    def interrupted(self) -> TaskRecord:
        """Return the record of a task whose process is gone, if it had not ended."""
        return msgspec.structs.replace(self, outcome=INTERRUPTED) if self.outcome == RUNNING else self


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run: what was requested and how it ended; times are UTC in ISO 8601.

    `commit`, `dirty` and `user` are as in `StartedFrom`.  `machine` is the name of the machine that started
    it, `known_as` its identifiers in other systems, by the system's name.
    """

    run_id: str
    pipeline: str
    engine: str
    targets: tuple[str, ...]
    parameters: dict[str, Any]
    state: str
    started_at: str
    process: int
    duration_s: float = 0.0
    tracking_run_id: str = ""
    facts: list[tuple[str, str]] = []
    tasks: list[TaskRecord] = []
    commit: str = ""
    dirty: bool = False
    user: str = ""
    machine: str = ""
    known_as: dict[str, str] = {}

    @classmethod
    def begin(cls, run: TaskRun, targets: tuple[str, ...], started_from: StartedFrom) -> RunRecord:
        """Return the record of a run that starts now."""
        return cls(
            run_id=run.run_id,
            pipeline=run.pipeline,
            engine=run.engine,
            targets=targets,
            parameters=flatten_plain(run.parameters),  # unredacted, because a resumed run needs them
            state="running",
            started_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            process=os.getpid(),
            commit=started_from.commit,
            dirty=started_from.dirty,
            user=started_from.user,
            machine=platform.node(),
        )

    def begun_at(self, moment: datetime.datetime) -> RunRecord:
        """Return the record with an earlier start."""
        return msgspec.structs.replace(
            self, started_at=moment.astimezone(datetime.UTC).isoformat(timespec="seconds")
        )

    def interrupted(self) -> RunRecord:
        """Return the record of a run that was interrupted."""
        tasks = [task.interrupted() for task in self.tasks]
        return msgspec.structs.replace(self, state="interrupted", tasks=tasks)

    def given_up(self) -> RunRecord:
        """Return the record of a run that failed because of its engine, the store or a service."""
        return msgspec.structs.replace(self.interrupted(), state="failed")

    def ended(self, report: RunReport) -> RunRecord:
        """Return the record of a run that finished."""
        started_at = {task.task: task.started_at for task in self.tasks}
        return msgspec.structs.replace(
            self,
            state="succeeded" if report.is_good else "failed",
            duration_s=report.duration_s,
            tracking_run_id=report.tracking_run_id,
            facts=list(report.facts),
            tasks=[TaskRecord.of(task, started_at.get(task.task, "")) for task in report.tasks],
        )


@contextmanager
def running(home: Path, record: RunRecord) -> Iterator[None]:
    """Write the record of a run that starts, and mark it as in progress until the block ends.

    The block must write the final record.

    Raises
    ------
    Unavailable
        If the record cannot be written.
    """
    with ExitStack() as stack:
        try:
            for left in _folder(home).glob(f"*{_IN_PROGRESS}"):
                if not is_at_work(left):  # from a killed run
                    left.unlink(missing_ok=True)
            stack.enter_context(at_work(_folder(home) / f"{record.run_id}{_IN_PROGRESS}"))
        except OSError as error:
            raise _unwritable(home, record, error) from error
        write_run(home, record)
        yield


def write_run(home: Path, record: RunRecord) -> None:
    """Write the record of a run, readable only by its owner: parameters may hold secrets.

    Raises
    ------
    Unavailable
        If it cannot be written.
    """
    path = _folder(home) / f"{record.run_id}.json"
    try:
        write_atomically(path, msgspec.json.encode(record), mode=0o600)
    except OSError as error:
        raise _unwritable(home, record, error) from error


def read_run(home: Path, run_id: str) -> RunRecord:
    """Return the record of a run, or of the latest one if `run_id` is ``"latest"``.

    Raises
    ------
    UsageError
        If the run does not exist.
    """
    names = sorted(path.stem for path in _paths(home))
    if run_id == "latest":
        found = next(iter(list_runs(home, 1)), None)
    else:
        found = _read(_folder(home) / f"{run_id}.json") if run_id in names else None
    if found is None:
        raise UsageError(
            f"run '{run_id}' does not exist in {home}{nearest(run_id, names)}", "list them with: baton status"
        )
    return found


def has_record(home: Path, run_id: str) -> bool:
    """Return whether this folder has the record of a run."""
    return "/" not in run_id and (_folder(home) / f"{run_id}.json").is_file()


def has_ended(home: Path, run_id: str) -> bool:
    """Return whether a run is known to have ended."""
    record = _read(_folder(home) / f"{run_id}.json")
    return record is not None and record.state != "running"


def list_runs(home: Path, limit: int) -> tuple[RunRecord, ...]:
    """Return the latest `limit` runs, newest first; unreadable records are left out."""
    return tuple(islice(_newest(home), min(max(limit, 0), sys.maxsize)))


def last_tasks(home: Path, pipeline: str, task: str) -> Iterator[tuple[RunRecord, TaskRecord]]:
    """Yield the task's records in the latest runs that included it, newest first."""
    yield from _last_tasks(home).get((pipeline, task), ())


_LastTasks = dict[tuple[str, str], list[tuple[RunRecord, TaskRecord]]]
_kept: dict[Path, tuple[int, _LastTasks]] = {}
"""What `_last_tasks` found, with the time at which the folder changed last."""


def _last_tasks(home: Path) -> _LastTasks:
    """Return the records of each task by pipeline and name, read once while the folder stays the same."""
    folder = _folder(home)
    try:
        changed_ns = folder.stat().st_mtime_ns
    except OSError:
        return {}
    kept = _kept.get(folder)
    if kept is not None and kept[0] == changed_ns:
        return kept[1]
    found: _LastTasks = {}
    for record in islice(_newest(home), _LOOK_BACK):
        for one in record.tasks:
            found.setdefault((record.pipeline, one.task), []).append((record, one))
    if time.time_ns() - changed_ns > _SETTLED_NS:
        _kept[folder] = changed_ns, found
    return found


def _newest(home: Path) -> Iterator[RunRecord]:
    paths = sorted(_paths(home), reverse=True)
    return (record for record in map(_read, paths) if record is not None)


def _paths(home: Path) -> list[Path]:
    try:
        return list(_folder(home).glob("*.json"))
    except OSError as error:
        raise Unavailable(
            f"the folder {home} cannot be read: {error.strerror}",
            "choose another folder for baton's files: --home FOLDER, or BATON_HOME",
        ) from error


def _read(path: Path) -> RunRecord | None:
    record = _decode(path)
    if record is None or record.state != "running" or is_at_work(path.with_suffix(_IN_PROGRESS)):
        return record
    record = _decode(path)  # read again: it may have ended just now
    return record.interrupted() if record is not None and record.state == "running" else record


def _decode(path: Path) -> RunRecord | None:
    try:
        return decode_record(path.read_bytes(), RunRecord)
    except OSError:
        return None


def _unwritable(home: Path, record: RunRecord, error: OSError) -> Unavailable:
    return Unavailable(
        f"the run's record {_folder(home) / record.run_id}.json cannot be written: {error.strerror}",
        "free space, or choose another folder for baton's files: --home FOLDER",
    )


def _folder(home: Path) -> Path:
    return home / "runs"
