"""The store as task runs see it: artifacts by reference, and whether work was done before."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from baton.core.artifact import FILE_KIND, FILES_KIND, Artifact, Kind
from baton.core.execute import CacheDecision, CacheEntry, TaskRun
from baton.core.outcome import TaskReport
from baton.core.parameters import flatten
from baton.core.task import Task
from baton.errors import CorruptObject, StoreError
from baton.store.code import CodeReader
from baton.store.effects import EffectMemory, EffectRecord
from baton.store.index import Entry, Index
from baton.store.key import Work, describe_work
from baton.store.locks import Locks
from baton.store.objects import ObjectStore


class Store:
    """Implements `baton.core.execute.ArtifactStore`.

    Parameters
    ----------
    url : str
        As for `ObjectStore`.
    home : Path
        The project's own folder, for what is not shared: a mirror of a remote store's objects, and
        summaries of sources.
    """

    def __init__(self, url: str, home: Path) -> None:
        self.objects = ObjectStore(url, mirror=home / "mirror")
        self.index = Index(self.objects)
        self.code = CodeReader(home / "sources")
        self.effects = EffectMemory(home / "effects")
        self._locks = Locks(self.objects.local_folder("locks") or home / "locks")
        self._views = home / "views"
        self._works: dict[str, Work] = {}

    def save(self, name: str, kind: type[Kind], value: Any) -> Artifact:
        """Store a value; see `ArtifactStore.save`."""
        if kind is FILES_KIND:
            return self._save_files(name, value)
        with self.objects.new_file() as path:
            kind.write(value, path)
            digest, size = self.objects.put(path)
        return Artifact(name, kind.name, digest, size)

    def load(self, artifact: Artifact, kind: type[Kind]) -> Any:
        """Load a value; see `ArtifactStore.load`."""
        path = self.objects.path_of(artifact.digest)
        if kind is FILES_KIND:
            return self._view(artifact)
        return kind.read(path)

    def has(self, artifact: Artifact) -> bool:
        """Whether every object of an artifact is there, without reading the large ones."""
        if not self.objects.has(artifact.digest):
            return False
        if artifact.kind != FILES_KIND.name:
            return True
        try:
            return all(self.objects.has(digest) for digest in self._members(artifact).values())
        except (CorruptObject, StoreError):
            return False

    def work(
        self, task: Task[..., Any], inputs: Mapping[str, Artifact], parameters: Mapping[str, Any]
    ) -> Work:
        """Return everything that the result of a pure task depends on."""
        return describe_work(task, inputs, parameters, self.code)

    def decide(
        self,
        task: Task[..., Any],
        inputs: Mapping[str, Artifact],
        parameters: Mapping[str, Any],
        *,
        use: bool,
        world: str = "",
    ) -> CacheDecision:
        """Say whether a remembered result can be used; see `ArtifactStore.decide`."""
        if task.effect:
            if not world:
                return CacheDecision("", None, "an effect always runs")
            return self._decide_effect(task, self.work(task, inputs, parameters), use, world)
        work = self.work(task, inputs, parameters)
        key = work.key
        self._works[key] = work
        if not use:
            return CacheDecision(key, None, "the cache is not used")
        if not work.reach.is_known:
            return CacheDecision(key, None, f"never remembered: {'; '.join(work.reach.unresolved)}")
        entry = self.index.get(key)
        if entry is None:
            return CacheDecision(key, None, "nothing remembered for this code, parameters and inputs")
        outputs = {name: Artifact.from_dict(fields) for name, fields in entry.outputs.items()}
        missing = [name for name, artifact in outputs.items() if not self.has(artifact)]
        if missing:
            return CacheDecision(key, None, f"its output '{missing[0]}' is missing from the store")
        facts = tuple((label, value) for label, value in entry.facts)
        return CacheDecision(key, CacheEntry(outputs, facts), f"computed by run {entry.run_id}")

    def _decide_effect(self, task: Task[..., Any], work: Work, use: bool, world: str) -> CacheDecision:
        key = work.key
        self._works[key] = work
        record = self.effects.last(world, task.name)
        reason = ""
        if not use:
            reason = "the cache is not used"
        elif not work.reach.is_known:
            reason = f"never remembered: {'; '.join(work.reach.unresolved)}"
        elif record is None:
            reason = "not done before from this folder"
        elif record.key != key:
            reason = f"its code, parameters or inputs are not those of run {record.run_id}"
        elif record.missing_product is not None:
            reason = f"{record.missing_product}, which it made, is gone"
        if record is None or reason:
            return CacheDecision(key, None, reason)
        outputs = {name: Artifact.from_dict(fields) for name, fields in record.outputs.items()}
        missing = [name for name, artifact in outputs.items() if not self.has(artifact)]
        if missing:
            return CacheDecision(key, None, f"its output '{missing[0]}' is missing from the store")
        entry = CacheEntry(
            outputs, tuple((label, value) for label, value in record.facts), record.tracking_run_id
        )
        return CacheDecision(key, entry, f"done by run {record.run_id}")

    @contextmanager
    def claim(self, decision: CacheDecision, on_wait: Callable[[], None]) -> Iterator[bool]:
        """Keep others from doing the same work; see `ArtifactStore.claim`."""
        if not self._works[decision.key].reach.is_known:
            yield False  # never remembered, so there is nothing to share
            return
        with self._locks.hold(decision.key, on_wait) as waited:
            yield waited or self.index.get(decision.key) is not None

    def remember(
        self, task: Task[..., Any], decision: CacheDecision, report: TaskReport, run: TaskRun
    ) -> None:
        """Remember a finished pure task; see `ArtifactStore.remember`."""
        work = self._works[decision.key]
        if self.code.reach(task.function).parts != work.reach.parts or not work.reach.is_known:
            return  # edited while it ran, or unreadable: nobody knows which code made this
        if task.effect:
            self._remember_effect(task, decision, report, run)
            return
        self.index.put(
            Entry(
                key=decision.key,
                task=task.name,
                pipeline=run.pipeline,
                run_id=run.run_id,
                engine=run.engine,
                outputs={name: artifact.as_dict() for name, artifact in report.outputs.items()},
                facts=list(report.facts),
                parameters=_plain(work.parameters),
                inputs=work.inputs,
                code=work.reach.parts,
                packages=work.reach.packages,
                unresolved=list(work.reach.unresolved),
                world=work.version,
                finished_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                duration_s=report.duration_s,
            )
        )

    def _remember_effect(
        self, task: Task[..., Any], decision: CacheDecision, report: TaskReport, run: TaskRun
    ) -> None:
        self.effects.put(
            run.world,
            EffectRecord(
                key=decision.key,
                pipeline=run.pipeline,
                task=task.name,
                run_id=run.run_id,
                tracking_run_id=report.tracking_run_id,
                outputs={name: artifact.as_dict() for name, artifact in report.outputs.items()},
                facts=list(report.facts),
                products=list(report.products),
            ),
        )

    def code_digest(self, tasks: tuple[Task[..., Any], ...]) -> str:
        """Return one digest of the code that `tasks` can reach, 64 hexadecimal digits."""
        parts: dict[str, str] = {}
        for task in tasks:
            parts.update(self.code.reach(task.function).parts)
        listed = "\n".join(f"{name}={digest}" for name, digest in sorted(parts.items()))
        return hashlib.sha256(listed.encode()).hexdigest()

    def _save_files(self, name: str, value: Any) -> Artifact:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected a mapping of names to paths, got {type(value).__qualname__}")
        members: dict[str, str] = {}
        total = 0
        for member, source in sorted(value.items()):
            if not _stays_inside(member):
                raise TypeError(f"file name {member!r} is not a path below its folder")
            if any(parent.as_posix() in value for parent in PurePosixPath(member).parents):
                raise TypeError(f"file name {member!r} lies below another file's name")
            with self.objects.new_file() as path:
                FILE_KIND.write(source, path)
                members[member], size = self.objects.put(path)
                total += size
        with self.objects.new_file() as path:
            path.write_bytes(msgspec.json.encode(members, order="sorted"))
            digest, _ = self.objects.put(path)
        return Artifact(name, FILES_KIND.name, digest, total)

    def _view(self, artifact: Artifact) -> dict[str, Path]:
        """Return the members under their own names: links to the objects, made once."""
        folder = self._views / artifact.digest[:16]
        found: dict[str, Path] = {}
        for name, digest in self._members(artifact).items():
            found[name] = folder / name
            target = self.objects.path_of(digest)
            if found[name].exists():
                continue
            found[name].parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # another run made it in between
                found[name].unlink(missing_ok=True)
                found[name].symlink_to(target)
        return found

    def _members(self, artifact: Artifact) -> dict[str, str]:
        content = self.objects.path_of(artifact.digest).read_bytes()
        try:
            members = msgspec.json.decode(content, type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise StoreError(f"'{artifact.name}' is not the list of its files: {error}") from error
        outside = [name for name in members if not _stays_inside(name)]
        if outside:
            raise StoreError(f"file name {outside[0]!r} in '{artifact.name}' is not a path below its folder")
        return members


def _stays_inside(name: object) -> bool:
    """Whether a file's name is a plain relative path on every system."""
    if not isinstance(name, str) or not name.isprintable() or "\\" in name or ":" in name:
        return False
    return all(part not in ("", ".", "..") for part in name.split("/"))


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: flatten(value) if isinstance(value, msgspec.Struct) else value
        for name, value in parameters.items()
    }
