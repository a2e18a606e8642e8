"""How a process of baton begins and ends."""

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
"""How long threads and exit handlers, ours, the user's and those of libraries, may hold up the end."""


def collect_garbage_seldom() -> None:
    """Look for garbage in cycles every 500,000 new objects, not every 700.

    Importing the machine learning libraries makes millions of objects and next to no garbage: the
    looks are a tenth of the time that the imports take, and the process is soon over.
    """
    gc.set_threshold(*_FEW)


def lower_priority() -> None:
    """Leave the processor to whoever wants it, as far as the system knows how."""
    if hasattr(os, "nice"):
        os.nice(19)
    if hasattr(os, "SCHED_IDLE"):  # Linux: not even a small share where another process is ready
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def keep_stdout() -> int:
    """Keep standard output for what this process itself has to say.

    From now on everything else that is written there goes to standard error: by Python, by C code and
    by child processes.

    Returns
    -------
    int
        The file descriptor of the true standard output, which child processes do not inherit.
    """
    try:
        kept = os.dup(1)
    except OSError:  # it was closed before the process began
        _discard(1)
        kept = os.dup(1)
    try:
        os.dup2(2, 1)
    except OSError:
        _discard(1)
    if isinstance(sys.stdout, io.TextIOWrapper):  # neither closed nor somebody else's
        sys.stdout.reconfigure(line_buffering=True)
    return kept


def keep_stdin() -> int:
    """Keep standard input for this process itself; whoever else reads from there finds it empty.

    Returns
    -------
    int
        The file descriptor of the true standard input, which child processes do not inherit.
    """
    kept = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return kept


def leave(code: int) -> NoReturn:
    """Exit as Python does, after the threads and the exit handlers, but within `ENDS_WITHIN_S`.

    Who called this may still do something first, as tools do that measure or watch a program.
    """
    begins = threading.Event()

    def end_anyhow() -> None:
        begins.wait()
        time.sleep(ENDS_WITHIN_S)
        os._exit(code)

    threading.Thread(target=end_anyhow, name="end", daemon=True).start()
    # Called when the interpreter begins to end, before it waits for threads; nothing public is.
    threading._register_atexit(begins.set)  # type: ignore[attr-defined]
    _end_quietly()
    sys.exit(code)


def leave_from_within(code: int) -> NoReturn:
    """Exit from amid code that would take an exit for an error of its own and go on."""
    threading.Timer(ENDS_WITHIN_S, os._exit, (code,)).start()
    _end_quietly()
    atexit._run_exitfuncs()
    _end_quietly()
    os._exit(code)


def flush_or_discard(descriptor: int, stream: IO[str] | IO[bytes] | None) -> None:
    """Write what a stream still holds; where nobody takes it any more, let it go without a word."""
    if stream is None:  # it was closed before the process began
        return
    try:
        stream.flush()
    except (OSError, ValueError):
        _discard(descriptor)


def _end_quietly() -> None:
    # At the end Python looks for garbage again, half a second among the objects of the machine learning
    # libraries; the system takes all memory back at once.
    gc.freeze()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C ends it without more words
            signal.signal(number, signal.SIG_DFL)
    flush_or_discard(1, sys.stdout)
    flush_or_discard(2, sys.stderr)


def _discard(descriptor: int) -> None:
    """Let what is written to a file descriptor go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
