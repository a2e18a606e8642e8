"""External inputs: their state now, and their content on this machine."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from baton.codetrace.facts import DigestMemory
from baton.core.addresses import is_address, without_secrets, without_secrets_in_addresses
from baton.core.external import External
from baton.errors import BatonError, ExtraMissing, TaskError, Unavailable, UsageError
from baton.kinds.plain import files_below

_MARKS = ("ETag", "etag", "Content-MD5", "md5Hash", "content_md5", "crc32c", "generation")
_TIMES = ("LastModified", "Last-Modified", "last_modified", "mtime", "updated", "modified", "created")
_HTTP = ("http://", "https://")
_UNKNOWN = "unknown at "
_TIMEOUT_S = 30.0
_ATTEMPTS = 3


class Models(Protocol):
    """Finds registered models."""

    def state(self, address: str) -> str:
        """Describe in one line the version that an address such as ``"fares@champion"`` means now."""

    def fetch(self, address: str, folder: Path) -> Path:
        """Download that version into a folder, and return the model's folder."""


class ExternalContent:
    """Reads external inputs.

    Parameters
    ----------
    folder : Path
        The project's folder, where relative paths begin.
    digests : DigestMemory
        Digests of local files.
    models : callable
        Returns what finds registered models.
    aws_profile : str, optional
        Profile for S3.
    """

    def __init__(
        self,
        folder: Path,
        digests: DigestMemory,
        models: Callable[[], Models],
        aws_profile: str | None = None,
    ) -> None:
        self._folder = folder
        self._digests = digests
        self._models = models
        self._aws_profile = aws_profile

    def state(self, external: External) -> str:
        """Return what the content is now: a digest, or a line that changes when the content does.

        Raises
        ------
        TaskError
            If it does not exist.
        Unavailable
            If a service does not answer.
        """
        if external.what == "model":
            return self._models().state(external.address)
        local = self._local(external)
        if local is not None:
            return _state_of(self._digests_of(external, local))
        with _reading(external):
            return _state_of(self._remote(external).states())

    def require(self, external: External) -> None:
        """Raise `UsageError` if a local input does not exist."""
        local = None if external.what == "model" else self._local(external)
        if local is not None:
            try:
                _files(external, local)
            except TaskError as error:
                raise UsageError(error.message, error.hint) from error

    def fetch(self, external: External, scratch: Path) -> Path:
        """Return the path of the content on this machine; downloads are put into the folder `scratch`."""
        if external.what == "model":
            return self._models().fetch(external.address, scratch)
        local = self._local(external)
        if local is not None:
            return local
        with _reading(external):
            return self._remote(external).fetch(scratch)

    def is_content(self, external: External, state: str, digests: Mapping[str, str]) -> bool:
        """Return whether stored files, digests by name, are the content that had a state."""
        if external.what != "model" and self._local(external) is not None:
            return _state_of(digests) == state
        return state.startswith(_UNKNOWN) or self.state(external) == state

    def digests(self, external: External) -> dict[str, str] | None:
        """Return the digests of a local input's files by name, ``""`` for the only one; None if not local."""
        local = None if external.what == "model" else self._local(external)
        return None if local is None else self._digests_of(external, local)

    def files_of(self, external: External) -> list[str]:
        """Return the names of the files in a folder, sorted."""
        local = self._local(external)
        if local is not None:
            try:
                return sorted(_files(external, local))
            except TaskError as error:
                raise UsageError(error.message, error.hint) from error
        with _reading(external):
            return sorted(self._remote(external).states())

    def size(self, external: External) -> int:
        """Return the number of bytes of a local input."""
        local = self._local(external)
        assert local is not None
        return sum(path.stat().st_size for path in _files(external, local).values())

    def _local(self, external: External) -> Path | None:
        address = external.address.removeprefix("file://")
        return None if is_address(address) else self._folder / Path(address).expanduser()

    def _digests_of(self, external: External, path: Path) -> dict[str, str]:
        found = {name: self._digests.full(str(file)) for name, file in _files(external, path).items()}
        for name, digest in found.items():
            if len(digest) < len(hashlib.sha256().hexdigest()):
                raise TaskError(
                    f"the {external.what} {external.address} cannot be read" + (f": '{name}'" * bool(name)),
                    "check its permissions",
                )
        return found

    def _remote(self, external: External) -> _Remote:
        if external.what == "file" and external.address.startswith(_HTTP):
            return _Download(external)
        return _FileSystem(external, self._aws_profile)


def shown(external: External) -> str:
    """Return what an external input is and its address, without secrets: ``"file data/trips.csv"``."""
    return f"{external.what} {without_secrets(external.address)}"


def _files(external: External, path: Path) -> dict[str, Path]:
    """Return the files of a local input by name; a single file has the name ``""``."""
    if external.what == "file" and path.is_file():
        return {"": path}
    if external.what == "folder" and path.is_dir():
        try:
            return files_below(path)
        except TypeError as error:
            raise TaskError(f"folder {external.address}: {error}", "put plain files there") from error
    if path.exists():
        raise TaskError(
            f"{external.address} is not a {external.what}", "use InputFile for files, InputFolder for folders"
        )
    raise TaskError(
        f"the {external.what} {external.address} does not exist",
        "check the path; a relative one begins in the project's folder",
    )


def _state_of(states: Mapping[str, str]) -> str:
    if states.keys() == {""}:
        return states[""]
    return hashlib.sha256(json.dumps(dict(states), sort_keys=True).encode()).hexdigest()


def _missing(external: External) -> TaskError:
    return TaskError(f"the {shown(external)} does not exist", "check the address and the credentials")


@contextmanager
def _reading(external: External) -> Iterator[None]:
    """Translate errors of a remote place."""
    try:
        yield
    except BatonError:
        raise
    except FileNotFoundError as error:
        raise _missing(external) from error
    except Exception as error:  # file systems raise their own exceptions
        text = without_secrets_in_addresses(" ".join(str(error).split()))[:300]
        raise Unavailable(
            f"the {shown(external)} cannot be read: {text or type(error).__name__}",
            "check the address, credentials and connection",
        ) from error


class _Remote(Protocol):
    """An external input on another machine."""

    def states(self) -> dict[str, str]: ...

    def fetch(self, scratch: Path) -> Path: ...


class _FileSystem:
    """A file or folder on any file system that fsspec supports."""

    def __init__(self, external: External, aws_profile: str | None) -> None:
        from fsspec.core import url_to_fs

        from baton.store.remote import EXTRAS, file_system_options

        protocol = external.address.partition("://")[0]
        self._external = external
        try:
            self._fs, self._path = url_to_fs(external.address, **file_system_options(protocol, aws_profile))
        except ImportError as error:
            if protocol in EXTRAS:
                raise ExtraMissing(f"the {shown(external)}", EXTRAS[protocol]) from error
            raise

    def states(self) -> dict[str, str]:
        """Return the state of each file by its name."""
        self._fs.invalidate_cache()
        if self._external.what == "file":
            return {"": _mark_of(self._fs.info(self._path))}
        found = self._fs.find(self._path, detail=True)
        if not found:
            raise _missing(self._external)
        return {path[len(self._path.rstrip("/")) + 1 :]: _mark_of(info) for path, info in found.items()}

    def fetch(self, scratch: Path) -> Path:
        """Download into a folder; return the path of the file or folder."""
        target = scratch / Path(self._path).name
        if self._external.what == "file":
            self._fs.get_file(self._path, str(target))
            return target
        for name in self.states():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            self._fs.get_file(f"{self._path.rstrip('/')}/{name}", str(target / name))
        return target


class _Download:
    """A file on an HTTP server."""

    def __init__(self, external: External) -> None:
        self._url = external.address
        self._external = external

    def states(self) -> dict[str, str]:
        """Return the state of the file that the server's headers tell."""
        import httpx

        answer = _repeated(lambda: httpx.head(self._url, follow_redirects=True, timeout=_TIMEOUT_S))
        self._require_good(answer.status_code)
        return {"": _mark_of({**answer.headers, "size": answer.headers.get("content-length")})}

    def fetch(self, scratch: Path) -> Path:
        """Download into a folder; return the path of the file."""
        target = scratch / (Path(self._url.partition("?")[0]).name or "download")
        _repeated(lambda: self._stream_to(target))
        return target

    def _stream_to(self, target: Path) -> None:
        import httpx

        with httpx.stream("GET", self._url, follow_redirects=True, timeout=_TIMEOUT_S) as answer:
            self._require_good(answer.status_code)
            with target.open("wb") as file:
                for block in answer.iter_bytes():
                    file.write(block)

    def _require_good(self, status: int) -> None:
        if status in (404, 410):
            raise _missing(self._external)
        if status >= 400:
            raise Unavailable(f"the {shown(self._external)} cannot be read: the server answered {status}")


def _repeated(call: Callable[[], Any]) -> Any:
    """Return what a call returns, tried again if the connection fails."""
    import httpx
    import tenacity

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(httpx.TransportError),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_exponential(0.5),
        reraise=True,
    )
    return retrying(call)


def _mark_of(info: Mapping[str, Any]) -> str:
    """Return what tells one content of a remote file from another; always new if nothing does."""
    by_name = {name.lower(): value for name, value in info.items()}
    marks = [f"{name}={by_name[name.lower()]}" for name in _MARKS if by_name.get(name.lower())]
    if not marks:
        marks = [f"{name}={by_name[name.lower()]}" for name in _TIMES if by_name.get(name.lower())]
    if not marks:
        return f"{_UNKNOWN}{time.time_ns()}"
    return " ".join([*marks, f"size={by_name.get('size')}"])
