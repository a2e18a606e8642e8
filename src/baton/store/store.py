"""The store as task runs see it: artifacts by reference, and which work is already done."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import msgspec

from baton.codetrace.facts import DigestMemory, NotObservable, Observations, changed, collect
from baton.codetrace.observing import watching
from baton.codetrace.reader import CodeReader
from baton.codetrace.unsteady import doubts
from baton.core.artifact import Artifact, Kind
from baton.core.effect_scope import EffectScope
from baton.core.execute import CacheDecision, CacheEntry, Folders, Observed, TaskRun
from baton.core.external import External, at
from baton.core.outcome import TaskReport
from baton.core.pruning import Curve
from baton.core.reasons import Cause, CauseKind, by_importance, in_one_line
from baton.core.task import Task
from baton.errors import CorruptObject, StoreError, TaskError, Unavailable
from baton.kinds.plain import FILE_KIND, FILES_KIND, FOLDER_KIND, OF_SEVERAL_FILES, files_below
from baton.store.differences import described, differences, place_of
from baton.store.effects import EffectMemory, state_digest
from baton.store.external import ExternalContent, Models, shown
from baton.store.fingerprint import fingerprint
from baton.store.first_difference import first_difference
from baton.store.held_code import code_inside, digest_of_all, digests_of_code
from baton.store.index import Entry, Index
from baton.store.key import RULE_VERSION, Work, describe_work
from baton.store.local import take_over
from baton.store.locks import Locks
from baton.store.objects import ObjectStore
from baton.store.shown import without_secrets_in
from baton.store.texts import CodeTexts


class RanTask(NamedTuple):
    """A pure task's run: its key, and why it kept its result out of the cache, else empty."""

    key: str
    unremembered: str


class Store:
    """Implements `baton.core.execute.ArtifactStore`.

    Parameters
    ----------
    url : str
        As for `ObjectStore`.
    home : Path
        The project's own folder, for what is not shared: a cache of a remote store's objects and
        summaries of sources.
    pipeline : str
        The pipeline whose earlier work is compared with current work.
    last_runs : callable
        Returns the task's latest runs in this project, newest first; if the store knows none of
        them, the task's latest entry from any project that shares the store is used.
    aws_profile : str, optional
        As for `ObjectStore`.
    code : CodeReader, optional
        Reads the tasks' code; one of its own unless given.
    """

    def __init__(
        self,
        url: str,
        home: Path,
        pipeline: str = "",
        last_runs: Callable[[str], Iterable[RanTask]] = lambda _task: (),
        aws_profile: str | None = None,
        code: CodeReader | None = None,
    ) -> None:
        self.objects = ObjectStore(url, home / "mirror", aws_profile)
        self.index = Index(self.objects)
        self.code = code or CodeReader(home / "sources")
        self.effects = EffectMemory(self.objects)
        self._locks = Locks(self.objects.local_folder("locks") or home / "locks")
        self.texts = CodeTexts(self.objects, self.code)
        self._pipeline = pipeline
        self._last_runs = last_runs
        self._views = home / "views"
        self._home = home
        self._works: dict[str, Work] = {}
        self._observed: dict[str, Observations] = {}
        self._digests = DigestMemory(home / "digests.json")
        self.project = home.parent
        """The project's folder, the base of observed files' relative paths."""
        self.models: Callable[[], Models] = _no_models
        """Returns what finds registered models."""
        self._aws_profile = aws_profile
        self._held: dict[str, dict[str, str]] = {}
        """The code inside values saved here, by its combined digest."""

    def save(self, name: str, kind: type[Kind], value: Any, scratch: Path | None = None) -> Artifact:
        """Store a value; see `ArtifactStore.save`."""
        if kind is FILES_KIND or kind is FOLDER_KIND:
            files = files_below(value) if kind is FOLDER_KIND else value
            return self._save_files(name, kind, files, scratch)
        with self.objects.new_file() as path:
            if not (kind is FILE_KIND and take_over(value, path, scratch)):
                kind.write(value, path)
            digest, size = self.objects.put(path)
        held = code_inside(kind, value, self.code)
        code = digest_of_all(held)
        self._held[code] = held
        return Artifact(name, kind.name, digest, size, code, _suffix_of(kind, value))

    def load(self, artifact: Artifact, kind: type[Kind]) -> Any:
        """Load a value; see `ArtifactStore.load`."""
        path = self.objects.path_of(artifact.digest)
        if kind is FILES_KIND:
            return self._view(artifact)
        if kind is FOLDER_KIND:
            self._view(artifact)
            return self._views / artifact.digest[:16]
        suffix = artifact.suffix or (kind.suffix if kind.gives_path else "")
        if suffix:
            named = self._views / artifact.digest[:16] / f"{artifact.name}{suffix}"
            _link(named, path)
            return named
        return kind.read(path)

    def difference(self, one: Artifact, other: Artifact, kind: type[Kind]) -> str:
        """Describe the first difference of two values; see `ArtifactStore.difference`."""
        if one.digest == other.digest:
            return "the code that it refers to"
        try:
            paths = [self.objects.path_of(artifact.digest) for artifact in (one, other)]
        except StoreError as error:
            return error.message
        return first_difference(kind, paths[0], paths[1])

    def has(self, artifact: Artifact) -> bool:
        """Whether every object of an artifact exists in its full size, without reading the large ones."""
        return self.fault_of(artifact) is None

    def fault_of(self, artifact: Artifact) -> CauseKind | None:
        """Return whether an artifact is ``MISSING`` or, by its size, ``CORRUPT``, or None."""
        return self._faults_of([artifact])[0]

    def _faults_of(self, artifacts: Iterable[Artifact]) -> list[CauseKind | None]:
        """Return the fault of each artifact, with one request for all sizes."""
        parts = [(artifact, self._parts(artifact)) for artifact in artifacts]
        known = [digests for _, digests in parts if not isinstance(digests, CauseKind)]
        sizes = self.objects.sizes(itertools.chain(*known, (artifact.digest for artifact, _ in parts)))
        return [_fault(artifact, digests, sizes) for artifact, digests in parts]

    def _parts(self, artifact: Artifact) -> tuple[str, ...] | CauseKind:
        """Return the digests of the objects that hold an artifact's values, or why they are unknown."""
        if artifact.kind not in OF_SEVERAL_FILES:
            return (artifact.digest,)
        try:
            return tuple(self._members(artifact).values())
        except CorruptObject:
            return CauseKind.CORRUPT
        except StoreError:
            return CauseKind.CORRUPT if self.objects.has(artifact.digest) else CauseKind.MISSING

    def work(
        self,
        task: Task[..., Any],
        inputs: Mapping[str, Artifact],
        parameters: Mapping[str, Any],
        scope: EffectScope | None = None,
    ) -> Work:
        """Return everything that a task's result depends on; for an effect, in its scope."""
        work = describe_work(task, inputs, parameters, self.code)
        if task.external is not None:
            external = at(task.external, parameters.values())
            return replace(work, version=self._external.state(external), external=shown(external))
        return replace(work, version=scope.state(task, parameters)) if task.effect and scope else work

    def decide(
        self,
        task: Task[..., Any],
        inputs: Mapping[str, Artifact],
        parameters: Mapping[str, Any],
        *,
        use: bool,
        scope: EffectScope | None = None,
    ) -> CacheDecision:
        """Decide whether a cached result can be used; see `ArtifactStore.decide`."""
        if task.effect and scope is None:
            return _missed("", [Cause(CauseKind.EFFECT)])
        if task.effect and scope is not None and not scope.skips_done:
            return self._repeat_effect(task, inputs, parameters, scope)
        work = self.work(task, inputs, parameters, scope)
        key = work.key
        self._works[key] = work
        if not use:
            return _missed(key, [Cause(CauseKind.CACHE_OFF)])
        if not work.reach.is_known:
            return _missed(key, [_unreadable(work)])
        if task.effect and scope is not None:
            return self._decide_effect(task, work, scope)
        entry = self.index.get(key)
        if entry is None:
            return _missed(key, self.changes(task, work))
        if not _are_outputs_of(task, entry.outputs):
            return _missed(key, [Cause(CauseKind.CORRUPT)])
        changes = self._changes_seen(task, entry)
        if changes:
            return _missed(key, changes)
        outputs = {name: Artifact.from_dict(fields) for name, fields in entry.outputs.items()}
        faults = [*self._faults(outputs), *self._changes_inside(entry)]
        if faults:
            return _missed(key, faults)
        facts = tuple((label, value) for label, value in entry.facts)
        return CacheDecision(key, CacheEntry(outputs, facts), f"computed by run {entry.run_id}")

    def _changes_seen(self, task: Task[..., Any], entry: Entry) -> list[Cause]:
        """Return the observations of an entry that no longer hold."""
        return list(
            changed(
                entry.observed, entry.code, self.code, task.function, self.project, self._digests, place_of
            )
        )

    @contextmanager
    def observing(
        self, task: Task[..., Any], decision: CacheDecision, folders: Folders
    ) -> Iterator[Observed]:
        """Watch a pure task while it runs; see `ArtifactStore.observing`."""
        observed = Observed()
        work = self._works.get(decision.key)
        if task.effect or work is None or task.external is not None:
            yield observed
            return
        ignored = [self._home, folders.scratch]
        own = self.objects.local_folder("")
        reach = work.reach
        folders_ignored = tuple(str(folder) for folder in [*ignored, own] if folder is not None)
        with watching(folders_ignored, reach.parts) as seen:
            yield observed
        warnings, reasons = doubts(seen, reach, has_version=task.version is not None)
        observed.warnings += warnings
        observed.unremembered += reasons
        try:
            self._observed[decision.key] = collect(seen, reach, self.code, task.function, self.project)
        except NotObservable as error:
            observed.unremembered.append(error.reason)

    @property
    def _external(self) -> ExternalContent:
        return ExternalContent(self.project, self._digests, self.models, self._aws_profile)

    def fetch(self, task: Task[..., Any], parameters: Mapping[str, Any], scratch: Path) -> Path:
        """Return the content of an external input; see `ArtifactStore.fetch`."""
        assert task.external is not None
        return self._external.fetch(at(task.external, parameters.values()), scratch)

    def require_unchanged(
        self, task: Task[..., Any], parameters: Mapping[str, Any], decision: CacheDecision, stored: Artifact
    ) -> None:
        """Refuse an external input that changed; see `ArtifactStore.require_unchanged`."""
        assert task.external is not None
        external = at(task.external, parameters.values())
        digests = self._members(stored) if stored.kind in OF_SEVERAL_FILES else {"": stored.digest}
        if not self._external.is_content(external, self._works[decision.key].version, digests):
            raise TaskError(
                f"the {shown(external)} changed while it was read",
                "run again once nothing writes to it",
            )

    def files_of(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, given as a path or URL."""
        return self._external.files_of(External("folder", folder))

    def require_external(self, task: Task[..., Any], parameters: Mapping[str, Any]) -> None:
        """Raise `baton.errors.UsageError` if a local external input does not exist."""
        assert task.external is not None
        self._external.require(at(task.external, parameters.values()))

    def external_artifact(self, task: Task[..., Any], parameters: Mapping[str, Any]) -> Artifact | None:
        """Return the reference that a local external input will have; None if it must be fetched first."""
        assert task.external is not None
        external = at(task.external, parameters.values())
        digests = self._external.digests(external)
        if digests is None:
            return None
        ((name, kind),) = task.outputs.items()
        size = self._external.size(external)
        if kind in (FILES_KIND, FOLDER_KIND):
            return Artifact(name, kind.name, hashlib.sha256(_listing(digests)).hexdigest(), size)
        return Artifact(name, kind.name, digests[""], size, "", _suffix_of(kind, Path(external.address)))

    def _repeat_effect(
        self,
        task: Task[..., Any],
        inputs: Mapping[str, Artifact],
        parameters: Mapping[str, Any],
        scope: EffectScope,
    ) -> CacheDecision:
        """Return the decision for an effect that must run, with the key to record it under."""
        try:
            work = self.work(task, inputs, parameters, scope)
            key = work.key
        except Exception:  # it runs anyway, unrecorded
            return _missed("", [Cause(CauseKind.EFFECT)])
        self._works[key] = work
        return _missed(key, [Cause(CauseKind.EFFECT)])

    def _decide_effect(self, task: Task[..., Any], work: Work, scope: EffectScope) -> CacheDecision:
        find = self.effects.of_period if scope.is_replaced else self.effects.last
        record = find(scope, task.name)
        if record is None:
            return _missed(work.key, self.changes(task, work, scope=scope))
        causes = self.effects.faults(record, task, scope)
        done = record.work
        if done is None:
            return _missed(work.key, causes)
        is_elsewhere = not scope.is_replaced and state_digest(work.version) != done.world_digest
        if record.key != work.key or is_elsewhere:
            causes += differences(work, done)
        if causes or not _are_outputs_of(task, done.outputs):
            return _missed(work.key, causes or [Cause(CauseKind.CORRUPT)])
        outputs = {name: Artifact.from_dict(fields) for name, fields in done.outputs.items()}
        faults = [*self._faults(outputs), *self._changes_inside(done)]
        if faults:
            return _missed(work.key, faults)
        facts = tuple((label, value) for label, value in done.facts)
        entry = CacheEntry(outputs, facts, record.tracking_run_id)
        return CacheDecision(work.key, entry, f"done by run {record.run_id}")

    def _changes_inside(self, entry: Entry) -> list[Cause]:
        """Return the code inside outputs, see `Kind.code`, that has changed since they were made."""
        found = []
        for output, then in entry.held.items():
            now = digests_of_code(then, self.code)
            found += [
                Cause(CauseKind.CODE, label, then[label], now[label], place_of(label), f"inside '{output}'")
                for label in then
                if now[label] != then[label]
            ]
        return found

    def _faults(self, outputs: Mapping[str, Artifact]) -> list[Cause]:
        faults = zip(outputs, self._faults_of(outputs.values()), strict=True)
        return [Cause(fault, name) for name, fault in faults if fault is not None]

    @contextmanager
    def claim(self, decision: CacheDecision, on_wait: Callable[[], None]) -> Iterator[bool]:
        """Keep others from doing the same work; see `ArtifactStore.claim`."""
        if not self._works[decision.key].reach.is_known:
            yield False  # never cached, so nothing to share
            return
        with self._locks.hold(decision.key, on_wait) as waited:
            yield waited or self.index.get(decision.key) is not None

    def begin_effect(self, task: Task[..., Any], run: TaskRun) -> None:
        """Record that an effect starts; see `ArtifactStore.begin_effect`."""
        self.effects.begin(task, run)

    def work_of(self, decision: CacheDecision) -> Work | None:
        """Return the work that a decision of this store is about; None for an effect that always runs."""
        return self._works.get(decision.key)

    def changes(
        self,
        task: Task[..., Any],
        work: Work,
        *,
        unknown_inputs: Collection[str] = (),
        scope: EffectScope | None = None,
    ) -> tuple[Cause, ...]:
        """Return how work differs from the task's last run, or from its latest entry.

        Parameters
        ----------
        task : Task
            The task.
        work : Work
            The current work, for which there is no entry.
        unknown_inputs : collection of str
            Inputs whose values are not known yet; if there are any, the result may be empty.
        scope : EffectScope, optional
            What an effect acts on.
        """
        if not work.reach.is_known:
            return (_unreadable(work),)
        last = next(self._earlier(task.name), None) if not task.effect else None
        is_same = last is not None and last.key == work.key and not unknown_inputs
        is_gone = is_same and self.index.get(work.key) is None
        earlier = None if is_gone else self.earlier(task, scope)
        if earlier is not None:
            found = [*differences(work, earlier, unknown_inputs), *self._changes_seen(task, earlier)]
            return self._relevant(found, earlier)
        if last is not None and is_gone and last.unremembered:
            return (Cause(CauseKind.UNCACHEABLE, last.unremembered),)
        if last is not None:
            return (Cause(CauseKind.MISSING),)
        return (Cause(CauseKind.NEVER_BUILT, "not done before from this folder" if task.effect else ""),)

    def _relevant(self, causes: Iterable[Cause], earlier: Entry) -> tuple[Cause, ...]:
        """Leave out code that merely became unreachable, if an edit elsewhere explains it."""
        causes = list(causes)
        edited = [c for c in causes if c.kind is CauseKind.CODE and None not in (c.before, c.after)]
        kept = []
        for cause in causes:
            if edited and cause.kind is CauseKind.CODE and cause.after is None:
                module = cause.subject.partition(":")[0]
                if earlier.sources.get(module) == self.texts.state_of(module):
                    continue
            kept.append(cause)
        return by_importance(dict.fromkeys(kept))

    def earlier(self, task: Task[..., Any], scope: EffectScope | None = None) -> Entry | None:
        """Return the entry to compare a task's work with, or None."""
        if task.effect:
            record = self.effects.last(scope, task.name) if scope is not None else None
            return record.work if record is not None else None
        entries = (self.index.get(ran.key) for ran in self._earlier(task.name))
        return next((entry for entry in entries if entry is not None), None)

    def entry_of(self, task: Task[..., Any], work: Work, scope: EffectScope | None = None) -> Entry | None:
        """Return the entry of work that is already done, or None."""
        return self.earlier(task, scope) if task.effect else self.index.get(work.key)

    def _earlier(self, task: str) -> Iterator[RanTask]:
        yield from self._last_runs(task)
        latest = self.index.latest_key(self._pipeline, task)
        if latest is not None:
            yield RanTask(latest, "")

    def damaged(self, artifact: Artifact) -> bool:
        """Whether an artifact's bytes do not match its digest; reads all, changes nothing."""
        if not self.objects.is_intact(artifact.digest):
            return True
        if artifact.kind not in OF_SEVERAL_FILES:
            return False
        return not all(self.objects.is_intact(digest) for digest in self._members(artifact).values())

    def remember(
        self,
        task: Task[..., Any],
        decision: CacheDecision,
        report: TaskReport,
        run: TaskRun,
        curve: Curve = (),
    ) -> None:
        """Record a finished task; see `ArtifactStore.remember`."""
        work = self._works[decision.key]
        if self._was_edited(task, work) or not work.reach.is_known:
            return  # edited while it ran, or unreadable: which code made this is unknown
        entry = msgspec.structs.replace(self._entry(work, decision.key, report, run), curve=list(curve))
        if task.effect:
            self.effects.succeed(task, entry, report, run)
        else:
            self.index.put(entry)

    def _was_edited(self, task: Task[..., Any], work: Work) -> bool:
        """Whether the code that a task reaches has changed since it started."""
        now = self.code.reach(task.function).parts
        return any(now.get(label) != digest for label, digest in work.reach.parts.items())

    def _entry(self, work: Work, key: str, report: TaskReport, run: TaskRun) -> Entry:
        values, digests = described(work.parameters)
        return Entry(
            key=key,
            task=work.task,
            pipeline=run.pipeline,
            run_id=run.run_id,
            engine=run.engine,
            outputs={name: artifact.as_dict() for name, artifact in report.outputs.items()},
            held={name: self._held[made.code] for name, made in report.outputs.items() if made.code},
            facts=list(report.facts),
            parameters=values,
            parameter_digests=digests,
            inputs=work.inputs,
            arguments=dict(work.arguments),
            readers=dict(work.readers),
            code=work.reach.parts,
            packages=work.reach.packages,
            unresolved=list(work.reach.unresolved),
            sources=self.texts.keep([*work.reach.parts, *self._observed.get(key, Observations()).code]),
            world=without_secrets_in(work.version),
            world_digest=fingerprint(work.version),
            rule=RULE_VERSION,
            python=work.python,
            finished_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            duration_s=report.duration_s,
            observed=self._observed.pop(key, Observations()),
        )

    def code_digest(self, tasks: tuple[Task[..., Any], ...]) -> str:
        """Return one digest of the code that `tasks` can reach, 64 hexadecimal digits."""
        parts: dict[str, str] = {}
        for task in tasks:
            if task.external is None:
                parts.update(self.code.reach(task.function).parts)
        listed = "\n".join(f"{name}={digest}" for name, digest in sorted(parts.items()))
        return hashlib.sha256(listed.encode()).hexdigest()

    def _save_files(self, name: str, kind: type[Kind], value: Any, scratch: Path | None) -> Artifact:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected a mapping of names to paths, got {type(value).__qualname__}")
        members: dict[str, str] = {}
        total = 0
        for member, source in sorted(value.items()):
            if not _stays_inside(member):
                raise TypeError(f"file name {member!r} is not a path below its folder")
            if any(parent.as_posix() in value for parent in PurePosixPath(member).parents):
                raise TypeError(f"file name {member!r} is below another file's name")
            with self.objects.new_file() as path:
                if not take_over(source, path, scratch):
                    FILE_KIND.write(source, path)
                members[member], size = self.objects.put(path)
                total += size
        with self.objects.new_file() as path:
            path.write_bytes(_listing(members))
            digest, _ = self.objects.put(path)
        return Artifact(name, kind.name, digest, total)

    def _view(self, artifact: Artifact) -> dict[str, Path]:
        """Return the members under their own names, as links to the objects, created once."""
        folder = self._views / artifact.digest[:16]
        found: dict[str, Path] = {}
        for name, digest in self._members(artifact).items():
            found[name] = folder / name
            _link(found[name], self.objects.path_of(digest))
        folder.mkdir(parents=True, exist_ok=True)
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


def _no_models() -> Models:
    raise Unavailable("this store knows no model registry", "open the project to read registered models")


def _listing(members: Mapping[str, str]) -> bytes:
    """Return the stored form of several files: their digests by name."""
    return msgspec.json.encode(members, order="sorted")


def _suffix_of(kind: type[Kind], value: Any) -> str:
    """Return the suffix that a stored file keeps: a plain one, as no other could be part of a name."""
    suffix = kind.suffix_of(value)
    return suffix if suffix[1:].isalnum() and len(suffix) <= _LONGEST_SUFFIX else ""


_LONGEST_SUFFIX = 16


def _link(path: Path, target: Path) -> None:
    """Let a path lead to an object of the store."""
    if path.is_symlink() and path.readlink() == target:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # created by another run
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def _stays_inside(name: object) -> bool:
    """Whether a file name is a plain relative path on every system."""
    if not isinstance(name, str) or not name.isprintable() or "\\" in name or ":" in name:
        return False
    return all(part not in ("", ".", "..") for part in name.split("/"))


def _missed(key: str, causes: Iterable[Cause]) -> CacheDecision:
    ordered = by_importance(causes)
    return CacheDecision(key, None, in_one_line(ordered), ordered)


def _fault(
    artifact: Artifact, digests: tuple[str, ...] | CauseKind, sizes: Mapping[str, int]
) -> CauseKind | None:
    if isinstance(digests, CauseKind):
        return digests
    if artifact.digest not in sizes or not sizes.keys() >= set(digests):
        return CauseKind.MISSING
    return None if sum(sizes[digest] for digest in digests) == artifact.size else CauseKind.CORRUPT


def _are_outputs_of(task: Task[..., Any], outputs: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether an untrusted record names the task's outputs."""
    made = {name: fields["kind"] for name, fields in outputs.items()}
    return made == {name: kind.name for name, kind in task.outputs.items()}


def _unreadable(work: Work) -> Cause:
    return Cause(CauseKind.UNCACHEABLE, "; ".join(work.reach.unresolved))
