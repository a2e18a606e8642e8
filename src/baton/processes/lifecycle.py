"""How a baton process starts and exits."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import signal
import sys
import threading
import time
from typing import IO, NoReturn

_FEW = (500_000, 20, 100)

ENDS_WITHIN_S = 5.0
"""Time limit for threads and exit handlers, including those of users and libraries, on exit."""


def collect_garbage_seldom() -> None:
    """Run the cyclic garbage collector every 500,000 new objects instead of every 700.

    Importing machine learning libraries creates millions of objects and hardly any garbage: collections
    take a tenth of the import time, and the process is short-lived.
    """
    gc.set_threshold(*_FEW)


_BUSY = 0.9
"""Load per CPU from which a machine is busy."""


def lower_priority() -> None:
    """Give this process the lowest CPU priority that the system offers, unless the machine is busy.

    The priority cannot be raised again, and on a busy machine this process would still wait for the CPU
    long after its work is needed.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError):  # the system does not know its load
        if os.getloadavg()[0] >= _BUSY * processors:
            return
    if hasattr(os, "nice"):
        os.nice(19)
    if hasattr(os, "SCHED_IDLE"):  # Linux: runs only when the CPU is idle
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def keep_stdout() -> int:
    """Reserve standard output for this process's own data.

    All other output, from Python, C code and child processes, goes to standard error from now on.

    Returns
    -------
    int
        The file descriptor of the real standard output, which child processes do not inherit.
    """
    try:
        kept = os.dup(1)
    except OSError:  # closed before the process started
        _discard(1)
        kept = os.dup(1)
    try:
        os.dup2(2, 1)
    except OSError:
        _discard(1)
    if isinstance(sys.stdout, io.TextIOWrapper):  # neither closed nor replaced
        sys.stdout.reconfigure(line_buffering=True)
    return kept


def keep_stdin() -> int:
    """Reserve standard input for this process; all other readers find it empty.

    Returns
    -------
    int
        The file descriptor of the real standard input, which child processes do not inherit.
    """
    kept = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return kept


def leave(code: int) -> NoReturn:
    """Exit as Python does, with threads and exit handlers, but within `ENDS_WITHIN_S`.

    Callers may still run code first, such as tools that measure or trace a program.
    """
    begins = threading.Event()

    def force_exit() -> None:
        begins.wait()
        time.sleep(ENDS_WITHIN_S)
        os._exit(code)

    threading.Thread(target=force_exit, name="end", daemon=True).start()
    # Called when the interpreter starts to exit, before it waits for threads; there is no public hook.
    threading._register_atexit(begins.set)  # type: ignore[attr-defined]
    _end_quietly()
    sys.exit(code)


def leave_from_within(code: int) -> NoReturn:
    """Exit from within code that would treat an exit as an error and continue."""
    threading.Timer(ENDS_WITHIN_S, os._exit, (code,)).start()
    _end_quietly()
    atexit._run_exitfuncs()
    _end_quietly()
    os._exit(code)


def flush_or_discard(descriptor: int, stream: IO[str] | IO[bytes] | None) -> None:
    """Flush a stream; if it has no reader left, discard its content silently."""
    if stream is None:  # closed before the process started
        return
    try:
        stream.flush()
    except (OSError, ValueError):
        _discard(descriptor)


def _end_quietly() -> None:
    # On exit Python runs the garbage collector again, half a second with the machine learning libraries;
    # the system frees all memory anyway.
    gc.freeze()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C kills it
            signal.signal(number, signal.SIG_DFL)
    flush_or_discard(1, sys.stdout)
    flush_or_discard(2, sys.stderr)


def _discard(descriptor: int) -> None:
    """Redirect a file descriptor to the null device."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
