"""Turns: how processes on several machines divide work that any of them could do.

A turn is a small file in the store, renewed while its owner works.  No result depends on it: if a turn is
lost, another process computes the same once more.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from baton.core.liveness import at_work, is_at_work
from baton.errors import StoreError

if TYPE_CHECKING:
    from baton.store.objects import ObjectStore

_OWNER = re.compile("[0-9a-f]{16}")
RENEWED_EVERY_S = 10.0
GIVEN_UP_AFTER_S = 60.0
"""A turn of another machine that is not renewed for so long, by this process's clock, has no owner."""


class Turns:
    """The turns of one process; a context, which renews them and gives all back at its end.

    Parameters
    ----------
    objects : ObjectStore
        The store, which other processes use, too.
    folder : Path
        Folder of this machine, in which processes that have turns leave a mark while they live.
    given_up_after_s : float
        As `GIVEN_UP_AFTER_S`.
    """

    def __init__(
        self, objects: ObjectStore, folder: Path, given_up_after_s: float = GIVEN_UP_AFTER_S
    ) -> None:
        self._objects = objects
        self._folder = folder
        self._given_up_after_s = given_up_after_s
        self._owner = os.urandom(8).hex()
        self._held: set[str] = set()
        self._seen: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._renewals = 0
        self._thread: threading.Thread | None = None
        self._marks = ExitStack()

    def __enter__(self) -> Turns:
        """Start to renew the turns."""
        self._marks.enter_context(at_work(self._folder / self._owner))
        self._ended.clear()
        self._thread = threading.Thread(target=self._renew, name="turns", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give back all turns."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        for work in list(self._held):
            self.give_back(work)
        self._marks.close()

    def take(self, work: str) -> bool:
        """Take the turn for a piece of work, unless another process has it.

        Parameters
        ----------
        work : str
            Identifies the work: a name that is valid in a file name.
        """
        written = self._objects.read_text(_name(work))
        if written is not None and self._is_anothers(work, written):
            return False
        self._write(work)
        written = self._objects.read_text(_name(work))
        if written is None or not written.startswith(self._owner):
            return False  # another process took it at the same moment
        with self._lock:
            self._held.add(work)
        return True

    def _is_anothers(self, work: str, written: str) -> bool:
        """Whether a turn belongs to a process that still works."""
        owner = written.partition(" ")[0]
        if owner == self._owner:
            return False
        mark = self._folder / owner
        if _OWNER.fullmatch(owner) and mark.exists():  # of this machine
            if is_at_work(mark):
                return True
            mark.unlink(missing_ok=True)
            return False
        known, since = self._seen.get(work, ("", 0.0))
        if written != known:
            self._seen[work] = (written, time.monotonic())
            return True
        return time.monotonic() - since < self._given_up_after_s

    def give_back(self, work: str) -> None:
        """Give back a turn."""
        with self._lock:
            self._held.discard(work)
        with contextlib.suppress(StoreError):  # it is given up in a minute
            self._objects.remove_text(_name(work))

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED_EVERY_S):
            self._renewals += 1
            with self._lock, contextlib.suppress(StoreError):  # the next renewal may succeed
                for work in self._held:
                    self._write(work)

    def _write(self, work: str) -> None:
        self._objects.write_text(_name(work), f"{self._owner} {self._renewals}")


def _name(work: str) -> str:
    """Return the file's name, among those that the cache's upkeep deletes if they are left."""
    return f"tmp/turn-{work}.txt"
