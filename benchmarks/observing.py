"""What it costs to watch what tasks do while they run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Command, Measured, alternate, median
from benchmarks.report import Figure, Section
from benchmarks.whole_run import months_folder

RUNS = 15
WHOLE_RUNS = 3
FEW_ROUNDS = 3
BUDGET = 0.03
PROGRAM = Path(__file__).with_name("unobserved.py")

EXPLANATION = f"""\
`baton run evaluate` on the months of the whole run, in a new empty project: the pure tasks of the shipped
pipeline, watched and not watched in turn (which files, variables and modules a task looks up, and which
functions run); no setting leaves it out, the benchmark does. What watching adds does not depend on how long
a task computes, and training takes a tenth more or less from run to run: so the pairs train {FEW_ROUNDS}
rounds, and the seconds that watching adds to them are divided by those of the whole training."""


def measure_observing(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure the pure tasks of the shipped pipeline, watched and not."""
    with months_folder() as (months, source):
        few = ("--num-boost-round", str(FEW_ROUNDS))
        pair = [
            _command("watched, few rounds", "yes", months, *few),
            _command("not watched, few rounds", "no", months, *few),
        ]
        measured = alternate(pair, runs or RUNS, tell)
        whole = _command("not watched, all rounds", "no", months)
        measured |= alternate([whole], min(runs or WHOLE_RUNS, WHOLE_RUNS), tell)
    watched, unwatched = (in_tasks_s(measured[command.name]) for command in pair)
    in_all = median(in_tasks_s(measured[whole.name]))
    added = tuple(one - other for one, other in zip(watched, unwatched, strict=True))
    return Section(
        "Observing",
        EXPLANATION,
        (
            Figure("share of the time in pure tasks", "", tuple(one / in_all for one in added), BUDGET),
            Figure("added by watching", "s", added),
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


def _command(name: str, watched: str, months: Path, *more: str) -> Command:
    chosen = ("--year", "2021", "--month", "1", "--source", str(months))
    return Command(name, (sys.executable, str(PROGRAM), watched, "run", "evaluate", "--json", *chosen, *more))
