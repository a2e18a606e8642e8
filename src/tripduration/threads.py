"""Choose the number of training threads.

Two threads train the model nearly twice as fast as one on two free cores, and up to three times
slower on two busy ones: XGBoost's threads wait for each other many times per tree, so one on a busy
core delays all. The number of threads is therefore the number of free cores.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

#: More threads gain little on a month of trips (74 thousand rows, two columns).
MOST_THREADS = 8

#: Long enough for ten ticks of Linux's accounting (100 Hz), short compared with seconds of training.
SAMPLE_S = 0.1

_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """What the usable cores have done since the machine started, and when this was read.

    Attributes
    ----------
    ticks
        (idle, total) ticks of the cores; None if unknown.
    own_s
        CPU time of this process in seconds.
    read_at_s
        When this was read, in seconds of a monotonic clock.
    """

    ticks: tuple[int, int] | None
    own_s: float
    read_at_s: float

    @classmethod
    def now(cls) -> CoreTimes:
        """Read the current values."""
        return cls(_core_ticks(), time.process_time(), time.monotonic())


def choose_threads(requested: int = 0, since: CoreTimes | None = None) -> int:
    """Return the number of threads to train with.

    Parameters
    ----------
    requested
        A positive number is used as it is. 0 means one per free core among those that this process may
        use, at least 1 and at most `MOST_THREADS`.
    since
        Start of the measurement; work of this process since then counts as idle time. Now unless given.

    Raises
    ------
    ValueError
        If ``requested`` is negative.
    """
    if requested < 0:
        message = f"the number of threads must be 0 (choose) or more, not {requested}"
        raise ValueError(message)
    if requested:
        return requested
    cores = usable_cores()
    if cores < 2:
        return 1
    return max(1, min(round(cores * idle_share(since)), MOST_THREADS))


def usable_cores() -> float:
    """Return how many cores this process may use: the lower limit of joblib's and its group's quota.

    joblib, which comes with scikit-learn, respects the affinity, a container's quota and the variable
    ``LOKY_MAX_CPU_COUNT``, but not the quota of a nested group, such as systemd's ``CPUQuota=`` of a
    service.
    """
    from joblib import cpu_count

    return min(float(cpu_count()), group_quota())


def idle_share(since: CoreTimes | None = None) -> float:
    """Return the share (0 to 1) of the usable cores' time that no other process uses.

    Uses the idle time that Linux accounts over at least `SAMPLE_S` if available, because the load average
    includes earlier work of this process. Otherwise uses the load average of the last minute, and 1 if
    neither is known.

    Parameters
    ----------
    since
        Start of the measurement; now unless given.
    """
    before = since or CoreTimes.now()
    if before.ticks is not None:
        time.sleep(max(0.0, SAMPLE_S - (time.monotonic() - before.read_at_s)))
        after = CoreTimes.now()
        if after.ticks is not None and after.ticks[1] > before.ticks[1]:
            own = _TICKS_PER_S * (after.own_s - before.own_s)
            idle = after.ticks[0] - before.ticks[0] + own
            return min(1.0, idle / (after.ticks[1] - before.ticks[1]))
    try:
        busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 1.0
    return max(0.0, 1.0 - busy)


def group_quota(mount: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> float:
    """Return the cores that this process's control group (version 2) allows, infinity if unlimited.

    Parameters
    ----------
    mount
        Mount point of the control groups.
    membership
        The file with this process's groups; the line of version 2 is ``0::path``.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    group = PurePosixPath(path)
    # The limits of all parent groups apply.
    return min(_quota(mount / part) for part in (group, *group.parents))


def _quota(folder: Path) -> float:
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return math.inf
    return math.inf if quota == "max" else int(quota) / int(period)


def _allowed_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _core_ticks() -> tuple[int, int] | None:
    """Return (idle, total) ticks of the allowed cores since the machine started, from proc(5)."""
    names = {f"cpu{core}" for core in _allowed_cores()}
    try:
        lines = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    idle = total = 0
    for line in lines:
        name, *fields = line.split()
        if name in names:
            # user nice system idle iowait irq softirq steal; guest time is part of user time.
            # Nice processes yield the core to others.
            ticks = [int(field) for field in fields[:8]]
            idle += ticks[1] + ticks[3] + ticks[4]
            total += sum(ticks)
    return (idle, total) if total else None
