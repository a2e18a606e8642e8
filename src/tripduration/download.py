"""One file over HTTP: resumed, retried, verified, published whole or not at all.

Beside the file ``NAME`` lie ``NAME.json`` (its receipt), ``NAME.lock`` and, while it is being
fetched, ``NAME.part`` with ``NAME.part.json``. A process killed at any moment leaves files that
the next one can use.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tripduration.addresses import redacted
from tripduration.errors import DownloadFailed, StorageFailed, WrongContent
from tripduration.transfer import Interrupted, Job, Log, Progress, attempt

if TYPE_CHECKING:
    from tenacity import RetryCallState


@dataclass(frozen=True)
class Patience:
    """How long and how often a server is asked before giving up.

    Parameters
    ----------
    attempts
        Requests in all, 1 or more.
    first_wait_s, longest_wait_s
        Seconds before the second attempt, doubled for each one after it, and their limit. Up to
        `first_wait_s` is added at random.
    connect_timeout_s, read_timeout_s
        Seconds to wait for a connection, and for the next byte.
    redirects
        How many are followed.
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

    A file that an earlier call left is fetched again only if the server says that it changed,
    and is used as it is where the server delivers nothing better. Processes that want the same
    file wait for one another.

    Parameters
    ----------
    url
        An ``http`` or ``https`` address; user, password and query never reach a message.
    path
        Where the file goes; its folder is made.
    verify
        Given what arrived and what to call it, raises `WrongContent` if it must not be published.
    patience
        Retries and timeouts.
    progress, log
        Told of bytes and of events.

    Raises
    ------
    DownloadFailed
        The server refused (`status` says how), or did not deliver in all attempts.
    WrongContent
        What arrived did not pass `verify`.
    StorageFailed
        The disk is full, or the folder cannot be written.
    """
    job = Job(url, path, verify, progress or _ignore_bytes, log or _ignore)
    with storage_errors(path), _locked(job):
        try:
            _attempt_patiently(job, patience)
        except (DownloadFailed, WrongContent) as error:
            if job.kept() is None:
                raise
            job.log(f"using {path.name} as it was last downloaded: {error.message}")
    return path


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a failure to read or write near `path` into a `StorageFailed` that names it."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            hint = "free some space, or choose another folder, then run again"
        else:
            hint = f"check that {path.parent} is a folder that this user may read and write"
        reason = error.strerror or str(error)
        raise StorageFailed(f"cannot store or read {path.name}: {reason}", hint=hint) from error


@contextmanager
def _locked(job: Job) -> Iterator[None]:
    from filelock import FileLock, Timeout

    job.path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(job.beside(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        job.log(f"waiting for another process that downloads {job.path.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _attempt_patiently(job: Job, patience: Patience) -> None:
    import httpx
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

    retrying = Retrying(
        stop=stop_after_attempt(patience.attempts),
        retry=retry_if_exception_type(Interrupted),
        wait=lambda state: _wait_s(state, patience),
        before_sleep=lambda state: job.log(f"{_failure(state).message}, trying again"),
        reraise=True,
    )
    timeout = httpx.Timeout(patience.read_timeout_s, connect=patience.connect_timeout_s)
    try:
        with (
            _no_secret_logged(),
            httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=patience.redirects) as client,
        ):
            retrying(attempt, client, job)
    except Interrupted as error:
        message = f"{error.message} ({patience.attempts} attempts)"
        raise DownloadFailed(message, hint=error.hint, status=error.status) from error


def _failure(state: RetryCallState) -> Interrupted:
    """Return why an attempt failed; nothing else than `Interrupted` is tried again."""
    error = state.outcome.exception() if state.outcome is not None else None
    return error if isinstance(error, Interrupted) else Interrupted("the download failed")


def _wait_s(state: RetryCallState, patience: Patience) -> float:
    """Wait longer after each attempt, and as long as the server asks, within the limit."""
    from tenacity import wait_exponential, wait_random

    longest = patience.longest_wait_s
    first = patience.first_wait_s
    growing = wait_exponential(first, max=longest) + wait_random(0, first)
    return min(max(growing(state), _failure(state).retry_after_s), longest)


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


def _ignore(event: str) -> None:
    """Hear of an event and do nothing."""


def _ignore_bytes(done: int, size: int | None, name: str) -> None:
    """Hear of bytes and do nothing."""
