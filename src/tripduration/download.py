"""Download one file over HTTP: resumed, retried, verified, and published atomically.

Next to the file ``NAME`` are ``NAME.json`` (its receipt), ``NAME.lock`` and, during the download,
``NAME.part`` with ``NAME.part.json``. A process killed at any moment leaves files that the next one
can use.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tripduration.addresses import identity, redacted, scheme, through_proxy
from tripduration.errors import DownloadFailed, StorageFailed, WrongContent
from tripduration.parquet import sha256_of

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

Progress = Callable[[int, int | None, str], None]
"""Called after each chunk: bytes so far, total bytes (None if unknown), the file's name."""

Log = Callable[[str], None]
"""Called with one line per event."""

_PIECE_BYTES = 1 << 16
_AGAIN = "check the network and the address, then run again to resume"


@dataclass(frozen=True)
class Patience:
    """How long and how often to ask a server before giving up.

    Parameters
    ----------
    attempts
        Total number of requests, 1 or more.
    first_wait_s, longest_wait_s
        Seconds before the second attempt, doubled for each later one, and their limit. Up to
        `first_wait_s` of random jitter is added.
    connect_timeout_s, read_timeout_s
        Seconds to wait for a connection, and for the next byte.
    redirects
        Maximum number of redirects.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 20.0
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    redirects: int = 5


DEFAULT_PATIENCE = Patience()


def download(
    url: str,
    path: Path,
    *,
    verify: Callable[[Path, str], object],
    patience: Patience = DEFAULT_PATIENCE,
    progress: Progress | None = None,
    log: Log | None = None,
) -> Path:
    """Bring `path` up to date with `url` and return it.

    An existing file is downloaded again only if the server says that it changed, and is used as it is
    if the server delivers nothing better. Processes that want the same file wait for one another.

    Parameters
    ----------
    url
        An ``http`` or ``https`` address; user, password and query never reach a message.
    path
        The destination; its folder is created.
    verify
        Called with the downloaded file and its name for messages; raises `WrongContent` to reject it.
    patience
        Retries and timeouts.
    progress, log
        Called with bytes and events.

    Raises
    ------
    DownloadFailed
        The server refused (with `status`), or did not deliver in any attempt.
    WrongContent
        `verify` rejected the content.
    StorageFailed
        The disk is full, or the folder cannot be written.
    """
    wanted = _Download(url, path, verify, progress or (lambda *_: None), log or (lambda _: None))
    with storage_errors(path), _locked(wanted):
        try:
            _fetch(wanted, patience)
        except (DownloadFailed, WrongContent) as error:
            if wanted.kept() is None:
                raise
            wanted.log(f"using the last download of {path.name}: {error.message}")
    return path


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a failure to read or write near `path` into a `StorageFailed` with its name."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            hint = "free some space, or choose another folder, then run again"
        else:
            hint = f"check that {path.parent} is a folder with read and write permission"
        reason = error.strerror or str(error)
        raise StorageFailed(f"cannot store or read {path.name}: {reason}", hint=hint) from error


class _Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Address and version of a complete or partial file, without secrets."""

    address: str
    etag: str
    last_modified: str
    size: int
    """Size of the whole file in bytes; -1 if unknown."""
    sha256: str
    """Digest of the whole file; empty during the download."""

    @property
    def version(self) -> str:
        """The version, byte for byte, which a weak ETag does not identify (RFC 9110, 13.1.5)."""
        return (self.etag if not self.etag.startswith("W/") else "") or self.last_modified


class _Interrupted(DownloadFailed):
    """A failed attempt that may succeed when repeated."""

    retry_after_s: float = 0.0


@dataclass(frozen=True)
class _Download:
    """One file to download, with its callbacks."""

    url: str
    path: Path
    verify: Callable[[Path, str], object]
    progress: Progress
    log: Log

    def beside(self, ending: str) -> Path:
        """Return the path of an auxiliary file."""
        return self.path.with_name(self.path.name + ending)

    def kept(self) -> _Receipt | None:
        """Return the receipt of an earlier download, if the file is still the verified one."""
        receipt = self._receipt(".json")
        if receipt is None or not self.path.is_file() or self.path.stat().st_size != receipt.size:
            return None
        return receipt if sha256_of(self.path) == receipt.sha256 else None

    def attempt(self, client: httpx.Client) -> None:
        """Request the file once, and publish it if it is complete and passes `verify`."""
        import httpx

        # Bytes on the wire must be the file's own: they are counted, and the download may be resumed.
        headers = {"Accept-Encoding": "identity"}
        begun, kept = self._receipt(".part.json"), None
        part = self.beside(".part")
        start = part.stat().st_size if begun is not None and begun.version and part.exists() else 0
        if begun is not None and start:
            headers |= {"Range": f"bytes={start}-", "If-Range": begun.version}
        elif kept := self.kept():
            asked = {"If-None-Match": kept.etag, "If-Modified-Since": kept.last_modified}
            headers |= {name: value for name, value in asked.items() if value}
        try:
            with client.stream("GET", self.url, headers=headers) as response:
                if response.status_code == 304 and kept is not None:
                    self.log(f"{self.path.name} has not changed since the last download")
                    return
                self._refuse_failure(response)
                self._publish(self._receive(response, begun, start))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _translated(error, self.url) from error

    def _refuse_failure(self, response: httpx.Response) -> None:
        """Raise an error for every response without bytes of the file."""
        status, shown = response.status_code, redacted(self.url)
        if scheme(self.url) == "https" and response.url.scheme != "https":
            raise DownloadFailed(
                f"{shown} redirects to an address without TLS",
                hint="use an https:// address that does not redirect",
            )
        if status in {200, 206}:
            return
        message = f"{shown} answered {status} {response.reason_phrase}".rstrip()
        if status == 416:  # our partial file no longer matches
            self._delete_part()
            raise _Interrupted(message, hint=_AGAIN, status=status)
        if status in {408, 429} or status >= 500:
            interrupted = _Interrupted(message, hint="run again later", status=status)
            asked = response.headers.get("Retry-After", "")
            interrupted.retry_after_s = float(asked) if asked.isdecimal() else 0.0
            raise interrupted
        raise DownloadFailed(message, hint="check the address and the access rights", status=status)

    def _receive(self, response: httpx.Response, begun: _Receipt | None, start: int) -> _Receipt:
        """Write the response body to the partial file; return the receipt of the whole file."""
        if response.status_code == 200:
            # A new receipt next to bytes of an old version would mix two versions.
            self._delete_part()
            headers, start = response.headers, 0
            size = int(headers.get("Content-Length", -1))
            begun = _Receipt(
                identity(self.url), headers.get("ETag", ""), headers.get("Last-Modified", ""), size, ""
            )
            self._write(".part.json", begun)
        else:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
            if begun is None or span is None or not 0 < start == int(span[1]):
                self._delete_part()
                message = f"{redacted(self.url)} returned another range than requested"
                raise _Interrupted(message, hint=_AGAIN)
            begun = msgspec.structs.replace(begun, size=int(span[2]))
        with self.beside(".part").open("ab") as file:
            for piece in response.iter_raw(_PIECE_BYTES):
                file.write(piece)
                start += len(piece)
                self.progress(start, begun.size if begun.size >= 0 else None, self.path.name)
            file.flush()
            os.fsync(file.fileno())
        return begun

    def _publish(self, receipt: _Receipt) -> None:
        """Rename the file to its final name, if its size is right and `verify` accepts it."""
        part, shown = self.beside(".part"), redacted(self.url)
        arrived = part.stat().st_size
        if receipt.size not in {-1, arrived}:
            if arrived > receipt.size:
                self._delete_part()
            raise _Interrupted(f"{shown} delivered {arrived:,} of {receipt.size:,} bytes", hint=_AGAIN)
        try:
            self.verify(part, f"the file from {shown}")
        except WrongContent:
            self._delete_part()
            raise
        finished = msgspec.structs.replace(receipt, size=arrived, sha256=sha256_of(part))
        part.replace(self.path)
        # A kill here leaves a file without a receipt: it is downloaded again, never trusted.
        self._write(".json", finished)
        self._delete_part()
        self.log(f"downloaded {self.path.name}, {arrived:,} bytes")

    def _receipt(self, ending: str) -> _Receipt | None:
        """Read a receipt; None if it is missing, malformed or of another address."""
        try:
            receipt = msgspec.json.decode(self.beside(ending).read_bytes(), type=_Receipt)
        except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return receipt if receipt.address == identity(self.url) else None

    def _write(self, ending: str, receipt: _Receipt) -> None:
        temporary = self.beside(ending + ".tmp")
        temporary.write_bytes(msgspec.json.encode(receipt))
        temporary.replace(self.beside(ending))

    def _delete_part(self) -> None:
        self.beside(".part").unlink(missing_ok=True)
        self.beside(".part.json").unlink(missing_ok=True)


@contextmanager
def _locked(wanted: _Download) -> Iterator[None]:
    from filelock import FileLock, Timeout

    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(wanted.beside(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        wanted.log(f"waiting for another process to download {wanted.path.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch(wanted: _Download, patience: Patience) -> None:
    import httpx
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

    first, longest = patience.first_wait_s, patience.longest_wait_s
    growing = wait_exponential(first, max=longest) + wait_random(0, first)

    def failure(state: RetryCallState) -> _Interrupted:
        error = state.outcome.exception() if state.outcome is not None else None
        assert isinstance(error, _Interrupted)
        return error

    retrying = Retrying(
        stop=stop_after_attempt(patience.attempts),
        retry=retry_if_exception_type(_Interrupted),
        wait=lambda state: min(max(growing(state), failure(state).retry_after_s), longest),
        before_sleep=lambda state: wanted.log(f"{failure(state).message}, trying again"),
        reraise=True,
    )
    timeout = httpx.Timeout(patience.read_timeout_s, connect=patience.connect_timeout_s)
    try:
        with (
            _no_secret_logged(),
            httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=patience.redirects) as client,
        ):
            retrying(wanted.attempt, client)
    except _Interrupted as error:
        message = f"{error.message} ({patience.attempts} attempts)"
        raise DownloadFailed(message, hint=error.hint, status=error.status) from error


@contextmanager
def _no_secret_logged() -> Iterator[None]:
    """Keep passwords and tokens out of httpx's own log, which quotes each URL."""
    logger = logging.getLogger("httpx")

    def redact(record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            texts = ((argument, str(argument)) for argument in record.args)
            record.args = tuple(redacted(text) if "://" in text else it for it, text in texts)
        return True

    logger.addFilter(redact)
    try:
        yield
    finally:
        logger.removeFilter(redact)


def _translated(error: httpx.HTTPError | httpx.InvalidURL, url: str) -> DownloadFailed:
    """Explain why there is no response, or only part of one."""
    import httpx

    shown = redacted(url)
    match error:
        case httpx.InvalidURL():  # its message contains the URL with its secrets
            return DownloadFailed(f"{shown} is not a valid address", hint="check the spelling")
        case httpx.TooManyRedirects():
            hint = "the server keeps redirecting: check the URL"
            return DownloadFailed(f"{shown} redirects too often", hint=hint)
        case httpx.UnsupportedProtocol():
            hint = "only http:// and https:// are followed"
            return DownloadFailed(f"{shown} redirects to an address that is not HTTP", hint=hint)
        case httpx.ConnectError() if "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = "check the clock, the system's certificates and any proxy"
            return DownloadFailed(f"{shown} has an untrusted certificate", hint=hint)
        case httpx.TimeoutException():
            why = "did not answer in time"
        case httpx.ConnectError():
            why = f"cannot be reached{through_proxy(url)}: {error}"
        case _:
            why = f"broke off: {error or type(error).__name__}"
    return _Interrupted(f"{shown} {why}", hint=_AGAIN)
