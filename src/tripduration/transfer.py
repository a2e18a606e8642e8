"""One attempt to fetch one file: ask, receive, publish."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tripduration.addresses import identity, redacted, scheme, through_proxy
from tripduration.errors import DownloadFailed, WrongContent
from tripduration.receipt import Receipt, sha256_of

if TYPE_CHECKING:
    import httpx

Progress = Callable[[int, int | None, str], None]
"""Told after each piece: bytes so far, bytes in all (None if unknown), the file's name."""

Log = Callable[[str], None]
"""Told of each event, in one line."""

_PIECE_BYTES = 1 << 16
_AGAIN = "check the network and the address, then run again: what arrived is kept"


class Interrupted(DownloadFailed):
    """An attempt failed in a way that another attempt may not."""

    retry_after_s: float = 0.0


@dataclass(frozen=True)
class Job:
    """One file to fetch, and who wants to hear of it."""

    url: str
    path: Path
    verify: Callable[[Path, str], object]
    progress: Progress
    log: Log

    def beside(self, ending: str) -> Path:
        """Return the path of a file that belongs to the one wanted."""
        return self.path.with_name(self.path.name + ending)

    def kept(self) -> Receipt | None:
        """Return the receipt of the file that an earlier download left, if both are sound."""
        receipt = Receipt.read(self.beside(".json"), identity(self.url))
        return receipt if receipt is not None and receipt.describes(self.path) else None

    def forget_part(self) -> None:
        """Remove what an unfinished download left."""
        self.beside(".part").unlink(missing_ok=True)
        self.beside(".part.json").unlink(missing_ok=True)


def attempt(client: httpx.Client, job: Job) -> None:
    """Ask once for the file, and publish it if it arrives whole and passes `job.verify`.

    Raises
    ------
    Interrupted
        Another attempt may succeed.
    DownloadFailed
        Another attempt would fail too.
    WrongContent
        What arrived is something else; it is removed.
    """
    import httpx

    start, headers = _opening(job)
    try:
        with client.stream("GET", job.url, headers=headers) as response:
            if response.status_code == 304 and "Range" not in headers and job.kept():
                job.log(f"{job.path.name} has not changed since the last download")
                return
            _refuse_failure(response, job)
            receipt = _receive(response, job, start)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _translated(error, job) from error
    _publish(job, receipt)


def _opening(job: Job) -> tuple[int, dict[str, str]]:
    """Return the byte to go on from, and the request's headers."""
    # Bytes on the wire must be the file's own: they are counted and may be resumed.
    headers = {"Accept-Encoding": "identity"}
    begun = Receipt.read(job.beside(".part.json"), identity(job.url))
    part = job.beside(".part")
    if begun is not None and part.exists():
        start = part.stat().st_size
        resume = begun.from_byte(start)
        if resume:
            return start, headers | resume
    kept = job.kept()
    return 0, headers | (kept.unless_changed() if kept else {})


def _refuse_failure(response: httpx.Response, job: Job) -> None:
    """Raise for every answer that carries no bytes of the file."""
    status = response.status_code
    shown = redacted(job.url)
    if scheme(job.url) == "https" and response.url.scheme != "https":
        raise DownloadFailed(
            f"{shown} redirects to an address without TLS",
            hint="name an https:// address that answers by itself",
        )
    if status in {200, 206}:
        return
    message = f"{shown} answered {status} {response.reason_phrase}".rstrip()
    if status == 416:
        # What we have is no part of that file any more.
        job.forget_part()
        raise Interrupted(message, hint=_AGAIN, status=status)
    if status in {408, 429} or status >= 500:
        interrupted = Interrupted(message, hint="run again later", status=status)
        asked = response.headers.get("Retry-After", "")
        interrupted.retry_after_s = float(asked) if asked.isdecimal() else 0.0
        raise interrupted
    hint = "check the address, and that it can be read from here"
    raise DownloadFailed(message, hint=hint, status=status)


def _receive(response: httpx.Response, job: Job, start: int) -> Receipt:
    """Write the answer's body to the unfinished file; return what the whole file must be."""
    part, note = job.beside(".part"), job.beside(".part.json")
    whole = response.status_code == 200
    if whole:
        # Bytes without a note are never resumed, so the note goes first.
        job.forget_part()
        size = int(response.headers.get("Content-Length", -1))
        Receipt.of_answer(identity(job.url), response.headers, size).write(note)
        start = 0
    else:
        size = _size_of_rest(response, job, start)
    receipt = Receipt.read(note, identity(job.url))
    if receipt is None:
        raise Interrupted(f"the note beside {part.name} disappeared", hint=_AGAIN)
    done = start
    with part.open("wb" if whole else "ab") as file:
        for piece in response.iter_raw(_PIECE_BYTES):
            file.write(piece)
            done += len(piece)
            job.progress(done, size if size >= 0 else None, job.path.name)
        file.flush()
        os.fsync(file.fileno())
    return replace(receipt, size=size)


def _size_of_rest(response: httpx.Response, job: Job, start: int) -> int:
    """Return the whole file's bytes from the header ``Content-Range: bytes 100-199/200``."""
    unit, _, numbers = response.headers.get("Content-Range", "").partition(" ")
    span, _, size = numbers.partition("/")
    if unit == "bytes" and span.partition("-")[0] == str(start) and size.isdecimal():
        return int(size)
    job.forget_part()
    raise Interrupted(
        f"{redacted(job.url)} answered with another part of the file than the one asked for",
        hint=_AGAIN,
    )


def _publish(job: Job, receipt: Receipt) -> None:
    """Give the file its name, if its size is right and `job.verify` accepts it."""
    part = job.beside(".part")
    arrived = part.stat().st_size
    if receipt.size not in {-1, arrived}:
        if arrived > receipt.size:
            job.forget_part()
        raise Interrupted(f"{redacted(job.url)} delivered {arrived:,} of {receipt.size:,} bytes", hint=_AGAIN)
    try:
        job.verify(part, f"what {redacted(job.url)} delivered")
    except WrongContent:
        job.forget_part()
        raise
    finished = replace(receipt, size=arrived, sha256=sha256_of(part))
    part.replace(job.path)
    # A kill here leaves a file that no receipt describes: it is fetched again, never trusted.
    finished.write(job.beside(".json"))
    job.beside(".part.json").unlink(missing_ok=True)
    job.log(f"downloaded {job.path.name}, {arrived:,} bytes")


def _translated(error: httpx.HTTPError | httpx.InvalidURL, job: Job) -> DownloadFailed:
    """Say in our words why no answer, or half an answer, arrived."""
    import httpx

    shown = redacted(job.url)
    if isinstance(error, httpx.InvalidURL):
        # Its own words quote the URL, secrets included.
        return DownloadFailed(f"{shown} is not an address", hint="check how it is written")
    if isinstance(error, httpx.TooManyRedirects):
        hint = "the server sends every request on to another address: check the URL"
        return DownloadFailed(f"{shown} redirects too often", hint=hint)
    if isinstance(error, httpx.UnsupportedProtocol):
        hint = "only http:// and https:// are followed"
        return DownloadFailed(f"{shown} leads to an address that is not HTTP", hint=hint)
    if _is_about_certificate(error):
        hint = "check the clock and the system's certificates, or a proxy in between"
        return DownloadFailed(f"{shown} has a certificate that is not trusted", hint=hint)
    if isinstance(error, httpx.TimeoutException):
        return Interrupted(f"{shown} did not answer in time", hint=_AGAIN)
    if isinstance(error, httpx.ConnectError):
        return Interrupted(f"{shown} cannot be reached{through_proxy(job.url)}: {error}", hint=_AGAIN)
    return Interrupted(f"{shown} broke off: {error or type(error).__name__}", hint=_AGAIN)


def _is_about_certificate(error: BaseException | None) -> bool:
    import ssl

    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
