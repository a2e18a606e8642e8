"""Check everything in a store, and delete what is damaged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

from baton.maintenance.survey import Survey, digests_of, survey
from baton.store.index import Entry, is_of_another_version
from baton.store.objects import digest_of, name_of
from baton.store.place import FileState
from baton.store.store import Store

LEFT_AFTER_S = 3600.0
"""Unfinished files older than this have no active writer."""

_AT_ONCE = 4


class Damage(Enum):
    """The kinds of damage in a store."""

    CORRUPT_OBJECT = "corrupt object"
    MISSING_OBJECT = "missing object"
    MALFORMED_ENTRY = "malformed entry"
    CORRUPT_COPY = "corrupt copy"
    OTHER_ENTRY = "entry of another version"
    LEFTOVER = "leftover"
    STRAY = "stray file"

    @property
    def is_bad(self) -> bool:
        """Whether something must be computed or fetched again because of it."""
        return self not in (Damage.OTHER_ENTRY, Damage.LEFTOVER, Damage.STRAY)


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem.

    Parameters
    ----------
    damage : Damage
        The kind of problem.
    name : str
        The file, relative to the store's root (for a copy: to the local cache's).
    about : str
        An explanation for users.
    mended : bool
        Whether the file was deleted.
    """

    damage: Damage
    name: str
    about: str
    mended: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a check of the whole store.

    Parameters
    ----------
    objects, entries : int
        Number of objects and entries checked.
    findings : tuple of Finding
        All problems.
    """

    objects: int
    entries: int
    findings: tuple[Finding, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing bad is left."""
        return all(finding.mended or not finding.damage.is_bad for finding in self.findings)


def verify(store: Store, *, repair: bool = False) -> Verification:
    """Digest every object again and follow every entry to its objects.

    Parameters
    ----------
    store : Store
        What to check.
    repair : bool
        Whether to delete damaged objects and copies, entries with a damaged or missing object,
        malformed entries and leftovers.  The work is then computed again when needed.

    Returns
    -------
    Verification
        The problems; stray files and entries of other versions are only reported.
    """
    read = store.index.read_all()  # before listing objects: an entry's objects are older than the entry
    entries = {name: entry for name, entry in read.items() if isinstance(entry, Entry)}
    found = survey(store.objects.place)
    corrupt = set(_corrupt(store, found))
    findings = [
        *_damaged_objects(found, corrupt, repair),
        *_lost_entries(store, entries, found.objects.keys() - corrupt, repair),
        *_unreadable_entries(read, repair),
        *_damaged_copies(store, repair),
        *_leftovers(found, repair),
        *(Finding(Damage.STRAY, file.name, "not from baton; not deleted", False) for file in found.strays),
    ]
    if repair:
        _delete(store, [finding for finding in findings if finding.mended])
    return Verification(len(found.objects), len(read), tuple(findings))


def _corrupt(store: Store, found: Survey) -> Iterator[str]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        actual = pool.map(store.objects.stored_digest, found.objects)
        for digest, real in zip(found.objects, actual, strict=True):
            if real is not None and real != digest:
                yield digest


def _damaged_objects(found: Survey, corrupt: set[str], repair: bool) -> Iterator[Finding]:
    for digest in sorted(corrupt):
        size = found.objects[digest].size
        yield Finding(
            Damage.CORRUPT_OBJECT, name_of(digest), f"its {size} bytes do not match its digest", repair
        )


def _lost_entries(
    store: Store, entries: dict[str, Entry], whole: set[str], repair: bool
) -> Iterator[Finding]:
    needed = digests_of({name: entry.outputs for name, entry in entries.items()}, store.objects.place)
    for name, entry in sorted(entries.items()):
        lost = sorted(needed[name] - whole)
        if lost:
            about = f"task '{entry.task}' of run {entry.run_id} made object {lost[0][:12]}, which is missing"
            yield Finding(Damage.MISSING_OBJECT, name, about, repair)


def _unreadable_entries(read: dict[str, Entry | bytes], repair: bool) -> Iterator[Finding]:
    for name, content in sorted(read.items()):
        if isinstance(content, Entry):
            continue
        if is_of_another_version(content):
            yield Finding(Damage.OTHER_ENTRY, name, "another version of baton may use it", False)
        else:
            yield Finding(Damage.MALFORMED_ENTRY, name, f"its {len(content)} bytes are not an entry", repair)


def _damaged_copies(store: Store, repair: bool) -> Iterator[Finding]:
    mirror = store.objects.mirror
    if mirror is None:
        return
    for digest, file in survey(mirror).objects.items():
        if digest_of(mirror.root / file.name) != digest:
            about = "a local copy of an object; it is fetched again when needed"
            yield Finding(Damage.CORRUPT_COPY, file.name, about, repair)


def _leftovers(found: Survey, repair: bool) -> Iterator[Finding]:
    for file in stopped_writers(found.leftovers, time.time()):
        yield Finding(Damage.LEFTOVER, file.name, f"{file.size} bytes from a stopped writer", repair)


def stopped_writers(files: tuple[FileState, ...], now: float) -> list[FileState]:
    """Return the unfinished files that have no active writer."""
    return [file for file in files if now - file.modified_at > LEFT_AFTER_S]


def _delete(store: Store, findings: list[Finding]) -> None:
    entries = (Damage.MISSING_OBJECT, Damage.MALFORMED_ENTRY)
    store.index.remove(finding.name for finding in findings if finding.damage in entries)
    for finding in findings:
        if finding.damage is Damage.CORRUPT_OBJECT:
            store.objects.remove(finding.name.rpartition("/")[2])
        elif finding.damage is Damage.LEFTOVER:
            store.objects.place.remove([finding.name])
        elif finding.damage is Damage.CORRUPT_COPY and store.objects.mirror is not None:
            store.objects.mirror.remove([finding.name])
