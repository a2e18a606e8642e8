"""How long a command takes that does no work."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.measure import Command, alternate, ratios, script
from benchmarks.report import Figure, Section

RUNS = 15
BUDGET = 1.5
YARDSTICK = "`doit help`"

EXPLANATION = """\
Whole processes, from start to end, in an empty folder. `baton list` finds and checks the shipped pipeline.
The yardstick is doit, the lightest of the comparable tools."""


def measure_startup(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure ``baton --help`` and ``baton list`` against ``doit help``."""
    own = (
        Command("`baton --help`", (script("baton"), "--help")),
        Command("`baton list`", (script("baton"), "list")),
    )
    measured = alternate([*own, Command(YARDSTICK, (script("doit"), "help"))], runs or RUNS, tell)
    yardstick = measured[YARDSTICK].wall_s
    return Section(
        "Start-up",
        EXPLANATION,
        (
            *(
                Figure(f"{name} / {YARDSTICK}", "", ratios(measured[name].wall_s, yardstick), BUDGET)
                for name in (command.name for command in own)
            ),
            *(Figure(name, "s", found.wall_s) for name, found in measured.items()),
        ),
    )
