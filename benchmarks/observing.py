"""What it costs to watch what tasks do while they run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Command, Measured, alternate, ratios
from benchmarks.report import Figure, Section
from benchmarks.whole_run import months_folder

RUNS = 9
BUDGET = 1.03
PROGRAM = Path(__file__).with_name("unobserved.py")

EXPLANATION = """\
`baton run evaluate` on the months of the whole run, in a new empty project: the pure tasks of the shipped
pipeline. Each run is made twice in turn, with and without watching (which files, variables and modules a
task looks up, and which functions run); no setting leaves it out, the benchmark does. The budget is for
the seconds in tasks, storing and remembering included."""


def measure_observing(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure the pure tasks of the shipped pipeline, watched and not."""
    with months_folder() as (months, source):
        pair = [_command(name, word, months) for name, word in (("watched", "yes"), ("not watched", "no"))]
        measured = alternate(pair, runs or RUNS, tell)
    one, other = (measured[command.name] for command in pair)
    return Section(
        "Observing",
        EXPLANATION,
        (
            Figure("in tasks, watched / not watched", "", ratios(in_tasks_s(one), in_tasks_s(other)), BUDGET),
            Figure("whole process, watched / not watched", "", ratios(one.wall_s, other.wall_s)),
            Figure("CPU time, watched / not watched", "", ratios(one.cpu_s, other.cpu_s)),
            *(Figure(f"in tasks, {name}", "s", in_tasks_s(found)) for name, found in measured.items()),
            *(Figure(f"whole process, {name}", "s", found.wall_s) for name, found in measured.items()),
        ),
        (f"Measured on {source}.",),
    )


def in_tasks_s(measured: Measured) -> tuple[float, ...]:
    """Return the seconds that all tasks of each run took together."""
    return tuple(
        sum(float(task["duration_s"]) for task in json.loads(run.stdout)["tasks"]) for run in measured.runs
    )


def _command(name: str, watched: str, months: Path) -> Command:
    chosen = ("--year", "2021", "--month", "1", "--source", str(months))
    return Command(name, (sys.executable, str(PROGRAM), watched, "run", "evaluate", "--json", *chosen))
