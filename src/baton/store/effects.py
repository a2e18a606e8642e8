"""Records of effects: the last success of each in an effect scope, on any engine or machine.

What counts about an effect is what it did, not what it returns.  So each effect of a pipeline has one
record per scope (`baton.core.effect_scope.EffectScope`): its last success.  The records are in the store,
under ``effects/``, where all machines see them.  Before an effect runs, its record is marked as started;
only a success clears the mark, because nobody knows what a failed or killed attempt left behind.

In a backfill (`baton.core.effect_scope.InBackfill`), each effect has a second record for the period: the
period's last success, which the effects of later periods do not replace.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from baton.core.effect_scope import UNKNOWN_STATE, EffectScope
from baton.core.execute import TaskRun
from baton.core.outcome import TaskReport
from baton.core.reasons import Cause, CauseKind
from baton.core.records import decode_record
from baton.core.task import Task
from baton.errors import Unavailable
from baton.store.fingerprint import fingerprint
from baton.store.index import Entry, are_artifacts, safe_name
from baton.store.objects import ObjectStore, digest_of
from baton.store.place import FileState
from baton.store.shown import without_secrets_in

AnyTask = Task[..., Any]

_VERSION = 3
_FOLDER = "effects"
_UNKNOWN = "unknown"


class EffectRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An effect's last success, and whether another attempt has started since.

    `attempt` identifies the attempt that wrote the record, `run_id` and `engine` tell whose it was, and
    `is_done` whether it succeeded.  The rest describes the last success: the cache key of its work, the
    tracking run and experiment that it added to, its inputs (`work`, whose ``world`` is the state of the
    world afterwards), and in `products`, per folder where it ran, the digest of each file that it left there
    for people.
    """

    version: int = _VERSION
    pipeline: str
    task: str
    attempt: str
    run_id: str
    engine: str
    is_done: bool = False
    key: str = ""
    tracking_run_id: str = ""
    experiment: str = ""
    products: dict[str, dict[str, str]] = {}
    work: Entry | None = None

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        """References to the outputs of the last success, by name."""
        return {} if self.work is None else self.work.outputs


class EffectMemory:
    """Stores the last success of each effect in each scope.

    Parameters
    ----------
    objects : ObjectStore
        Where the records are kept.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._begun: dict[tuple[str, str], _Begun] = {}
        """The attempts started here, by run and task."""

    def last(self, scope: EffectScope, task: str) -> EffectRecord | None:
        """Return the record of an effect; None if it is missing, malformed or of another version."""
        return self._read(_name(scope, task))

    def of_period(self, scope: EffectScope, task: str) -> EffectRecord | None:
        """Return the record of an effect for the scope's period, like `last`."""
        return self._read(_name_for_period(scope, task)) if scope.backfill is not None else None

    def _read(self, name: str) -> EffectRecord | None:
        content = self._objects.place.read(name)
        return None if content is None else _decode(content)

    def begin(self, task: AnyTask, run: TaskRun) -> None:
        """Record, before an effect runs, that its state is unknown until it succeeds.

        Raises
        ------
        StoreError
            If that fails; then the effect must not run.
        """
        scope = run.effect_scope
        if scope is None:
            return
        with contextlib.suppress(Unavailable):  # then nobody finds the folder again: the effect runs again
            scope.folder.keep()
        attempt = _new_attempt()
        found = [(one, self.last(scope, one.name)) for one in scope.effects_before(task.name) if one.version]
        held = [(one, last.attempt) for one, last in found if last and _still_holds(last, one, run, scope)]
        last = self.last(scope, task.name)
        begun = EffectRecord(
            pipeline=scope.pipeline, task=task.name, attempt=attempt, run_id=run.run_id, engine=run.engine
        )
        if last is not None:
            elsewhere = {place: left for place, left in last.products.items() if place != scope.folder.id}
            begun = msgspec.structs.replace(
                last,
                attempt=attempt,
                run_id=run.run_id,
                engine=run.engine,
                is_done=False,
                products=elsewhere,
            )
        if scope.backfill is not None:
            self._objects.place.remove([_name_for_period(scope, task.name)])
        self._put(scope, begun)
        self._begun[run.run_id, task.name] = _Begun(attempt, tuple(held))

    def succeed(self, task: AnyTask, entry: Entry, report: TaskReport, run: TaskRun) -> None:
        """Record a success, unless another attempt has started since: then it is unclear who acted last."""
        scope = run.effect_scope
        begun = self._begun.pop((run.run_id, task.name), None)
        last = self.last(scope, task.name) if scope is not None else None
        if scope is None or begun is None or last is None:
            return
        if last.attempt != begun.attempt:
            unknown = msgspec.structs.replace(last, attempt=_new_attempt(), is_done=False)
            self._put(scope, unknown)  # the other attempt sees it, too
            return
        is_same = (last.key, last.experiment) == (entry.key, scope.experiment)
        left = {_named(Path(path), scope): _digest_of(Path(path)) for path in report.products}
        done = msgspec.structs.replace(
            last,
            is_done=True,
            key=entry.key,
            tracking_run_id=report.tracking_run_id,
            experiment=scope.experiment,
            products={**(last.products if is_same else {}), scope.folder.id: left},
            work=_in_state(entry, scope.state(task, run.seen_by(task))),
        )
        self._put(scope, done)
        if scope.backfill is not None:
            self._objects.place.write(_name_for_period(scope, task.name), msgspec.json.encode(done))
        for one, attempt in begun.held:
            # When this effect started, the world was as the earlier one left it: it made any change since.
            record = self.last(scope, one.name)
            if record is not None and record.attempt == attempt and record.work is not None:
                state = scope.state(one, run.seen_by(one))
                self._put(scope, msgspec.structs.replace(record, work=_in_state(record.work, state)))

    def faults(self, record: EffectRecord, task: AnyTask, scope: EffectScope) -> list[Cause]:
        """Return why the results of an effect's last success are no longer as it left them."""
        if not record.is_done:
            return [Cause(CauseKind.UNFINISHED, record.run_id)]
        if task.tracking is not None:
            if record.experiment != scope.experiment:
                return [Cause(CauseKind.SETTING, "experiment", record.experiment, scope.experiment)]
            try:
                if record.tracking_run_id and not scope.registry.has_run(record.tracking_run_id):
                    return [Cause(CauseKind.TRACKING_RUN, record.tracking_run_id)]
            except Unavailable as error:
                return [Cause(CauseKind.TRACKING_RUN, record.tracking_run_id, note=error.message)]
        if scope.backfill is not None and record.run_id < scope.backfill.since:
            return [Cause(CauseKind.ORDER)]
        if scope.is_replaced:
            return []
        left = record.products.get(scope.folder.id)
        if left is None and (task.tracking is None or any(record.products.values())):
            return [Cause(CauseKind.NEVER_BUILT, "not done before from this folder")]
        return [
            Cause(CauseKind.PRODUCT, before=digest, after=now, place=_shown(name, scope))
            for name, digest in (left or {}).items()
            if (now := _digest_of(_path_of(name, scope)) or None) != digest or digest == _UNKNOWN
        ]

    def files(self) -> list[FileState]:
        """Return the record files of every scope."""
        return [file for file in self._objects.place.files(_FOLDER) if file.name.endswith(".json")]

    def records(self, files: Iterable[FileState] | None = None) -> dict[str, EffectRecord]:
        """Return the records of all scopes, or those in the given files, by file name."""
        names = [file.name for file in (self.files() if files is None else files)]
        found = {name: _decode(content) for name, content in self._objects.place.read_all(names).items()}
        return {name: record for name, record in found.items() if record is not None}

    def forget(self, scope: EffectScope, tasks: Iterable[str]) -> None:
        """Delete the records of effects in a scope, those for the periods of backfills too."""
        names = [_name(scope, task) for task in tasks]
        of_periods = tuple(f"{name.removesuffix('.json')}@" for name in names)
        found = [file.name for file in self.files() if file.name.startswith(of_periods)]
        self._objects.place.remove([*names, *found])

    def _put(self, scope: EffectScope, record: EffectRecord) -> None:
        self._objects.place.write(_name(scope, record.task), msgspec.json.encode(record))


class _Begun(NamedTuple):
    """An attempt, and the attempts of the effects before it whose state of the world still held."""

    attempt: str
    held: tuple[tuple[AnyTask, str], ...]


def _new_attempt() -> str:
    return os.urandom(8).hex()


def _still_holds(record: EffectRecord, task: AnyTask, run: TaskRun, scope: EffectScope) -> bool:
    """Whether the world is still as an effect's last success left it."""
    if not record.is_done or record.work is None:
        return False
    return record.work.world_digest == state_digest(scope.state(task, run.seen_by(task)))


def state_digest(state: str) -> str:
    """Return the digest that states of the world are compared by; an unknown state has none."""
    return _UNKNOWN if state.startswith(UNKNOWN_STATE) else fingerprint(state)


def _in_state(entry: Entry, state: str) -> Entry:
    """Return an effect's entry with the state of the world after it."""
    digest = "" if state.startswith(UNKNOWN_STATE) else state_digest(state)
    return msgspec.structs.replace(entry, world=without_secrets_in(state), world_digest=digest)


def _name(scope: EffectScope, task: str) -> str:
    return f"{_FOLDER}/{scope.key}/{safe_name(scope.pipeline)}/{task}.json"


def _name_for_period(scope: EffectScope, task: str) -> str:
    assert scope.backfill is not None
    return _name(scope, f"{task}@{scope.backfill.period}")


def _decode(content: bytes) -> EffectRecord | None:
    record = decode_record(content, EffectRecord)
    return record if record and record.version == _VERSION and are_artifacts(record.outputs) else None


def _named(path: Path, scope: EffectScope) -> str:
    """Return a product's path relative to a project folder, whose location differs between machines."""
    for root, folder in scope.roots.items():
        if path.is_relative_to(folder):
            return f"{root}:{path.relative_to(folder).as_posix()}"
    return f":{path}"


def _path_of(name: str, scope: EffectScope) -> Path:
    root, _, below = name.partition(":")
    return scope.roots[root] / below if root in scope.roots else Path(below)


def _shown(name: str, scope: EffectScope) -> str:
    """Return a product's path as a user in the project folder would write it."""
    path, project = _path_of(name, scope), scope.roots["project"]
    return str(path.relative_to(project) if path.is_relative_to(project) else path)


def _digest_of(path: Path) -> str:
    """Return the digest of a file, or of all files in a folder; empty if neither exists."""
    try:
        if not path.is_dir():
            return digest_of(path)
        inside = (one for one in sorted(path.rglob("*")) if one.is_file())
        listed = {one.relative_to(path).as_posix(): digest_of(one) for one in inside}
    except FileNotFoundError:
        return ""
    except OSError:
        return _UNKNOWN
    return hashlib.sha256(
        "\n".join(f"{name} {digest}" for name, digest in listed.items()).encode()
    ).hexdigest()
