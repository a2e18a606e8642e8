"""Where a store's files lie: what every kind of place can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FileState:
    """What a place tells of one of its files.

    Parameters
    ----------
    name : str
        Path below the place, with ``/`` between its parts.
    size : int
        Bytes.
    modified_at : float
        When it was last written, in seconds since 1970.
    """

    name: str
    size: int
    modified_at: float


class Place(Protocol):
    """A folder, near or far.  Names are paths below it; a file is there whole or not at all."""

    @property
    def shown(self) -> str:
        """What people read: the folder or URL, without secrets."""

    def check(self) -> None:
        """Raise `baton.errors.Unavailable` if the place cannot be read and written."""

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None where there is none."""

    def blocks(self, name: str) -> Iterator[bytes] | None:
        """Return a file's bytes piece by piece, for what may be large; None where there is none."""

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of those files that are there, by name."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file; readers see the old one or the new one, whole."""

    def take(self, path: Path, name: str) -> None:
        """Make a finished file of this machine the file `name`; it may be moved away."""

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Return the size in bytes of those files that are there, by name."""

    def files(self, folder: str) -> list[FileState]:
        """Return every file below a folder, sorted by name; nothing where there is no such folder."""

    def remove(self, names: Iterable[str]) -> None:
        """Delete files; nothing happens where there is none."""
