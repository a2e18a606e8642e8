"""One piece of work at a time: a lock for each cache key."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from baton.errors import StoreError

_LOOK_EVERY_S = 0.05


class Locks:
    """Locks by cache key, shared by all processes that see one folder.

    The operating system holds them, and lets go of a lock when the process that holds it ends,
    however it ends: there are no stale locks.  A lock's file is removed when the lock is released;
    one that a killed process left is taken over by the next who wants the key.

    Parameters
    ----------
    folder : Path
        Where the lock files lie: in the store if it is a folder, else in the project's own folder.
        Machines that share a store by URL do not see each other's locks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, key: str, on_wait: Callable[[], None]) -> Iterator[bool]:
        """Hold the lock of a key; the value says whether it had to be waited for.

        Raises
        ------
        StoreError
            If the lock file cannot be made.
        """
        from filelock import FileLock, Timeout

        path = self._folder / key[:2] / f"{key}.lock"
        lock = FileLock(path, poll_interval=_LOOK_EVERY_S)
        waited = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                waited = True
                on_wait()
                lock.acquire()
        except OSError as error:
            raise StoreError(
                f"the lock {path} cannot be taken: {error.strerror or error}",
                "check that the store lets you write; another place: --store URL",
            ) from error
        try:
            yield waited
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)  # who waits notices and makes it anew
            lock.release()
