"""Objects by digest, on any file system that fsspec knows.

Layout below the store's root: ``objects/ab/abcdef...`` by the SHA-256 of the content.  An object
is written under a temporary name and renamed when whole; it is read only if its bytes give its
digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from baton.errors import CorruptObject, StoreError, Unavailable

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_BLOCK = 1 << 20


class ObjectStore:
    """Keeps objects at a URL.

    Parameters
    ----------
    url : str
        A folder, or any URL that fsspec knows (``s3://bucket/prefix``); options of the file system
        come from its own configuration (for S3, the usual AWS variables).
    mirror : Path
        Local folder where objects of a remote store are kept after reading.

    Raises
    ------
    Unavailable
        If no file system for the URL is installed.
    """

    def __init__(self, url: str, mirror: Path) -> None:
        self.url = url
        self._mirror = mirror
        self._verified: set[str] = set()
        if "://" in url and not url.startswith("file://"):
            self._fs, self._root = _file_system(url)
            self._local: Path | None = None
        else:
            self._fs, self._root = None, ""
            self._local = Path(url.removeprefix("file://")).absolute()

    @property
    def is_local(self) -> bool:
        """Whether objects are files of this machine."""
        return self._local is not None

    def local_folder(self, name: str) -> Path | None:
        """Return a folder beside the objects that processes of this machine share; None where remote."""
        return None if self._local is None else self._local / name

    @contextmanager
    def new_file(self) -> Iterator[Path]:
        """Yield the path of a file to write; it is gone afterwards unless `put` took it."""
        folder = (self._local or self._mirror) / "tmp"
        with _told(self.url, "written"):
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / os.urandom(12).hex()
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def put(self, path: Path) -> tuple[str, int]:
        """Store the file at `path`, which is moved away; return digest and size in bytes."""
        with _told(self.url, "written"):
            digest, size = digest_of(path), path.stat().st_size
            if self._local is not None:
                _publish(path, self._object_path(self._local, digest))
            else:
                if self._remote_size(digest) != size:
                    self._upload(path, digest)
                _publish(path, self._object_path(self._mirror, digest))
        self._verified.add(digest)
        return digest, size

    def has(self, digest: str) -> bool:
        """Whether an object of that digest is there; its bytes are not read."""
        if not _is_digest(digest):
            return False
        with _told(self.url, "read"):
            if self._local is not None:
                return self._object_path(self._local, digest).is_file()
            return bool(self._fs.exists(self._remote_path(digest)))

    def size_of(self, digest: str) -> int | None:
        """Return an object's size in bytes, None where there is none; its bytes are not read."""
        if not _is_digest(digest):
            return None
        with _told(self.url, "read"):
            if self._local is None:
                return self._remote_size(digest)
            try:
                return self._object_path(self._local, digest).stat().st_size
            except FileNotFoundError:
                return None

    def is_intact(self, digest: str) -> bool:
        """Whether an object is there and its bytes give its digest; all are read, nothing is removed."""
        if not self.has(digest):
            return False
        if self._local is not None:
            with _told(self.url, "read"):
                return digest_of(self._object_path(self._local, digest)) == digest
        with _told(self.url, "read"), self._fs.open(self._remote_path(digest), "rb") as file:
            return _digest_of_stream(file) == digest

    def path_of(self, digest: str) -> Path:
        """Return a local, read-only file with the object's verified bytes.

        Raises
        ------
        CorruptObject
            If the bytes do not give the digest; the object is removed.
        StoreError
            If there is no such object.
        """
        path = self._object_path(self._local or self._mirror, digest)
        if self._local is None and not path.is_file():
            self._download(digest, path)
        if (
            self._local is None
            and digest not in self._verified
            and path.is_file()
            and digest_of(path) != digest
        ):
            path.unlink(missing_ok=True)  # the mirror is torn, which says nothing of the store
            self._download(digest, path)
        if not path.is_file():
            raise StoreError(
                f"object {digest[:12]} is missing from {self.url}", "run again and it is computed anew"
            )
        if digest not in self._verified:
            with _told(self.url, "read"):
                matches = digest_of(path) == digest
            if not matches:
                self.remove(digest)
                raise CorruptObject(digest)
            self._verified.add(digest)
        return path

    def remove(self, digest: str) -> None:
        """Delete an object; nothing happens where there is none."""
        self._verified.discard(digest)
        with _told(self.url, "written"):
            self._object_path(self._local or self._mirror, digest).unlink(missing_ok=True)
            if self._local is None and self._fs.exists(self._remote_path(digest)):
                self._fs.rm(self._remote_path(digest))

    def digests(self) -> Iterator[tuple[str, int]]:
        """Yield digest and size in bytes of every object."""
        if self._local is not None:
            for path in sorted((self._local / "objects").glob("??/*")):
                yield path.name, path.stat().st_size
            return
        with _told(self.url, "read"):
            found = self._fs.find(f"{self._root}/objects", detail=True)
        for name, info in sorted(found.items()):
            if ".tmp-" not in name:
                yield name.rsplit("/", 1)[-1], int(info["size"])

    def read_text(self, name: str) -> str | None:
        """Return a small named text beside the objects (the index), or None where there is none."""
        with _told(self.url, "read"):
            try:
                if self._local is not None:
                    return (self._local / name).read_text(encoding="utf-8")
                return str(self._fs.cat_file(f"{self._root}/{name}").decode("utf-8"))
            except (FileNotFoundError, UnicodeDecodeError):
                return None

    def write_text(self, name: str, text: str) -> None:
        """Write a small named text; readers see the old one or the new one, whole."""
        from baton.core.files import write_atomically

        with _told(self.url, "written"):
            if self._local is not None:
                write_atomically(self._local / name, text.encode())
            else:
                self._put_remote(text.encode(), f"{self._root}/{name}")

    def names(self, folder: str) -> list[str]:
        """Return the names of the small texts below `folder`, sorted."""
        if self._local is not None:
            root = self._local
            return sorted(str(p.relative_to(root).as_posix()) for p in (root / folder).rglob("*.json"))
        with _told(self.url, "read"):
            found = self._fs.find(f"{self._root}/{folder}")
        return sorted(name.removeprefix(f"{self._root}/") for name in found if name.endswith(".json"))

    def remove_text(self, name: str) -> None:
        """Delete a small named text; nothing happens where there is none."""
        with _told(self.url, "written"):
            if self._local is not None:
                (self._local / name).unlink(missing_ok=True)
            elif self._fs.exists(f"{self._root}/{name}"):
                self._fs.rm(f"{self._root}/{name}")

    def _object_path(self, root: Path, digest: str) -> Path:
        return root / "objects" / _checked(digest)[:2] / digest

    def _remote_path(self, digest: str) -> str:
        return f"{self._root}/objects/{_checked(digest)[:2]}/{digest}"

    def _remote_size(self, digest: str) -> int | None:
        try:
            return int(self._fs.info(self._remote_path(digest))["size"])
        except FileNotFoundError:
            return None

    def _upload(self, path: Path, digest: str) -> None:
        final = self._remote_path(digest)
        temporary = f"{final}.tmp-{os.urandom(6).hex()}"
        self._fs.makedirs(final.rsplit("/", 1)[0], exist_ok=True)
        self._fs.put_file(str(path), temporary)
        self._fs.mv(temporary, final)

    def _put_remote(self, content: bytes, final: str) -> None:
        temporary = f"{final}.tmp-{os.urandom(6).hex()}"
        self._fs.makedirs(final.rsplit("/", 1)[0], exist_ok=True)
        self._fs.pipe_file(temporary, content)
        self._fs.mv(temporary, final)

    def _download(self, digest: str, path: Path) -> None:
        with self.new_file() as temporary, _told(self.url, "read"):
            try:
                self._fs.get_file(self._remote_path(digest), str(temporary))
            except FileNotFoundError:
                return
            if digest_of(temporary) != digest:
                self.remove(digest)
                raise CorruptObject(digest)
            _publish(temporary, path)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return _digest_of_stream(file)


def _digest_of_stream(file: IO[bytes]) -> str:
    sha = hashlib.sha256()
    while block := file.read(_BLOCK):
        sha.update(block)
    return sha.hexdigest()


def _publish(path: Path, final: Path) -> None:
    """Move a whole file to its place; one that is there gives way, as it may be damaged."""
    final.parent.mkdir(parents=True, exist_ok=True)
    path.chmod(0o444)
    path.replace(final)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _checked(digest: str) -> str:
    """Return a digest, which may come from an index that others write; refuse what could be a path."""
    if not _is_digest(digest):
        raise StoreError(
            f"{digest[:80]!r} is not the digest of an object", "run again and it is computed anew"
        )
    return digest


def _file_system(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        fs: AbstractFileSystem
        fs, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise Unavailable(
            f"the store's URL '{url}' cannot be used: {error}",
            "install the file system's package, for S3: pip install s3fs",
        ) from error
    return fs, root.rstrip("/")


@contextmanager
def _told(url: str, action: str) -> Iterator[None]:
    """Translate what a file system raises."""
    try:
        yield
    except (FileNotFoundError, StoreError):
        raise
    except Exception as error:  # every file system has exceptions of its own
        reason = getattr(error, "strerror", None) or error
        raise StoreError(
            f"the store at {url} cannot be {action}: {reason}",
            "check that the place exists, has space and lets you write; another place: --store URL",
        ) from error
