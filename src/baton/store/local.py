"""A store location in a local folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from baton.core.files import write_atomically
from baton.errors import StoreError
from baton.store.place import FileState

BLOCK = 1 << 20
"""Chunk size for reading files that may be large."""


class LocalPlace:
    """Implements `baton.store.place.Place` with files.

    Parameters
    ----------
    root : Path
        The folder; created on the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def shown(self) -> str:
        """The folder."""
        return str(self.root)

    def check(self) -> None:
        """Write and delete a small file."""
        probe = self.root / "tmp" / f"probe-{os.urandom(6).hex()}"
        with translated(self.shown, "written"):
            probe.parent.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if it does not exist."""
        with translated(self.shown, "read"):
            try:
                return (self.root / name).read_bytes()
            except FileNotFoundError:
                return None

    def blocks(self, name: str) -> Iterator[bytes] | None:
        """Return a file's bytes in chunks, or None if it does not exist."""
        with translated(self.shown, "read"):
            try:
                return _blocks((self.root / name).open("rb"), self.shown)
            except FileNotFoundError:
                return None

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of the files that exist, by name."""
        contents = ((name, self.read(name)) for name in names)
        return {name: content for name, content in contents if content is not None}

    def write(self, name: str, content: bytes) -> None:
        """Write a temporary file, then rename it."""
        with translated(self.shown, "written"):
            write_atomically(self.root / name, content)

    def add_file(self, path: Path, name: str) -> None:
        """Move a file here, read-only; replace an existing one, which may be damaged."""
        final = self.root / name
        with translated(self.shown, "written"):
            path.chmod(path.stat().st_mode & 0o444)  # read-only, within the umask
            try:
                path.replace(final)
            except FileNotFoundError:  # its folder
                final.parent.mkdir(parents=True, exist_ok=True)
                path.replace(final)

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Return the sizes in bytes of the files that exist, by name."""
        paths = ((name, self.root / name) for name in names)
        with translated(self.shown, "read"):
            return {name: path.stat().st_size for name, path in paths if path.is_file()}

    def files(self, folder: str) -> list[FileState]:
        """Return every file below a folder, sorted by name, without following links."""
        found = []
        with translated(self.shown, "read"):
            for path in sorted((self.root / folder).rglob("*")):
                try:
                    state = path.lstat()
                except FileNotFoundError:  # deleted meanwhile
                    continue
                if path.is_symlink() or path.is_file():
                    name = path.relative_to(self.root).as_posix()
                    found.append(FileState(name, state.st_size, state.st_mtime))
        return found

    def remove(self, names: Iterable[str]) -> None:
        """Delete files; ignore those that do not exist."""
        with translated(self.shown, "written"):
            for name in names:
                (self.root / name).unlink(missing_ok=True)


def take_over(source: object, target: Path, folder: Path | None) -> bool:
    """Make a large file of a folder that is about to be deleted available under another path, uncopied.

    Returns whether that was possible: if not, it must be copied.  Small files are copied in any case,
    because a copy is safe from a task that keeps a file open.
    """
    if folder is None or not isinstance(source, Path):
        return False
    try:
        state = source.lstat()
        if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1 or state.st_size < _LARGE:
            return False
        if not source.resolve().is_relative_to(folder.resolve()):
            return False
        target.touch()
        usual_mode = target.stat().st_mode
        target.unlink()
        target.hardlink_to(source)
        target.chmod(usual_mode)
    except OSError:  # another file system, or one without links
        target.unlink(missing_ok=True)
        return False
    return True


_LARGE = 16 << 20


def _blocks(file: IO[bytes], place: str) -> Iterator[bytes]:
    with translated(place, "read"), file:
        while block := file.read(BLOCK):
            yield block


@contextmanager
def translated(place: str, action: str) -> Iterator[None]:
    """Translate errors of local files."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the store at {place} cannot be {action}: {error.strerror or error}",
            "check that it exists, has free space and is writable, or use another: --store URL",
        ) from error
