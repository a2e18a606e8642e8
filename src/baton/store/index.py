"""The index of finished work: from cache key to outputs and provenance."""

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
"""Increase when the meaning of entries changes; entries of other versions are misses."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The outputs of one piece of work, and its provenance.

    `parameters` are plain values by short name without secrets, `parameter_digests` their digests;
    `inputs`, `code` and `packages` are those of `baton.store.key.Work`.  `sources` are the states of
    modules whose texts `baton.store.texts` keeps.  `world` is the result of the task's ``version`` without
    secrets, `world_digest` its fingerprint.  `rule` and `python` are the versions of the cache key's rule
    and of Python.  `observed` are facts observed during the computation; the entry is valid only while
    they hold.  `finished_at` is UTC in ISO 8601, `duration_s` seconds.  `held` are the digests of the code
    inside outputs, by output and by ``"module:name"``.  `arguments` and `readers` are
    those of the work.  `curve` are the losses that the task reported after each step.
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
    held: dict[str, dict[str, str]] = {}
    arguments: dict[str, Any] = {}
    readers: dict[str, str] = {}
    curve: list[tuple[int, float]] = []


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """The latest entry of a task, to compare other work with."""

    version: int = ENTRY_VERSION
    pipeline: str
    task: str
    key: str


class Index:
    """Entries by key, stored next to the objects.

    Parameters
    ----------
    objects : ObjectStore
        Stores the entries, under ``index/``, and the latest key of each task, under ``latest/``.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def get(self, key: str) -> Entry | None:
        """Return the entry, or None if it is missing, malformed or of another version."""
        text = self._objects.read_text(entry_name(key))
        return None if text is None else _decode(text, key)

    def read_all(self) -> dict[str, Entry | bytes]:
        """Return every entry by file name; only the bytes if they are not an entry."""
        names = [name for name in self._objects.names("index") if _key_in(name)]
        contents = self._objects.place.read_all(names)
        return {name: _decode(content, _key_in(name)) or content for name, content in contents.items()}

    def latest_keys(self, names: Iterable[str]) -> dict[str, str]:
        """Return the keys in files below ``latest/``; files that cannot be read are left out."""
        found = {}
        for name, content in self._objects.place.read_all(names).items():
            latest = decode_record(content, Latest)
            found[name] = latest.key if latest is not None else ""
        return found

    def remove(self, names: Iterable[str]) -> None:
        """Delete entries by file name, as in `read_all`."""
        self._objects.place.remove(names)

    def put(self, entry: Entry) -> None:
        """Store an entry under its key, as the latest of its task."""
        self._objects.write_text(entry_name(entry.key), msgspec.json.encode(entry).decode())
        latest = Latest(pipeline=entry.pipeline, task=entry.task, key=entry.key)
        self._objects.write_text(
            _latest_name(entry.pipeline, entry.task), msgspec.json.encode(latest).decode()
        )

    def latest_key(self, pipeline: str, task: str) -> str | None:
        """Return the key of a task's latest entry, or None if unknown or unreadable."""
        text = self._objects.read_text(_latest_name(pipeline, task))
        latest = None if text is None else decode_record(text, Latest)
        if latest is None or latest.version != ENTRY_VERSION or not is_digest(latest.key):
            return None
        return latest.key


def safe_name(pipeline: str) -> str:
    """Return a pipeline's name in a form safe for file names; task names are identifiers already."""
    return pipeline if pipeline.isidentifier() and len(pipeline) <= 80 else fingerprint(pipeline)[:32]


def _latest_name(pipeline: str, task: str) -> str:
    return f"latest/{safe_name(pipeline)}/{task}.json"


def entry_name(key: str) -> str:
    """Return the name of the entry's file below the store's root."""
    return f"index/{key[:2]}/{key}.json"


def _key_in(name: str) -> str:
    """Return the key in the name of an entry's file; empty for any other file."""
    key = name.rpartition("/")[2].removesuffix(".json")
    return key if is_digest(key) and name == entry_name(key) else ""


def is_of_another_version(content: bytes) -> bool:
    """Whether invalid bytes are an entry of another version of baton."""
    versioned = decode_record(content, _Versioned)
    return versioned is not None and versioned.version != ENTRY_VERSION


class _Versioned(msgspec.Struct, frozen=True):
    """The fields that entries of every version have."""

    version: int


def _decode(content: str | bytes, key: str) -> Entry | None:
    entry = decode_record(content, Entry)
    if entry is None or entry.version != ENTRY_VERSION or entry.key != key:
        return None
    return entry if are_artifacts(entry.outputs) else None


def are_artifacts(outputs: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the outputs in a record are artifacts under their own names."""
    try:
        artifacts = msgspec.convert(list(outputs.values()), list[Artifact])
    except msgspec.ValidationError:
        return False
    return [one.name for one in artifacts] == list(outputs) and all(
        is_digest(one.digest) for one in artifacts
    )
