"""A store location on any file system that fsspec supports: S3, Google Storage, SFTP...

Endpoint, region and credentials come from the file system's own configuration: for S3 the standard
AWS variables and files, or fsspec's (``FSSPEC_S3_...``).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from baton.core.addresses import without_secrets
from baton.errors import BatonError, ExtraMissing, StoreError, Unavailable
from baton.store.local import BLOCK
from baton.store.place import FileState

MARKER = "baton-store.json"
"""Marker at the root of a remote store, which holds the version of its layout."""
LAYOUT = 1
"""Increase when the layout changes; baton refuses a store with a newer layout."""

_S3 = ("s3", "s3a")
EXTRAS = dict.fromkeys(_S3, "s3")
_WHOLE_UPLOADS = {*_S3, "abfs", "abfss", "adl", "az", "gcs", "gs", "memory"}
"""Protocols whose uploads are atomic; elsewhere a temporary file is renamed."""
_BUCKETS = _WHOLE_UPLOADS - {"memory"}
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_AT_ONCE = 64
_ANSWER_WITHIN_S = 6.0
_HINT = "check the address, credentials and connection, or use another: --store URL"

Result = TypeVar("Result")


class RemotePlace:
    """Implements `baton.store.place.Place` over fsspec.

    The first use checks that the store is usable, once per process.

    Parameters
    ----------
    url : str
        Any URL that fsspec supports.
    aws_profile : str, optional
        Profile for S3; ``AWS_PROFILE`` in the environment takes precedence.

    Raises
    ------
    Unavailable
        If no file system for the URL is installed.
    """

    def __init__(self, url: str, aws_profile: str | None = None) -> None:
        self._url = url
        self._protocol = url.partition("://")[0]
        self._options = file_system_options(self._protocol, aws_profile)
        self._fs: Any = None
        self._root = ""
        self._is_marked: bool | None = None
        self._trouble: BatonError | None = None
        self._getting_ready = threading.Lock()
        self._find_file_system()

    @property
    def shown(self) -> str:
        """The URL without user, password and query."""
        return without_secrets(self._url)

    def check(self) -> None:
        """Write the marker if it is missing, so that both reading and writing are tried."""
        self._get_ready()
        if not self._is_marked:
            with self._translated("written"):
                marker = msgspec.json.encode({"layout": LAYOUT})
                _within(_ANSWER_WITHIN_S, lambda: self._write(MARKER, marker))
            self._is_marked = True

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if it does not exist."""
        return self.read_all([name]).get(name)

    def blocks(self, name: str) -> Iterator[bytes] | None:
        """Return a file's bytes in chunks, or None if it does not exist."""
        self._get_ready()
        with self._translated("read"):
            try:
                file = self._fs.open(self._full(name), "rb")
            except FileNotFoundError:
                return None
        return self._blocks(file)

    def _blocks(self, file: IO[bytes]) -> Iterator[bytes]:
        with self._translated("read"), file:
            while block := file.read(BLOCK):
                yield block

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of the files that exist, by name; reads many at once."""
        self._get_ready()
        with self._translated("read"):
            return dict(self._each("cat_file", list(names), **self._in_one_request))

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically."""
        self._get_ready()
        with self._translated("written"):
            self._write(name, content)

    def add_file(self, path: Path, name: str) -> None:
        """Upload a finished file, which stays in place."""
        self._get_ready()
        with self._translated("written"):
            self._put(name, lambda target: self._fs.put_file(str(path), target))

    def fetch(self, name: str, path: Path) -> bool:
        """Download a file to `path`; return whether it exists."""
        self._get_ready()
        with self._translated("read"):
            try:
                self._fs.get_file(self._full(name), str(path))
            except FileNotFoundError:
                return False
        return True

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Return the sizes in bytes of the files that exist, by name; asks for many at once."""
        self._get_ready()
        with self._translated("read"):
            return {name: int(info["size"]) for name, info in self._each("info", list(names))}

    def files(self, folder: str) -> list[FileState]:
        """Return every file below a folder, sorted by name; empty if the folder does not exist."""
        self._get_ready()
        with self._translated("read"):
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(self._full(folder), detail=True)
            except FileNotFoundError:
                return []
        cut = len(self._root) + 1
        return [
            FileState(path[cut:], int(info["size"] or 0), _modified_at(info))
            for path, info in sorted(found.items())
        ]

    def remove(self, names: Iterable[str]) -> None:
        """Delete files; ignore those that do not exist."""
        self._get_ready()
        with self._translated("written"):
            list(self._each("rm_file", list(names)))

    @property
    def _in_one_request(self) -> dict[str, Any]:
        """Options that keep s3fs from asking for the size before it reads."""
        return {"max_concurrency": 1} if self._protocol in _S3 else {}

    def _full(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _write(self, name: str, content: bytes) -> None:
        self._put(name, lambda target: self._fs.pipe_file(target, content))

    def _put(self, name: str, put: Callable[[str], object]) -> None:
        final = self._full(name)
        if self._protocol in _WHOLE_UPLOADS:
            put(final)
            return
        self._fs.makedirs(final.rsplit("/", 1)[0], exist_ok=True)
        temporary = f"{final}.tmp-{os.urandom(6).hex()}"
        try:
            put(temporary)
            self._fs.mv(temporary, final)
        except BaseException:
            with contextlib.suppress(Exception):  # only the first error is reported
                self._fs.rm_file(temporary)
            raise

    def _each(self, method: str, names: Sequence[str], **options: Any) -> Iterator[tuple[str, Any]]:
        """Call a method for each file, many at once if supported; leave out files that do not exist."""
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            for name, answer in zip(some, self._ask(method, some, options), strict=True):
                if isinstance(answer, FileNotFoundError):
                    continue
                if isinstance(answer, BaseException):
                    raise answer
                yield name, answer

    def _ask(self, method: str, names: Sequence[str], options: dict[str, Any]) -> list[Any]:
        if self._fs.async_impl:
            from fsspec.asyn import sync

            call: Callable[..., Awaitable[Any]] = getattr(self._fs, f"_{method}")

            async def ask_all() -> list[Any]:
                calls = [call(self._full(name), **options) for name in names]
                return await asyncio.gather(*calls, return_exceptions=True)

            answers: list[Any] = sync(self._fs.loop, ask_all)
            return answers
        answers = []
        for name in names:
            try:
                answers.append(getattr(self._fs, method)(self._full(name), **options))
            except FileNotFoundError as error:
                answers.append(error)
        return answers

    def _get_ready(self) -> None:
        """Check that the store answers and is usable, once for all threads."""
        with self._getting_ready:
            if self._trouble is not None:
                raise self._trouble
            if self._is_marked is None:
                try:
                    with self._translated("used"):
                        self._is_marked = _within(_ANSWER_WITHIN_S, self._look)
                except BatonError as error:
                    self._trouble = error
                    raise

    def _look(self) -> bool:
        """Open the file system; return whether the marker exists."""
        from fsspec.core import url_to_fs

        self._fs, root = url_to_fs(self._url, **self._options)
        self._root = root.rstrip("/")
        marker = dict(self._each("cat_file", [MARKER], **self._in_one_request)).get(MARKER)
        if marker is None:
            bucket = self._root.partition("/")[0]
            if self._protocol in _BUCKETS and not self._fs.exists(bucket):
                raise StoreError(
                    f"the store at {self.shown} cannot be used: "
                    f"bucket '{bucket}' does not exist or these credentials have no access",
                    "create the bucket, or use another store: --store URL",
                )
            return False
        try:
            layout = msgspec.json.decode(marker, type=dict[str, int]).get("layout", LAYOUT)
        except msgspec.MsgspecError:
            return False  # malformed: written again
        if layout > LAYOUT:
            raise StoreError(
                f"the store at {self.shown} was made by a newer version of baton (layout {layout})",
                "upgrade baton, or use another store: --store URL",
            )
        return True

    def _find_file_system(self) -> None:
        from fsspec.registry import get_filesystem_class

        try:
            place = urlsplit(self._url).netloc
        except ValueError as error:
            raise Unavailable(f"the store at {self.shown} cannot be used: {error}", _HINT) from error
        if self._protocol in _S3 and "@" in place:
            raise Unavailable(
                f"the store at {self.shown} cannot be used: its URL contains credentials",
                "remove them and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or aws_profile",
            )
        try:
            get_filesystem_class(self._protocol)
        except ImportError as error:
            if self._protocol in EXTRAS:
                raise ExtraMissing(f"the store at {self.shown}", EXTRAS[self._protocol]) from error
            raise self._unusable("used", error, "install the file system's package") from error
        except ValueError as error:
            raise self._unusable("used", error, _HINT) from error

    @contextlib.contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        """Translate errors of a file system."""
        try:
            yield
        except BatonError:
            raise
        except Exception as error:  # file systems raise their own exceptions
            raise self._unusable(action, error, _HINT) from error

    def _unusable(self, action: str, error: Exception, hint: str) -> StoreError:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = " ".join(self._without_secrets(str(text)).split()).rstrip(".")[:300]
        return StoreError(f"the store at {self.shown} cannot be {action}: {reason}", hint)

    def _without_secrets(self, text: str) -> str:
        parts = urlsplit(self._url)
        found = [parts.password, parts.username, parts.query, *map(os.environ.get, _SECRET_VARIABLES)]
        for secret in filter(None, found):
            for form in (secret, unquote(secret)):
                text = text.replace(form, "***")
        return text


def file_system_options(protocol: str, aws_profile: str | None) -> dict[str, Any]:
    """Return the file system's options; no S3 setting of an earlier store is kept."""
    if protocol not in _S3:
        return {}
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    from fsspec.config import conf

    if "config_kwargs" not in conf.get(protocol, {}):
        options["config_kwargs"] = {
            "connect_timeout": 2.5,
            "max_pool_connections": _AT_ONCE,
            "retries": {"mode": "standard", "max_attempts": 2},
        }
    if aws_profile and not os.environ.get("AWS_PROFILE"):
        options["profile"] = aws_profile
    return options


def _within(limit_s: float, function: Callable[[], Result]) -> Result:
    """Return the function's result, or raise TimeoutError; a late call continues in its thread."""
    answers: queue.SimpleQueue[Callable[[], Result]] = queue.SimpleQueue()

    def answer() -> None:
        try:
            value = function()
        except BaseException as error:
            raised = error

            def fail() -> Result:
                raise raised

            answers.put(fail)
        else:
            answers.put(lambda: value)

    threading.Thread(target=answer, daemon=True).start()
    try:
        found = answers.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError(f"no answer within {limit_s:g} s") from None
    return found()


def _modified_at(info: Mapping[str, Any]) -> float:
    """Return when a file was written, in seconds since 1970; now if unknown."""
    for key in ("LastModified", "last_modified", "mtime", "updated", "modified", "created"):
        value = info.get(key)
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = datetime.datetime.fromisoformat(value)
        if isinstance(value, datetime.datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
            return aware.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return time.time()
