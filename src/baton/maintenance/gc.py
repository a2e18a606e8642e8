"""Find what a store and a project's folder no longer need, and delete it.

Always kept are: entries created or used in the last hour; objects that a kept entry, or the kept record of
an effect's last success, refers to, including the members of sets of files; objects younger than an
hour, because the task that made them may not be recorded yet.  While a run of the project is in
progress, every entry is kept, and every object created since an hour before the run started.
"""

from __future__ import annotations

import datetime
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from baton.maintenance.survey import Survey, digests_of, survey
from baton.maintenance.verify import LEFT_AFTER_S, stopped_writers
from baton.store.effects import EffectRecord
from baton.store.index import Entry, entry_name, is_of_another_version
from baton.store.objects import name_of
from baton.store.place import FileState
from baton.store.store import Store

KEPT_FOR_S = 3600.0
SUMMARIES_KEPT_FOR_S = 30 * 86400.0
"""Summaries are parsed again in milliseconds; those of old versions only take up space."""
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_STATE = re.compile(rb"(?<=\")[0-9a-f]{40}(?=\")")


@dataclass(frozen=True, slots=True)
class Rule:
    """What to delete besides unreferenced files.

    Parameters
    ----------
    now : float
        Seconds since 1970.
    older_than_s : float, optional
        Delete entries that have not been created or used for this long.
    max_size : int, optional
        Delete the least recently used entries until the objects of the rest take at most this many
        bytes.
    used_at : mapping of str to float
        When each object, by digest, was last the output of a task in a run, as far as known.
    busy_since : float, optional
        Start of the oldest run still in progress.
    """

    now: float
    older_than_s: float | None = None
    max_size: int | None = None
    used_at: Mapping[str, float] = field(default_factory=dict)
    busy_since: float | None = None

    @property
    def oldest_kept(self) -> float:
        """Objects written later than this are kept even if nothing refers to them."""
        return (self.now if self.busy_since is None else min(self.busy_since, self.now)) - KEPT_FOR_S


@dataclass(frozen=True, slots=True)
class Garbage:
    """What is not needed, as files or folders with their sizes.

    Parameters
    ----------
    entries, effects, runs, objects, texts, leftovers : tuple of FileState
        In the store; `effects` are records of effects, `runs` those of runs that machines share, `texts` are
        sources of code and the files that name each task's latest entry.
    copies : tuple of FileState
        In the local cache of a remote store.
    local : mapping of str to tuple of FileState
        In the project's own folder, by subfolder name.
    """

    entries: tuple[FileState, ...]
    effects: tuple[FileState, ...]
    runs: tuple[FileState, ...]
    objects: tuple[FileState, ...]
    texts: tuple[FileState, ...]
    leftovers: tuple[FileState, ...]
    copies: tuple[FileState, ...]
    local: Mapping[str, tuple[FileState, ...]]

    @property
    def by_kind(self) -> dict[str, tuple[FileState, ...]]:
        """Everything, by the names shown to users."""
        return {
            "entries": self.entries,
            "effects": self.effects,
            "runs": self.runs,
            "objects": self.objects,
            "texts": self.texts,
            "leftovers": self.leftovers,
            "mirror": self.copies,
            **self.local,
        }


def find_garbage(store: Store, home: Path, rule: Rule) -> Garbage:
    """Return what is not needed according to `rule`; delete nothing."""
    read = store.index.read_all()
    found = survey(store.objects.place)
    entries = {name: entry for name, entry in read.items() if isinstance(entry, Entry)}
    needed = digests_of({name: entry.outputs for name, entry in entries.items()}, store.objects.place)
    forgotten = _forgotten(entries, needed, found, rule)
    malformed = {
        name
        for name, content in read.items()
        if not isinstance(content, Entry) and not is_of_another_version(content)
    }
    effects = store.effects.files()
    old = _old_effects(store, effects, rule)
    records = store.effects.records(file for file in effects if file not in old)
    kept = _referred(records, store, read, forgotten, needed)
    objects = tuple(
        file
        for digest, file in found.objects.items()
        if digest not in kept and file.modified_at < rule.oldest_kept
    )
    gone = {file.name.rpartition("/")[2] for file in objects}
    remaining = found.objects.keys() - gone
    return Garbage(
        entries=tuple(found.entries[name] for name in sorted(forgotten | malformed) if name in found.entries),
        effects=tuple(old),
        runs=tuple(_old_runs(store, rule)),
        objects=objects,
        texts=tuple(_texts(store, records, read, forgotten | malformed, found, rule)),
        leftovers=tuple(stopped_writers(found.leftovers, rule.now)),
        copies=tuple(_copies(store, remaining, rule)),
        local={
            "sources": tuple(_summaries(home / "sources", rule)),
            "views": tuple(_views(home / "views", remaining, rule)),
            "scratch": tuple(_scratch(home / "scratch", rule)),
        },
    )


def find_everything(store: Store, home: Path) -> Garbage:
    """Return everything in the store, and everything that the project's folder caches."""
    found = survey(store.objects.place)
    mirror = store.objects.mirror
    return Garbage(
        entries=tuple(found.entries.values()),
        effects=tuple(store.effects.files()),
        runs=(),  # what happened is no cache
        objects=tuple(found.objects.values()),
        texts=(*found.texts.values(), *found.latest.values()),
        leftovers=found.leftovers,
        copies=_everything_in(survey(mirror)) if mirror is not None else (),
        local={name: tuple(_children(home / name)) for name in ("sources", "views")},
    )


def remove_garbage(store: Store, home: Path, garbage: Garbage) -> None:
    """Delete what `find_garbage` returned, entries first; keep what is referenced by now."""
    store.index.remove(file.name for file in garbage.entries)
    store.objects.place.remove(file.name for file in (*garbage.effects, *garbage.runs))
    for folder, files in garbage.local.items():
        for file in files:
            path = home / folder / file.name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    read = store.index.read_all()
    outputs = {name: entry.outputs for name, entry in read.items() if isinstance(entry, Entry)}
    needed = digests_of(outputs, store.objects.place)
    kept = _referred(store.effects.records(), store, read, set(), needed)
    unused = [file for file in garbage.objects if file.name.rpartition("/")[2] not in kept]
    store.objects.place.remove(file.name for file in [*unused, *garbage.texts, *garbage.leftovers])
    if store.objects.mirror is not None:
        store.objects.mirror.remove(file.name for file in garbage.copies)


def used_at(entry: Entry, rule: Rule) -> float:
    """Return when an entry was created or, as far as known, last used; seconds since 1970."""
    known = [rule.used_at.get(str(fields["digest"]), 0.0) for fields in entry.outputs.values()]
    try:
        made = datetime.datetime.fromisoformat(entry.finished_at).timestamp()
    except ValueError:  # not from baton: treat as oldest
        made = 0.0
    return max(made, *known, 0.0)


def _forgotten(
    entries: Mapping[str, Entry], needed: Mapping[str, frozenset[str]], found: Survey, rule: Rule
) -> set[str]:
    """Return the names of the entries to delete because of age or size."""
    if rule.busy_since is not None:
        return set()
    newest_first = sorted(entries, key=lambda name: used_at(entries[name], rule), reverse=True)
    forgotten: set[str] = set()
    counted: set[str] = set()
    size = 0
    for name in newest_first:
        age_s = rule.now - used_at(entries[name], rule)
        new = needed[name] & found.objects.keys() - counted
        size += sum(found.objects[digest].size for digest in new)
        is_old = rule.older_than_s is not None and age_s > rule.older_than_s
        is_too_much = rule.max_size is not None and size > rule.max_size
        if age_s > KEPT_FOR_S and (is_old or is_too_much):
            forgotten.add(name)
        counted |= new
    return forgotten


def _old_effects(store: Store, files: Iterable[FileState], rule: Rule) -> list[FileState]:
    """Return effect records to delete because of their age, such as those of deleted folders."""
    if rule.older_than_s is None or rule.busy_since is not None:
        return []
    limit_s = max(rule.older_than_s, KEPT_FOR_S)
    old = [file for file in files if rule.now - file.modified_at > limit_s]
    records = store.effects.records(old)
    used = {name: used_at(one.work, rule) for name, one in records.items() if one.work is not None}
    return [file for file in old if rule.now - used.get(file.name, 0.0) > limit_s]


def _old_runs(store: Store, rule: Rule) -> Iterator[FileState]:
    """Yield the shared records and logs of runs to delete because of their age."""
    if rule.older_than_s is not None and rule.busy_since is None:
        limit_s = max(rule.older_than_s, KEPT_FOR_S)
        yield from (
            file for file in store.objects.place.files("runs") if rule.now - file.modified_at > limit_s
        )


def _referred(
    records: Mapping[str, EffectRecord],
    store: Store,
    read: Mapping[str, Entry | bytes],
    forgotten: set[str],
    needed: Mapping[str, frozenset[str]],
) -> set[str]:
    """Return the digests that entries and records refer to.

    In an entry of another version, everything that looks like a digest counts.
    """
    effects = {name: record.outputs for name, record in records.items()}
    kept: set[str] = set().union(*digests_of(effects, store.objects.place).values())
    for name, entry in read.items():
        if isinstance(entry, Entry):
            kept |= needed[name] if name not in forgotten else set()
        elif is_of_another_version(entry):
            kept |= {text.decode() for text in _DIGEST.findall(entry)}
    return kept


def _texts(
    store: Store,
    records: Mapping[str, EffectRecord],
    read: Mapping[str, Entry | bytes],
    gone: set[str],
    found: Survey,
    rule: Rule,
) -> Iterator[FileState]:
    """Yield unused sources of code, and files that name deleted entries."""
    shown: set[str] = set()
    for name, entry in read.items():
        if isinstance(entry, Entry):
            shown.update(entry.sources.values() if name not in gone else ())
        else:
            shown.update(text.decode() for text in _STATE.findall(entry))
    for record in records.values():
        shown.update(record.work.sources.values() if record.work is not None else ())
    old = (file for state, file in found.texts.items() if state not in shown)
    keys = store.index.latest_keys(found.latest)
    kept = read.keys() - gone
    named = (found.latest[name] for name, key in keys.items() if entry_name(key) not in kept)
    for file in (*old, *named):
        if file.modified_at < rule.oldest_kept:
            yield file


def _copies(store: Store, remaining: Iterable[str], rule: Rule) -> Iterator[FileState]:
    mirror = store.objects.mirror
    if mirror is None or rule.busy_since is not None:
        return
    found, names = survey(mirror), {name_of(digest) for digest in remaining}
    for file in found.objects.values():
        age_s = rule.now - file.modified_at
        is_old = rule.older_than_s is not None and age_s > rule.older_than_s
        if age_s > KEPT_FOR_S and (is_old or file.name not in names):
            yield file
    yield from stopped_writers(found.leftovers, rule.now)


def _summaries(folder: Path, rule: Rule) -> Iterator[FileState]:
    limit_s = SUMMARIES_KEPT_FOR_S if rule.older_than_s is None else max(rule.older_than_s, KEPT_FOR_S)
    return (file for file in _children(folder) if rule.now - file.modified_at > limit_s)


def _views(folder: Path, remaining: Iterable[str], rule: Rule) -> Iterator[FileState]:
    """Yield views of deleted sets of files; a view is named after the digest of the set's list."""
    starts = {digest[:16] for digest in remaining}
    for view in _children(folder):
        if view.name not in starts and view.modified_at < rule.oldest_kept:
            yield view


def _scratch(folder: Path, rule: Rule) -> Iterator[FileState]:
    if rule.busy_since is None:
        yield from (child for child in _children(folder) if rule.now - child.modified_at > LEFT_AFTER_S)


def _children(folder: Path) -> Iterator[FileState]:
    """Yield the direct children of a folder, each with its total size."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        inside = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
        try:
            states = [each.lstat() for each in inside]
        except FileNotFoundError:  # deleted meanwhile
            continue
        size = sum(state.st_size for state in states if not stat.S_ISDIR(state.st_mode))
        yield FileState(path.name, size, max(state.st_mtime for state in states))


def _everything_in(found: Survey) -> tuple[FileState, ...]:
    return (*found.objects.values(), *found.leftovers)
