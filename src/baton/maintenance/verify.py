"""Check everything that a store holds, and take away what is damaged."""

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
"""Unfinished files this old belong to nobody who is still writing."""

_AT_ONCE = 4


class Damage(Enum):
    """What can be wrong with a store."""

    CORRUPT_OBJECT = "corrupt object"
    MISSING_OBJECT = "missing object"
    TORN_ENTRY = "torn entry"
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
    """One thing that is wrong.

    Parameters
    ----------
    damage : Damage
        What is wrong.
    name : str
        The file, below the store's root (for a copy: below the mirror's).
    about : str
        What it means, for people.
    mended : bool
        Whether it was taken away.
    """

    damage: Damage
    name: str
    about: str
    mended: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the whole store found.

    Parameters
    ----------
    objects, entries : int
        How many were checked.
    findings : tuple of Finding
        Everything that is wrong.
    """

    objects: int
    entries: int
    findings: tuple[Finding, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing bad is left."""
        return all(finding.mended or not finding.damage.is_bad for finding in self.findings)


def verify(store: Store, *, mend: bool = False) -> Verification:
    """Digest every object again and follow every entry to its objects.

    Parameters
    ----------
    store : Store
        What to check.
    mend : bool
        Whether damaged objects and copies, entries that lead to a damaged or missing object, torn
        entries and leftovers are removed.  The work is then done anew when it is next asked for.

    Returns
    -------
    Verification
        What was found; stray files and entries of other versions are told and left alone.
    """
    read = store.index.read_all()  # before objects are listed: what an entry names was there before it
    entries = {name: entry for name, entry in read.items() if isinstance(entry, Entry)}
    found = survey(store.objects.place)
    corrupt = set(_corrupt(store, found))
    findings = [
        *_damaged_objects(found, corrupt, mend),
        *_lost_entries(store, entries, found.objects.keys() - corrupt, mend),
        *_unreadable_entries(read, mend),
        *_damaged_copies(store, mend),
        *_leftovers(found, mend),
        *(Finding(Damage.STRAY, file.name, "nothing of baton's; it is left", False) for file in found.strays),
    ]
    if mend:
        _take_away(store, [finding for finding in findings if finding.mended])
    return Verification(len(found.objects), len(read), tuple(findings))


def _corrupt(store: Store, found: Survey) -> Iterator[str]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        actual = pool.map(store.objects.stored_digest, found.objects)
        for digest, real in zip(found.objects, actual, strict=True):
            if real is not None and real != digest:
                yield digest


def _damaged_objects(found: Survey, corrupt: set[str], mend: bool) -> Iterator[Finding]:
    for digest in sorted(corrupt):
        size = found.objects[digest].size
        yield Finding(
            Damage.CORRUPT_OBJECT, name_of(digest), f"its {size} bytes do not give its digest", mend
        )


def _lost_entries(store: Store, entries: dict[str, Entry], whole: set[str], mend: bool) -> Iterator[Finding]:
    needed = digests_of({name: entry.outputs for name, entry in entries.items()}, store.objects.place)
    for name, entry in sorted(entries.items()):
        lost = sorted(needed[name] - whole)
        if lost:
            about = f"task '{entry.task}' of run {entry.run_id} made object {lost[0][:12]}, which is gone"
            yield Finding(Damage.MISSING_OBJECT, name, about, mend)


def _unreadable_entries(read: dict[str, Entry | bytes], mend: bool) -> Iterator[Finding]:
    for name, content in sorted(read.items()):
        if isinstance(content, Entry):
            continue
        if is_of_another_version(content):
            yield Finding(Damage.OTHER_ENTRY, name, "another version of baton may use it", False)
        else:
            yield Finding(Damage.TORN_ENTRY, name, f"its {len(content)} bytes are no entry", mend)


def _damaged_copies(store: Store, mend: bool) -> Iterator[Finding]:
    mirror = store.objects.mirror
    if mirror is None:
        return
    for digest, file in survey(mirror).objects.items():
        if digest_of(mirror.root / file.name) != digest:
            about = "this machine's copy of an object; it is fetched again when it is read"
            yield Finding(Damage.CORRUPT_COPY, file.name, about, mend)


def _leftovers(found: Survey, mend: bool) -> Iterator[Finding]:
    for file in stopped_writers(found.leftovers, time.time()):
        yield Finding(Damage.LEFTOVER, file.name, f"{file.size} bytes of a writer that was stopped", mend)


def stopped_writers(files: tuple[FileState, ...], now: float) -> list[FileState]:
    """Return the unfinished files that nobody is writing any more."""
    return [file for file in files if now - file.modified_at > LEFT_AFTER_S]


def _take_away(store: Store, findings: list[Finding]) -> None:
    entries = (Damage.MISSING_OBJECT, Damage.TORN_ENTRY)
    store.index.remove(finding.name for finding in findings if finding.damage in entries)
    for finding in findings:
        if finding.damage is Damage.CORRUPT_OBJECT:
            store.objects.remove(finding.name.rpartition("/")[2])
        elif finding.damage is Damage.LEFTOVER:
            store.objects.place.remove([finding.name])
        elif finding.damage is Damage.CORRUPT_COPY and store.objects.mirror is not None:
            store.objects.mirror.remove([finding.name])
