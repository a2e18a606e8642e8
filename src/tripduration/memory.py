"""Whether a training fits into memory, told before it starts.

A process that takes more memory than there is gets killed without a word, after minutes of training.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from tripduration.errors import DataError

BYTES_PER_TRIP = 122
"""What training needs at its peak for each trip: the matrix, XGBoost's copy and index of it, gradients and
predictions.  Measured with XGBoost 3.2 on 1 to 8 million trips."""

BYTES_PER_PAIR = 11_000
"""What it needs for each pair of zones, mostly histograms.  Measured on 26 and 60 thousand pairs."""

_GB = 1e9
_MILLION = 1e6
_LEAST_GB = 0.1


class TooLittleMemory(DataError):
    """The training would need more memory than is free."""


def needed_bytes(trips: int, pairs: int) -> int:
    """Return about how much memory the features and the training of a model need.

    Parameters
    ----------
    trips
        Number of trips, of training and validation.
    pairs
        Number of pairs of zones in the training trips.
    """
    return BYTES_PER_TRIP * trips + BYTES_PER_PAIR * pairs


def require_memory(trips: int, pairs: int, *, free_bytes: int | None) -> str:
    """Refuse a training that does not fit into memory; return a line about one that does.

    Parameters
    ----------
    trips, pairs
        As in `needed_bytes`.
    free_bytes
        The memory that is free; None if unknown.

    Raises
    ------
    TooLittleMemory
        If more is needed than is free.

    Examples
    --------
    >>> require_memory(38_000_000, 30_000, free_bytes=16_000_000_000)
    'training on 38.0 M trips needs about 5.0 GB of memory; 16.0 GB are free'
    """
    needed = needed_bytes(trips, pairs)
    shown_gb = max(needed / _GB, _LEAST_GB)
    needs = f"training on {trips / _MILLION:.1f} M trips needs about {shown_gb:.1f} GB of memory"
    if free_bytes is None:
        return needs
    if needed > free_bytes:
        raise TooLittleMemory(
            f"{needs}, but {free_bytes / _GB:.1f} GB are free",
            hint="train on fewer months (--train-months), free memory, or try it: --check-memory=false",
        )
    return f"{needs}; {free_bytes / _GB:.1f} GB are free"


def free_bytes(root: Path = Path("/")) -> int | None:
    """Return how much memory this process can still take without swapping; None if unknown.

    Less is free than the machine has if a control group limits the process, as in a container.

    Parameters
    ----------
    root
        The folder that contains ``proc`` and ``sys``.
    """
    free = [_available_in(root / "proc/meminfo"), *(_left_in(folder) for folder in _control_groups(root))]
    return min((one for one in free if one is not None), default=None)


def _available_in(meminfo: Path) -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):  # not Linux
        return None


def _control_groups(root: Path) -> list[Path]:
    """Return the folders of the process's control groups, up to the root; of both versions."""
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers in ("", "memory"):
            mounted = root / "sys/fs/cgroup" / controllers
            own = PurePosixPath(path.lstrip("/"))
            found += [mounted / one for one in (own, *own.parents)]
    return found


def _left_in(group: Path) -> int | None:
    """Return what a control group may still take; None if it has no limit."""
    for limit, usage, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, used = _text(group / limit).strip(), _text(group / usage).strip()
        if most.isdecimal() and used.isdecimal():
            counts = dict(line.split(" ", 1) for line in _text(group / "memory.stat").splitlines())
            return max(0, int(most) - int(used) + int(counts.get(cache, "0")))
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
