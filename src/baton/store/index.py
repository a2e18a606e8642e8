"""The memory of finished work: from cache key to outputs, with where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from baton.codetrace.facts import Observations
from baton.core.artifact import Artifact
from baton.core.records import decode_record
from baton.store.fingerprint import fingerprint
from baton.store.objects import ObjectStore, is_digest

ENTRY_VERSION = 2
"""Raise when entries change meaning; an entry of another version is a miss."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What one piece of work gave, and its provenance.

    `parameters` are plain values by bare name without secrets, `parameter_digests` tell them apart;
    `inputs`, `code` and `packages` are those of `baton.store.key.Work`.  `sources` are the states of
    modules whose texts `baton.store.texts` keeps.  `world` is what the task's ``version`` said, without
    secrets, `world_digest` its fingerprint.  `rule` and `python` are the versions of the cache key's rule
    and of Python.  `observed` are the facts that were seen while it was computed; the entry counts only
    while they hold.  `finished_at` is UTC in ISO 8601, `duration_s` seconds.
    """

    version: int = ENTRY_VERSION
    key: str
    task: str
    pipeline: str
    run_id: str
    engine: str
    outputs: dict[str, dict[str, Any]]
    facts: list[tuple[str, str]]
    parameters: dict[str, Any]
    inputs: dict[str, str]
    code: dict[str, str]
    packages: dict[str, str]
    unresolved: list[str]
    world: str
    finished_at: str
    duration_s: float
    parameter_digests: dict[str, str] = {}
    sources: dict[str, str] = {}
    world_digest: str = ""
    rule: int = 0
    python: str = ""
    observed: Observations = Observations()


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """Which entry of a task is the latest, to compare other work with."""

    version: int = ENTRY_VERSION
    pipeline: str
    task: str
    key: str


class Index:
    """Entries by key, kept beside the objects.

    Parameters
    ----------
    objects : ObjectStore
        Where the entries lie, under ``index/``, and the latest key of each task, under ``latest/``.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def get(self, key: str) -> Entry | None:
        """Return the entry, or None where there is none, a torn one or one of another version."""
        text = self._objects.read_text(entry_name(key))
        return None if text is None else _decode(text, key)

    def read_all(self) -> dict[str, Entry | bytes]:
        """Return every entry by the name of its file; the bytes alone where they are no entry."""
        names = [name for name in self._objects.names("index") if _key_in(name)]
        contents = self._objects.place.read_all(names)
        return {name: _decode(content, _key_in(name)) or content for name, content in contents.items()}

    def latest_keys(self, names: Iterable[str]) -> dict[str, str]:
        """Return the keys that files below ``latest/`` name; nothing for those that cannot be read."""
        found = {}
        for name, content in self._objects.place.read_all(names).items():
            latest = decode_record(content, Latest)
            found[name] = latest.key if latest is not None else ""
        return found

    def remove(self, names: Iterable[str]) -> None:
        """Forget entries by the names of their files, as `read_all` gives them."""
        self._objects.place.remove(names)

    def put(self, entry: Entry) -> None:
        """Remember an entry under its key, as the latest of its task."""
        self._objects.write_text(entry_name(entry.key), msgspec.json.encode(entry).decode())
        latest = Latest(pipeline=entry.pipeline, task=entry.task, key=entry.key)
        self._objects.write_text(
            _latest_name(entry.pipeline, entry.task), msgspec.json.encode(latest).decode()
        )

    def latest_key(self, pipeline: str, task: str) -> str | None:
        """Return the key of a task's latest entry, or None where it is not known or cannot be read."""
        text = self._objects.read_text(_latest_name(pipeline, task))
        latest = None if text is None else decode_record(text, Latest)
        if latest is None or latest.version != ENTRY_VERSION or not is_digest(latest.key):
            return None
        return latest.key


def _latest_name(pipeline: str, task: str) -> str:
    # A pipeline may be called anything; a task's name is an identifier.
    safe = pipeline if pipeline.isidentifier() and len(pipeline) <= 80 else fingerprint(pipeline)[:32]
    return f"latest/{safe}/{task}.json"


def entry_name(key: str) -> str:
    """Return the name of the entry's file below the store's root."""
    return f"index/{key[:2]}/{key}.json"


def _key_in(name: str) -> str:
    """Return the key in the name of an entry's file; nothing where it is another file."""
    key = name.rpartition("/")[2].removesuffix(".json")
    return key if is_digest(key) and name == entry_name(key) else ""


def is_of_another_version(content: bytes) -> bool:
    """Whether bytes that are no entry are one of another version of baton."""
    versioned = decode_record(content, _Versioned)
    return versioned is not None and versioned.version != ENTRY_VERSION


class _Versioned(msgspec.Struct, frozen=True):
    """What entries of every version have."""

    version: int


def _decode(content: str | bytes, key: str) -> Entry | None:
    entry = decode_record(content, Entry)
    if entry is None or entry.version != ENTRY_VERSION or entry.key != key:
        return None
    return entry if are_artifacts(entry.outputs) else None


def are_artifacts(outputs: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether what a record lists as outputs are artifacts under their own names."""
    try:
        artifacts = msgspec.convert(list(outputs.values()), list[Artifact])
    except msgspec.ValidationError:
        return False
    return [one.name for one in artifacts] == list(outputs) and all(
        is_digest(one.digest) for one in artifacts
    )
