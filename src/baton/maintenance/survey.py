"""List a store: objects, entries, and files that are neither."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from baton.kinds.plain import OF_SEVERAL_FILES
from baton.store.index import entry_name
from baton.store.objects import is_digest, name_of
from baton.store.place import FileState, Place
from baton.store.texts import text_name

Outputs: TypeAlias = Mapping[str, Mapping[str, Any]]
"""References by output name, as in entries and effect records."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Every file of a store, by type.

    Parameters
    ----------
    objects : dict of str to FileState
        Objects by digest.
    entries : dict of str to FileState
        Entries by file name.
    texts : dict of str to FileState
        Sources of code by the state of their module.
    latest : dict of str to FileState
        Files that name each task's latest entry, by file name.
    leftovers : tuple of FileState
        Unfinished files, of stopped or still active writers.
    strays : tuple of FileState
        Files among objects and entries that no version of baton creates.
    """

    objects: dict[str, FileState]
    entries: dict[str, FileState]
    texts: dict[str, FileState]
    latest: dict[str, FileState]
    leftovers: tuple[FileState, ...]
    strays: tuple[FileState, ...]


def survey(place: Place) -> Survey:
    """List a store, entries first, so that every object of a listed entry is listed after it."""
    leftovers = place.files("tmp")
    found: dict[str, dict[str, FileState]] = {folder: {} for folder in ("index", "latest", "code", "objects")}
    strays: list[FileState] = []
    for folder, known in found.items():
        for file in place.files(folder):
            stem = file.name.rpartition("/")[2]
            if ".tmp-" in stem or stem.endswith(".tmp"):
                leftovers.append(file)
            elif (key := _key_of(folder, file.name)) is not None:
                known[key] = file
            else:
                strays.append(file)
    return Survey(
        objects=found["objects"],
        entries=found["index"],
        texts=found["code"],
        latest=found["latest"],
        leftovers=tuple(leftovers),
        strays=tuple(strays),
    )


def _key_of(folder: str, name: str) -> str | None:
    """Return the key of a file, or None if it is not baton's."""
    last = name.rpartition("/")[2]
    stem = last.removesuffix(".json")
    match folder:
        case "objects":
            return last if is_digest(last) and name == name_of(last) else None
        case "index":
            return name if is_digest(stem) and name == entry_name(stem) else None
        case "code":
            return stem if name == text_name(stem) else None
        case _:
            return name if last != stem else None


def digests_of(outputs: Mapping[str, Outputs], place: Place) -> dict[str, frozenset[str]]:
    """Return the digests of all objects that make up outputs, under the same names.

    A set of files consists of its list and of the members in the list; a missing or damaged list has
    no members.
    """
    lists = {
        fields["digest"]
        for made in outputs.values()
        for fields in made.values()
        if fields["kind"] in OF_SEVERAL_FILES and is_digest(fields["digest"])
    }
    members = _members(lists, place)
    found = {}
    for name, made in outputs.items():
        own = {str(fields["digest"]) for fields in made.values()}
        found[name] = frozenset(own.union(*(members.get(digest, ()) for digest in own)))
    return found


def _members(lists: Iterable[str], place: Place) -> Mapping[str, frozenset[str]]:
    digests = {name_of(digest): digest for digest in lists}
    found = {}
    for name, content in place.read_all(digests).items():
        if hashlib.sha256(content).hexdigest() != digests[name]:
            continue
        try:
            found[digests[name]] = frozenset(msgspec.json.decode(content, type=dict[str, str]).values())
        except msgspec.MsgspecError:
            continue
    return found
