"""What a process of baton does when it begins."""

from __future__ import annotations

import contextlib
import gc
import os

_FEW = (500_000, 20, 100)


def collect_garbage_seldom() -> None:
    """Look for garbage in cycles every 500,000 new objects, not every 700.

    Importing the machine learning libraries makes millions of objects and next to no garbage: the
    looks are a tenth of the time that the imports take, and the process is soon over.
    """
    gc.set_threshold(*_FEW)


def step_back() -> None:
    """Leave the processor to whoever wants it, as far as the system knows how."""
    if hasattr(os, "nice"):
        os.nice(19)
    if hasattr(os, "SCHED_IDLE"):  # Linux: not even a small share where another process is ready
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
