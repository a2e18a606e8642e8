"""Objects by digest, in a folder or on any file system that fsspec supports.

Layout below the store's root: ``objects/ab/abcdef...`` by the SHA-256 of the content, and small
texts under other names.  Both are written atomically; an object is used only if its bytes match its
digest.
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
"""Up to this size in bytes, uploading is faster than checking whether the object exists."""
_DIGITS = frozenset("0123456789abcdef")


class ObjectStore:
    """Stores objects at a URL.

    Parameters
    ----------
    url : str
        A folder, or any URL that fsspec supports (``s3://bucket/prefix``).
    mirror : Path
        Local folder that caches the objects of a remote store.
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
            from baton.store.remote import RemotePlace  # half the imports of a local run that does nothing

            self._remote = RemotePlace(url, aws_profile)
            self._files = LocalPlace(mirror)
        else:
            self._files = LocalPlace(Path(url.removeprefix("file://")).absolute())

    @property
    def is_local(self) -> bool:
        """Whether objects are local files."""
        return self._remote is None

    def local_folder(self, name: str) -> Path | None:
        """Return a folder next to the objects, shared by local processes; None if the store is remote."""
        return self._files.root / name if self.is_local else None

    @property
    def place(self) -> Place:
        """The store's location."""
        return self._remote or self._files

    @property
    def mirror(self) -> LocalPlace | None:
        """The local cache of a remote store's objects; None for a local store."""
        return self._files if self._remote is not None else None

    def check(self) -> None:
        """Raise `baton.errors.Unavailable`, within seconds, if the store cannot be read and written."""
        self.place.check()

    @contextmanager
    def new_file(self) -> Iterator[Path]:
        """Yield the path of a file to write; it is deleted afterwards unless `put` moved it."""
        folder = self._files.root / "tmp"
        with translated(self._files.shown, "written"):
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
        path = folder / os.urandom(12).hex()
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def put(self, path: Path) -> tuple[str, int]:
        """Move the file at `path` into the store; return digest and size in bytes."""
        with translated(self._files.shown, "read"):
            digest, size = digest_of(path), path.stat().st_size
        name = name_of(digest)
        if self._remote is not None and not self._is_uploaded(name, size):
            self._remote.add_file(path, name)
        self._files.add_file(path, name)
        self._verified.add(digest)
        return digest, size

    def has(self, digest: str) -> bool:
        """Whether the object of that digest exists, without reading it."""
        return self.size_of(digest) is not None

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """Return the sizes in bytes of the objects that exist, in one request."""
        names = {name_of(digest): digest for digest in digests if is_digest(digest)}
        return {names[name]: size for name, size in self.place.sizes(names).items()}

    def size_of(self, digest: str) -> int | None:
        """Return an object's size in bytes, or None if it does not exist, without reading it."""
        return self.sizes([digest]).get(digest)

    def stored_digest(self, digest: str) -> str | None:
        """Return the digest of the actual bytes, or None if there are none.

        Reads all of them; deletes and caches nothing.
        """
        sha = hashlib.sha256()
        blocks = self.place.blocks(name_of(digest))
        if blocks is None:
            return None
        for block in blocks:
            sha.update(block)
        return sha.hexdigest()

    def is_intact(self, digest: str) -> bool:
        """Whether an object exists and its bytes match its digest; reads all, deletes nothing."""
        return is_digest(digest) and self.stored_digest(digest) == digest

    def path_of(self, digest: str) -> Path:
        """Return a local, read-only file with the object's verified bytes.

        Raises
        ------
        CorruptObject
            If the bytes do not match the digest; the object is deleted.
        StoreError
            If the object does not exist.
        """
        path = self._files.root / name_of(digest)
        if self._remote is not None and not (path.is_file() and self._is_whole(path, digest)):
            # No file, or an incomplete one, which says nothing about the store.
            self._download(digest, path)
        if not path.is_file():
            raise MissingObject(digest, self.place.shown)
        if not self._is_whole(path, digest):
            self.remove(digest)
            raise CorruptObject(digest)
        return path

    def remove(self, digest: str) -> None:
        """Delete an object; ignore one that does not exist."""
        self._verified.discard(digest)
        name = name_of(digest)
        self._files.remove([name])
        self.place.remove([name])

    def digests(self) -> Iterator[tuple[str, int]]:
        """Yield the digest and size in bytes of every object."""
        for file in self.place.files("objects"):
            digest = file.name.rpartition("/")[2]
            if is_digest(digest) and file.name == name_of(digest):
                yield digest, file.size

    def read_text(self, name: str) -> str | None:
        """Return a small named text (such as an index entry), or None if it does not exist."""
        content = self.place.read(name)
        try:
            return None if content is None else content.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def write_text(self, name: str, text: str) -> None:
        """Write a small named text atomically."""
        self.place.write(name, text.encode())

    def names(self, folder: str) -> list[str]:
        """Return the names of the small texts below `folder`, sorted."""
        return [file.name for file in self.place.files(folder) if file.name.endswith(".json")]

    def remove_text(self, name: str) -> None:
        """Delete a small named text; ignore one that does not exist."""
        self.place.remove([name])

    def _is_whole(self, path: Path, digest: str) -> bool:
        """Whether a file's bytes match the digest; each file is digested once per process."""
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
        for _ in range(2):  # retry once: a lost connection must not delete a shared object
            with self.new_file() as temporary:
                if not self._remote.fetch(name, temporary):
                    return
                if digest_of(temporary) == digest:
                    self._files.add_file(temporary, name)
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
    """Whether a text, for example from an untrusted index, has the form of a digest."""
    return len(text) == 64 and set(text) <= _DIGITS


def name_of(digest: str) -> str:
    """Return an object's name below the store's root.

    Raises
    ------
    StoreError
        If it is not a digest: it might be a path.
    """
    if not is_digest(digest):
        raise StoreError(f"{digest[:80]!r} is not the digest of an object", "run again to recompute it")
    return f"objects/{digest[:2]}/{digest}"
