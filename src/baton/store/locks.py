"""Locks by cache key, so that only one process does a piece of work at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from baton.errors import StoreError

_LOOK_EVERY_S = 0.05


class Locks:
    """Locks by cache key, shared by all processes that see the folder.

    The operating system releases a lock however its process ends: there are no stale locks.  Releasing
    a lock deletes its file; if a killed process left one, the next process that needs the key uses it.

    Parameters
    ----------
    folder : Path
        Folder of the lock files: in a local store, else in the project's own folder.  Machines that
        share a store by URL do not see each other's locks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, key: str, on_wait: Callable[[], None]) -> Iterator[bool]:
        """Hold the lock of a key; the value is true if it had to wait.

        Raises
        ------
        StoreError
            If the lock file cannot be created.
        """
        from filelock import FileLock, Timeout

        path = self._folder / f"{key}.lock"
        lock = FileLock(path, poll_interval=_LOOK_EVERY_S)
        waited = False
        try:
            if not self._folder.is_dir():
                self._folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                waited = True
                on_wait()
                lock.acquire()
        except OSError as error:
            raise StoreError(
                f"cannot acquire lock {path}: {error.strerror or error}",
                "check that the store is writable, or use another: --store URL",
            ) from error
        try:
            yield waited
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)  # a waiting process notices and creates it again
            lock.release()
