"""Whether work is still in progress: a file that is locked and touched while the work lasts.

A process id is not enough: the first process of every container has the id 1, and several machines
may share a folder.  So a worker holds an operating system lock, which the system releases however the
process ends, and touches the locked file every 20 seconds.  The rules for a reader:

1. a locked file belongs to work in progress;
2. an unlocked file that this machine created since it booted belongs to work that ended;
3. a file from another machine, whose locks may not be visible here, belongs to work in progress
   until it has not been touched for five minutes.

A machine is identified by its kernel's boot id, which all its containers share.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

TOUCHED_EVERY_S = 20.0
GONE_AFTER_S = 300.0
"""Much longer than the time between two touches, because the clocks of two machines differ."""

_held: set[int] = set()
"""Descriptors of the files that this process has locked."""


@contextmanager
def at_work(file: Path) -> Iterator[None]:
    """Mark work as in progress with a file that exists until the work ends.

    Raises
    ------
    OSError
        If the file cannot be created.
    """
    descriptor = _lock(file)
    ended = threading.Event()
    touching = threading.Thread(target=_touch, args=(descriptor, ended), name="at-work", daemon=True)
    touching.start()
    try:
        yield
    finally:
        if descriptor in _held:  # not in a forked copy of this process
            ended.set()
            touching.join()
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
            _held.discard(descriptor)
            os.close(descriptor)


def is_at_work(file: Path) -> bool:
    """Return whether the work behind a file is in progress; true if that cannot be determined."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # another user's file
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # readers share it
            except BlockingIOError:
                return True
        if os.read(descriptor, 100) == _machine():
            return False
        return time.time() - os.fstat(descriptor).st_mtime < GONE_AFTER_S
    finally:
        os.close(descriptor)


def _lock(file: Path) -> int:
    """Create and lock a file, write the machine's id into it, and return its descriptor.

    Without a lock the file stays empty, so that rule 3 applies on every machine.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    _held.add(descriptor)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, _machine())
    return descriptor


def _touch(descriptor: int, ended: threading.Event) -> None:
    while not ended.wait(TOUCHED_EVERY_S):
        with contextlib.suppress(OSError):  # a network drive that comes back later
            os.utime(descriptor)


def _close_in_child() -> None:
    """Close the parent's descriptors in a forked process, which would otherwise keep the locks."""
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


@cache
def _machine() -> bytes:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:  # not Linux
        return platform.node().encode()


os.register_at_fork(after_in_child=_close_in_child)
