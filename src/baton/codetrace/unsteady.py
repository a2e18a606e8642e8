"""Sources of unsteady results: connections, started programs, the clock, unseeded random numbers."""

from __future__ import annotations

import re
from pathlib import Path

from baton.codetrace.loading import LOADED
from baton.codetrace.modules import locate
from baton.codetrace.observing import Seen
from baton.codetrace.reach import Reach

_FIXES = (
    "say which state it reads with @task(version=...), make it an effect with effect=True, "
    "or make it an input of the task"
)
_CALENDAR = frozenset(
    [
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "pandas.Timestamp.now",
        "pandas.Timestamp.today",
        "pandas.Timestamp.utcnow",
        "time.ctime",
        "time.localtime",
    ]
)
_CLOCK = frozenset(["time.time", "time.time_ns"])
_RANDOM = re.compile(
    r"random\.(betavariate|choice|choices|expovariate|gauss|getrandbits|normalvariate|randbytes|randint|"
    r"random|randrange|sample|shuffle|triangular|uniform|SystemRandom)$|secrets\.|uuid\.uuid[14]$|os\.urandom$|"
    r"numpy\.random\.(?!seed|set_state|default_rng|Generator|RandomState|SeedSequence|PCG64)\w+$"
)
_SEEDS = ("random.seed", "numpy.random.seed", "numpy.random.set_state", "random.setstate")


def doubts(seen: Seen, reach: Reach, *, has_version: bool) -> tuple[list[str], list[str]]:
    """Return warnings about a task's result, and reasons not to cache it.

    Parameters
    ----------
    seen : Seen
        Observations of the task run.
    reach : Reach
        What was found by reading.
    has_version : bool
        Whether the task declares with ``version`` which state of the world it reads.

    Returns
    -------
    warnings : list of str
        Each with the line and possible fixes.
    reasons : list of str
        Empty if the result can be cached.
    """
    warnings: list[str] = []
    reasons: list[str] = []
    if has_version:
        return warnings, reasons
    for what, place in seen.unsteady.items():
        if what:
            _doubt(what, place, warnings, reasons)
    outside = reach.outside or {}
    for name, user in sorted(outside.items()):
        if name in _CALENDAR:
            _doubt(f"it reads the current date with {name}", _line_of(name, user), warnings, reasons)
        elif name in _CLOCK:
            warnings.append(f"it reads the clock with {name} ({_line_of(name, user)}): {_FIXES}")
        elif _RANDOM.match(name) and not any(seed in outside for seed in _SEEDS):
            warnings.append(
                f"it draws random numbers without a seed with {name} ({_line_of(name, user)}): "
                "seed them to make the result reproducible"
            )
    return warnings, reasons


def _doubt(what: str, place: str, warnings: list[str], reasons: list[str]) -> None:
    where = f" ({place})" if place else ""
    warnings.append(f"{what}{where}, so the result is not cached: {_FIXES}")
    reasons.append(f"{what}{where}")


def _line_of(name: str, user: str) -> str:
    """Return the line where a definition uses a name, as far as its source tells."""
    module = user.partition(":")[0]
    loaded = LOADED.get(module)
    place = locate(module)
    if loaded is not None:
        file, content = loaded.file, loaded.content
    elif place is not None and place.file is not None:
        file, content = str(place.file), place.file.read_bytes()
    else:
        return user
    word = name.rpartition(".")[2]
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if re.search(rf"\b{re.escape(word)}\s*\(", line):
            return f"{Path(file).name}, line {number}"
    return Path(file).name
