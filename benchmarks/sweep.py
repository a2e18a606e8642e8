"""Trials of one training parameter, against a loop over the script written the usual way."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Command, CommandFailed, Run, alternate, ratios, script
from benchmarks.report import Figure, Section
from benchmarks.whole_run import PLAIN_SCRIPT, months_folder

RUNS = 1
RUNS_AGAIN = 3
DEPTHS = (10, 20, 30)
BATON = "`baton sweep`"
LOOP = "a loop over the script"
CONFIGURATION = PLAIN_SCRIPT.with_name("orchestration_config.json")

EXPLANATION = f"""\
`baton sweep --max-depth {",".join(map(str, DEPTHS))}` on the simple engine, with the trials recorded in
MLflow, against a loop that runs `examples/duration-prediction.py` once for each depth, as one does without
such a tool. Each starts in a new empty folder. Both must print the same RMSE for each depth, else nothing is
reported. Called again, the sweep finds every trial done."""

_LOOP = """\
import json, subprocess, sys
from pathlib import Path

configuration = json.loads(Path("orchestration_config.json").read_text())
for depth in map(int, sys.argv[1].split(",")):
    configuration["model"]["params"]["max_depth"] = depth
    Path("orchestration_config.json").write_text(json.dumps(configuration))
    subprocess.run([sys.executable, "duration-prediction.py", *sys.argv[2:]], check=True)
"""


def measure_sweep(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure on the real months in the folder BATON_TEST_DATA, or on generated ones."""
    with months_folder() as (months, source):
        sweep, loop = commands(months, DEPTHS)
        measured = alternate([sweep, loop], runs or RUNS, tell)
        with tempfile.TemporaryDirectory(prefix="baton-benchmark-swept-") as folder:
            repeated = Command(f"{BATON} again", sweep.words, folder=Path(folder))
            (done,) = alternate([repeated], RUNS_AGAIN, tell).values()
    for own, other in zip(measured[BATON].runs, measured[LOOP].runs, strict=True):
        require_same_errors(own, other)
    figures = (
        Figure(f"wall time, {BATON} / {LOOP}", "", ratios(measured[BATON].wall_s, measured[LOOP].wall_s)),
        *(Figure(f"wall time, {name}", "s", found.wall_s) for name, found in measured.items()),
        Figure(f"wall time, {BATON} again", "s", done.wall_s),
        Figure("baton's time per trial beyond its training", "s", overhead_s(measured[BATON].runs[-1])),
    )
    return Section("Sweep", EXPLANATION, figures, (f"Measured on {source}.",))


def commands(months: Path, depths: tuple[int, ...], *chosen: str) -> tuple[Command, Command]:
    """Return both sides, for a folder that holds the two months."""
    given = ("--year", "2021", "--month", "1", "--source", str(months))
    listed = ",".join(map(str, depths))
    sweep = (
        script("baton"), "sweep", "--json", "--max-depth", listed, "--minimise", "evaluation.metrics.rmse",
        *given, *chosen,
    )  # fmt: skip

    def prepare(folder: Path) -> None:
        for path in (PLAIN_SCRIPT, CONFIGURATION):
            shutil.copy(path, folder)

    return (
        Command(BATON, sweep),
        Command(LOOP, (sys.executable, "-c", _LOOP, listed, *given), prepare),
    )


def require_same_errors(sweep: Run, loop: Run) -> None:
    """Refuse to compare two programs that train different models.

    Raises
    ------
    CommandFailed
        If the errors of the trials differ.
    """
    own = [f"{trial['value']:.4f}" for trial in json.loads(sweep.stdout)["trials"]]
    other = re.findall(r"RMSE: (.*)$", loop.stdout, re.MULTILINE)
    if own != other:
        raise CommandFailed(f"the two ways trained different models: RMSE {own} and {other}")


def overhead_s(sweep: Run) -> tuple[float, ...]:
    """Return for each trial after the first what it took beyond its own tasks."""
    trials = json.loads(sweep.stdout)["trials"][1:]
    return tuple(
        trial["duration_s"] - math.fsum(task["duration_s"] for task in trial["tasks"]) for trial in trials
    )
