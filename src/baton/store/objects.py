"""Objects by digest, in a folder or on any file system that fsspec knows.

Layout below the store's root: ``objects/ab/abcdef...`` by the SHA-256 of the content, and small
texts under names of their own.  Both are there whole or not at all; an object is used only if its
bytes give its digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from baton.errors import CorruptObject, MissingObject, StoreError
from baton.store.local import BLOCK, LocalPlace, translated
from baton.store.place import Place

if TYPE_CHECKING:
    from baton.store.remote import RemotePlace

_SMALL = 64 << 10
"""Up to this many bytes it is quicker to upload than to ask whether that was done before."""
_DIGITS = frozenset("0123456789abcdef")


class ObjectStore:
    """Keeps objects at a URL.

    Parameters
    ----------
    url : str
        A folder, or any URL that fsspec knows (``s3://bucket/prefix``).
    mirror : Path
        Local folder where objects of a remote store are kept after reading.
    aws_profile : str, optional
        As for `RemotePlace`.

    Raises
    ------
    Unavailable
        If no file system for the URL is installed.
    """

    def __init__(self, url: str, mirror: Path, aws_profile: str | None = None) -> None:
        self.url = url
        self._verified: set[str] = set()
        self._remote: RemotePlace | None = None
        if "://" in url and not url.startswith("file://"):
            from baton.store.remote import RemotePlace  # half of what a local no-op imports

            self._remote = RemotePlace(url, aws_profile)
            self._files = LocalPlace(mirror)
        else:
            self._files = LocalPlace(Path(url.removeprefix("file://")).absolute())

    @property
    def is_local(self) -> bool:
        """Whether objects are files of this machine."""
        return self._remote is None

    def local_folder(self, name: str) -> Path | None:
        """Return a folder beside the objects that processes of this machine share; None where remote."""
        return self._files.root / name if self.is_local else None

    @property
    def place(self) -> Place:
        """Where the objects lie."""
        return self._remote or self._files

    @property
    def mirror(self) -> LocalPlace | None:
        """Where objects of a remote store are kept on this machine; None for a local one."""
        return self._files if self._remote is not None else None

    def check(self) -> None:
        """Raise `baton.errors.Unavailable`, soon, if the store cannot be read and written."""
        self.place.check()

    @contextmanager
    def new_file(self) -> Iterator[Path]:
        """Yield the path of a file to write; it is gone afterwards unless `put` took it."""
        folder = self._files.root / "tmp"
        with translated(self._files.shown, "written"):
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / os.urandom(12).hex()
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def put(self, path: Path) -> tuple[str, int]:
        """Store the file at `path`, which is moved away; return digest and size in bytes."""
        with translated(self._files.shown, "read"):
            digest, size = digest_of(path), path.stat().st_size
        name = name_of(digest)
        if self._remote is not None and not self._is_uploaded(name, size):
            self._remote.take(path, name)
        self._files.take(path, name)
        self._verified.add(digest)
        return digest, size

    def has(self, digest: str) -> bool:
        """Whether an object of that digest is there; its bytes are not read."""
        return self.size_of(digest) is not None

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """Return the size in bytes of those objects that are there, asking for all of them at once."""
        names = {name_of(digest): digest for digest in digests if is_digest(digest)}
        return {names[name]: size for name, size in self.place.sizes(names).items()}

    def size_of(self, digest: str) -> int | None:
        """Return an object's size in bytes, None where there is none; its bytes are not read."""
        return self.sizes([digest]).get(digest)

    def stored_digest(self, digest: str) -> str | None:
        """Return the digest of the stored bytes themselves; None where there are none.

        All are read; nothing is removed or kept.
        """
        sha = hashlib.sha256()
        blocks = self.place.blocks(name_of(digest))
        if blocks is None:
            return None
        for block in blocks:
            sha.update(block)
        return sha.hexdigest()

    def is_intact(self, digest: str) -> bool:
        """Whether an object is there and its bytes give its digest; all are read, nothing is removed."""
        return is_digest(digest) and self.stored_digest(digest) == digest

    def path_of(self, digest: str) -> Path:
        """Return a local, read-only file with the object's verified bytes.

        Raises
        ------
        CorruptObject
            If the bytes do not give the digest; the object is removed.
        StoreError
            If there is no such object.
        """
        path = self._files.root / name_of(digest)
        if self._remote is not None and not (path.is_file() and self._is_whole(path, digest)):
            # No file, or a torn one, which says nothing of the store.
            self._download(digest, path)
        if not path.is_file():
            raise MissingObject(digest, self.place.shown)
        if not self._is_whole(path, digest):
            self.remove(digest)
            raise CorruptObject(digest)
        return path

    def remove(self, digest: str) -> None:
        """Delete an object; nothing happens where there is none."""
        self._verified.discard(digest)
        name = name_of(digest)
        self._files.remove([name])
        self.place.remove([name])

    def digests(self) -> Iterator[tuple[str, int]]:
        """Yield digest and size in bytes of every object."""
        for file in self.place.files("objects"):
            digest = file.name.rpartition("/")[2]
            if is_digest(digest) and file.name == name_of(digest):
                yield digest, file.size

    def read_text(self, name: str) -> str | None:
        """Return a small named text beside the objects (the index), or None where there is none."""
        content = self.place.read(name)
        try:
            return None if content is None else content.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def write_text(self, name: str, text: str) -> None:
        """Write a small named text; readers see the old one or the new one, whole."""
        self.place.write(name, text.encode())

    def names(self, folder: str) -> list[str]:
        """Return the names of the small texts below `folder`, sorted."""
        return [file.name for file in self.place.files(folder) if file.name.endswith(".json")]

    def remove_text(self, name: str) -> None:
        """Delete a small named text; nothing happens where there is none."""
        self.place.remove([name])

    def _is_whole(self, path: Path, digest: str) -> bool:
        """Whether a file's bytes give the digest; each is digested once in a process."""
        if digest not in self._verified:
            with translated(self._files.shown, "read"):
                if digest_of(path) != digest:
                    return False
            self._verified.add(digest)
        return True

    def _is_uploaded(self, name: str, size: int) -> bool:
        return size > _SMALL and self.place.sizes([name]).get(name) == size

    def _download(self, digest: str, path: Path) -> None:
        assert self._remote is not None
        name = name_of(digest)
        path.unlink(missing_ok=True)
        for _ in range(2):  # twice, before a connection that tore costs everybody an object
            with self.new_file() as temporary:
                if not self._remote.fetch(name, temporary):
                    return
                if digest_of(temporary) == digest:
                    self._files.take(temporary, name)
                    self._verified.add(digest)
                    return
        self.remove(digest)
        raise CorruptObject(digest)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            sha.update(block)
    return sha.hexdigest()


def is_digest(text: str) -> bool:
    """Whether a text, which may come from an index that others write, has the form of a digest."""
    return len(text) == 64 and set(text) <= _DIGITS


def name_of(digest: str) -> str:
    """Return an object's name below the store's root.

    Raises
    ------
    StoreError
        If that is no digest: it might be a path.
    """
    if not is_digest(digest):
        raise StoreError(
            f"{digest[:80]!r} is not the digest of an object", "run again and it is computed anew"
        )
    return f"objects/{digest[:2]}/{digest}"
