"""Whether work is still in progress: a file that is locked and touched for as long as it takes.

The number of a process says nothing about that: the first process of every container has the number
1, and several machines may share a folder.  So who works holds a lock of the operating system, which
the system releases however the process ends, and touches the locked file every 20 seconds.  Who asks
goes by one rule:

1. a locked file belongs to work in progress;
2. a file that is not locked, and that this machine made since it booted, belongs to work that ended;
3. a file that another machine made, whose locks may not be visible here, belongs to work in progress
   until nobody has touched it for five minutes.

A machine is known by the id that its kernel draws when it boots.  All its containers see the same.
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
"""Much more than the time between two touches: the clocks of two machines differ."""

_held: set[int] = set()
"""Descriptors of the files that this process holds."""


@contextmanager
def at_work(file: Path) -> Iterator[None]:
    """Say that work is in progress, by a file that is made at the beginning and removed at the end.

    Raises
    ------
    OSError
        If the file cannot be made.
    """
    descriptor = _take(file)
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
    """Return whether the work that a file stands for is in progress; where nobody can tell, it is."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # it is somebody else's
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: askers do not meet
            except BlockingIOError:
                return True
        if os.read(descriptor, 100) == _machine():
            return False
        return time.time() - os.fstat(descriptor).st_mtime < GONE_AFTER_S
    finally:
        os.close(descriptor)


def _take(file: Path) -> int:
    """Make and lock a file, then write into it which machine did; return its descriptor.

    Without a lock the file stays empty, so that rule 3 applies everywhere.
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


def _let_go() -> None:
    """Give up, in a forked process, what its parent holds: it would keep the lock for longer."""
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


os.register_at_fork(after_in_child=_let_go)
