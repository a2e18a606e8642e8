"""Choose how many threads to train with.

Two threads train the model nearly twice as fast as one on two free cores, and up to three times
slower on two busy ones: XGBoost's threads wait for each other many times per tree, so one that
shares its core holds up all. The number is therefore the number of cores that are really free.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

#: More threads than this gain little on a month of trips (74 thousand rows, two columns).
MOST_THREADS = 8

#: Long enough for ten ticks of Linux's accounting (100 Hz), short beside seconds of training.
SAMPLE_S = 0.1

_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """What the usable cores did since the machine started, and when that was read.

    Attributes
    ----------
    ticks
        (idle, all) ticks of the cores; None where the system does not tell.
    own_s
        Seconds of processor time that this process took.
    read_at_s
        When this was read, in seconds of a clock that only runs forward.
    """

    ticks: tuple[int, int] | None
    own_s: float
    read_at_s: float

    @classmethod
    def now(cls) -> CoreTimes:
        """Read them."""
        return cls(_core_ticks(), time.process_time(), time.monotonic())


def choose_threads(requested: int = 0, since: CoreTimes | None = None) -> int:
    """Return the number of threads to train with.

    Parameters
    ----------
    requested
        A positive number is taken as it is. 0 means: as many as there are free cores among those
        this process may use, at least 1 and at most `MOST_THREADS`.
    since
        Where the look at the cores begins; work of this process since then counts as idle time.
        Now, unless given.

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
    """Return how many cores this process may use, as affinity and control groups allow.

    A container with a quota of one core on a machine of 64 gives 1.0; a quota may be a fraction.
    """
    quota = cgroup_quota()
    cores = float(len(_allowed_cores()))
    return cores if quota is None else min(cores, quota)


def idle_share(since: CoreTimes | None = None) -> float:
    """Return the share (0 to 1) of the usable cores' time that no other process uses.

    The idle time that Linux accounts over at least `SAMPLE_S` is taken where there is any, because
    the load average still holds what this process itself did before. Elsewhere it is the load
    average of the last minute, and 1 where neither is known.

    Parameters
    ----------
    since
        Where the look begins; now, unless given.
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


def cgroup_quota(
    mount: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> float | None:
    """Return the cores that control groups (version 1 or 2) allow, None without a limit.

    Parameters
    ----------
    mount
        Where the control groups are mounted.
    membership
        The file that names this process's groups, lines of ``id:controllers:path``.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    quotas: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            quotas += [_version_2_quota(folder) for folder in _with_parents(mount, path)]
        elif "cpu" in controllers.split(","):
            for name in {controllers, "cpu"}:
                folders = _with_parents(mount / name, path)
                quotas += [_version_1_quota(folder) for folder in folders]
    limit = min(quotas, default=float("inf"))
    return None if limit == float("inf") else limit


def _with_parents(mount: Path, path: str) -> list[Path]:
    """Return the folders of a group and of those above it: a limit anywhere on the way holds."""
    group = PurePosixPath(path.lstrip("/"))
    return [mount / part for part in (group, *group.parents)]


def _version_2_quota(folder: Path) -> float:
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if quota == "max" else int(quota) / int(period)


def _version_1_quota(folder: Path) -> float:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text(encoding="utf-8"))
        period = int((folder / "cpu.cfs_period_us").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if quota < 0 else quota / period


def _allowed_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _core_ticks() -> tuple[int, int] | None:
    """Return (idle, all) ticks of the allowed cores since the machine started, from proc(5)."""
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
            # Processes that are nice leave the core to whoever wants it.
            ticks = [int(field) for field in fields[:8]]
            idle += ticks[1] + ticks[3] + ticks[4]
            total += sum(ticks)
    return (idle, total) if total else None
