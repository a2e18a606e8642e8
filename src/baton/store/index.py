"""The memory of finished work: from cache key to outputs, with where they came from."""

from __future__ import annotations

from typing import Any

import msgspec

from baton.store.objects import ObjectStore

ENTRY_VERSION = 1
"""Raise when entries change meaning; an entry of another version is a miss."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What one piece of work gave, and its provenance.

    `parameters` are as the run had them; `inputs`, `code` and `packages` are those of
    `baton.store.key.Work`.  `finished_at` is UTC in ISO 8601, `duration_s` seconds.
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


class Index:
    """Entries by key, kept beside the objects.

    Parameters
    ----------
    objects : ObjectStore
        Where the entries lie, under ``index/``.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def get(self, key: str) -> Entry | None:
        """Return the entry, or None where there is none, a torn one or one of another version."""
        text = self._objects.read_text(_name(key))
        if text is None:
            return None
        try:
            entry = msgspec.json.decode(text, type=Entry)
        except msgspec.MsgspecError:
            return None
        return entry if entry.version == ENTRY_VERSION and entry.key == key else None

    def put(self, entry: Entry) -> None:
        """Remember an entry under its key."""
        self._objects.write_text(_name(entry.key), msgspec.json.encode(entry).decode())


def _name(key: str) -> str:
    return f"index/{key[:2]}/{key}.json"
