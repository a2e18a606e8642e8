"""How long a command takes that does no work."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Command, alternate, ratios, script
from benchmarks.other_tools import PROGRAMS, tools
from benchmarks.report import Figure, Section

RUNS = 15
RUNS_OF_HEAVY = 3
BUDGET = 1.5
YARDSTICK = "`doit help`"
HEAVY = ("prefect", "airflow", "mlflow")

EXPLANATION = """\
Whole processes, from start to end, in an empty folder. `baton list` finds and checks the shipped pipeline.
The yardstick is doit, the lightest of the comparable tools. The others show their help, the slow ones in
fewer runs; they have a home of their own, in which the warm-up leaves what they write on first use."""


def measure_startup(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure ``baton --help`` and ``baton list`` against ``doit help``, and the help of others."""
    own = (
        Command("`baton --help`", (script("baton"), "--help")),
        Command("`baton list`", (script("baton"), "list")),
    )
    measured = alternate([*own, Command(YARDSTICK, (script("doit"), "help"))], runs or RUNS, tell)
    yardstick = measured[YARDSTICK].wall_s
    with tempfile.TemporaryDirectory(prefix="baton-benchmark-home-") as home:
        others = alternate(others_help(Path(home)), min(runs or RUNS_OF_HEAVY, RUNS_OF_HEAVY), tell)
    return Section(
        "Start-up",
        EXPLANATION,
        (
            *(
                Figure(f"{name} / {YARDSTICK}", "", ratios(measured[name].wall_s, yardstick), BUDGET)
                for name in (command.name for command in own)
            ),
            *(Figure(name, "s", found.wall_s) for name, found in (measured | others).items()),
            *(Figure(f"CPU time, {name}", "s", found.cpu_s) for name, found in (measured | others).items()),
        ),
    )


def others_help(home: Path) -> list[Command]:
    """Return the commands that show the help of each other tool, at home in a folder."""
    variables = (
        ("HOME", str(home)),
        ("AIRFLOW_HOME", str(home / "airflow")),
        ("PREFECT_HOME", str(home / "prefect")),
    )
    words = [tool.help_words for tool in tools() if tool.name != "`doit`"]
    words.append((script("kedro", PROGRAMS), "--help"))
    words += [(script(name), "--help") for name in HEAVY]
    return [
        Command(f"`{' '.join([Path(program).name, *rest])}`", (program, *rest), variables=variables)
        for program, *rest in words
    ]
