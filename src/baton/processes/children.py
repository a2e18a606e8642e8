"""Stop child processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence

_LOOK_EVERY_S = 0.05


def stop_child(child: subprocess.Popen[bytes], *, within_s: float) -> None:
    """Terminate a process, and kill it if it does not exit within `within_s` seconds."""
    for stop in (child.terminate, child.kill):
        if child.poll() is None:
            stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(within_s)


def stop_group(
    leader: subprocess.Popen[bytes], *, within_s: float, asking: Sequence[int] = (signal.SIGTERM,)
) -> None:
    """Stop a process that leads its own group, and everything it started.

    Parameters
    ----------
    leader : Popen
        Started with ``start_new_session=True``.
    within_s : float
        Seconds that the whole group has to exit after each signal.
    asking : sequence of int
        The signals to send, in this order, before the group is killed.
    """
    for number in (*asking, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader.pid, number)
        ends = time.monotonic() + within_s
        while _group_lives(leader) and time.monotonic() < ends:
            time.sleep(_LOOK_EVERY_S)


def _group_lives(leader: subprocess.Popen[bytes]) -> bool:
    leader.poll()  # reaps an exited leader, which would stay in its group
    try:
        os.killpg(leader.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
