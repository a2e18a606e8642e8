"""The interface of a store's location."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FileState:
    """What is known about one file.

    Parameters
    ----------
    name : str
        Path relative to the place, with ``/`` as separator.
    size : int
        Size in bytes.
    modified_at : float
        Time of the last write, in seconds since 1970.
    """

    name: str
    size: int
    modified_at: float


class Place(Protocol):
    """A local or remote folder.  Names are relative paths; files are written atomically."""

    @property
    def shown(self) -> str:
        """The folder or URL for users, without secrets."""

    def check(self) -> None:
        """Raise `baton.errors.Unavailable` if the place cannot be read and written."""

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if it does not exist."""

    def blocks(self, name: str) -> Iterator[bytes] | None:
        """Return a file's bytes in chunks, for large files; None if it does not exist."""

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of the files that exist, by name."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically."""

    def add_file(self, path: Path, name: str) -> None:
        """Store a finished local file as `name`; may move it."""

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Return the sizes in bytes of the files that exist, by name."""

    def files(self, folder: str) -> list[FileState]:
        """Return every file below a folder, sorted by name; empty if the folder does not exist."""

    def remove(self, names: Iterable[str]) -> None:
        """Delete files; ignore those that do not exist."""
