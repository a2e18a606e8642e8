"""The memory of effects: what each last did to the world from this project's folder.

An effect is not remembered for what it computes but for what it did.  So its memory stays in the
project, is kept apart for each world (`baton.core.execute.TaskRun.world`), and holds the last success
only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from baton.core.files import write_atomically
from baton.core.records import decode_record
from baton.store.index import Entry, are_artifacts

_VERSION = 2


class EffectRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An effect's last success.

    `key` is the cache key of its work with what it acted on; `products` are paths of what it left for
    people; `work` is what its work was made of, to compare other work with; the other fields are those
    of `baton.store.index.Entry`.
    """

    version: int = _VERSION
    key: str
    pipeline: str
    task: str
    run_id: str
    tracking_run_id: str
    outputs: dict[str, dict[str, Any]]
    facts: list[tuple[str, str]]
    products: list[str]
    work: Entry

    @property
    def missing_product(self) -> str | None:
        """A file that the effect left and that is gone, or None."""
        return next((path for path in self.products if not Path(path).exists()), None)


class EffectMemory:
    """The last success of each effect in each world.

    Parameters
    ----------
    folder : Path
        Where the records lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last(self, world: str, task: str) -> EffectRecord | None:
        """Return the last success, or None where there is none, a torn one or one of another version."""
        return _read(self._path(world, task))

    def put(self, world: str, record: EffectRecord) -> None:
        """Remember a success in the place of the one before."""
        write_atomically(self._path(world, record.task), msgspec.json.encode(record))

    def records(self) -> list[EffectRecord]:
        """Return the last success of every effect in every world."""
        read = (_read(path) for path in sorted(self._folder.glob("*/*.json")))
        return [record for record in read if record is not None]

    def forget(self, pipeline: str, task: str) -> int:
        """Forget what an effect of a pipeline did, in every world; return how many were forgotten."""
        forgotten = 0
        for path in self._folder.glob(f"*/{task}.json"):
            record = _read(path)
            if record is None or record.pipeline == pipeline:
                path.unlink(missing_ok=True)
                forgotten += 1
        return forgotten

    def _path(self, world: str, task: str) -> Path:
        return self._folder / hashlib.sha256(world.encode()).hexdigest()[:16] / f"{task}.json"


def _read(path: Path) -> EffectRecord | None:
    try:
        record = decode_record(path.read_bytes(), EffectRecord)
    except OSError:
        return None
    if record is None or record.version != _VERSION or not are_artifacts(record.outputs):
        return None
    return record
