"""The whole pipeline, from data to registered model, against the same written the usual way."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import SAMPLED_EVERY_S, Command, CommandFailed, Measured, alternate, ratios, script
from benchmarks.report import Figure, Section

RUNS = 3
WALL_BUDGET = 0.30
PEAK_BUDGET = 0.45
MONTHS = ("green_tripdata_2021-01.parquet", "green_tripdata_2021-02.parquet")
PLAIN_SCRIPT = Path(__file__).parents[1] / "examples" / "duration-prediction.py"
BATON = "`baton run deploy`"
USUAL = "the usual way"

EXPLANATION = f"""\
`baton run deploy` on the simple engine (train on 2021-01, validate on 2021-02) against
`examples/duration-prediction.py`, which does it with pandas, `DictVectorizer`, `xgb.train` on the one-hot
matrix and MLflow on SQLite, as such scripts are usually written. Each run starts in a new empty folder,
so nothing is remembered and both make their database. Both must print the same RMSE, else nothing is
reported. Baton does more: it checks the data, draws the report, passes the gate and registers the model.

Peak memory is that of the largest single process. Baton has a second one, in which MLflow works, so the
memory of all processes together stands beside it (sampled every {SAMPLED_EVERY_S:g} s during the warm-up
run, a page that processes share counted once)."""


def measure_whole_run(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure on the real months in the folder BATON_TEST_DATA, or on generated ones."""
    real = os.environ.get("BATON_TEST_DATA")
    with months_folder() as (months, source):
        tell(f"whole run on {source}")
        measured = alternate(commands(months), runs or RUNS, tell)
    baton, usual = measured[BATON], measured[USUAL]
    require_same_rmse(baton, usual)
    # The budgets are for the published months.
    wall_budget, peak_budget = (WALL_BUDGET, PEAK_BUDGET) if real else (None, None)
    figures = (
        Figure(f"wall time, {BATON} / {USUAL}", "", ratios(baton.wall_s, usual.wall_s), wall_budget),
        Figure(f"peak memory, {BATON} / {USUAL}", "", ratios(baton.peak_mib, usual.peak_mib), peak_budget),
        Figure(f"CPU time, {BATON} / {USUAL}", "", ratios(baton.cpu_s, usual.cpu_s)),
        *(figure for name in (BATON, USUAL) for figure in _costs(name, measured[name])),
        *(Figure(f"baton's task `{task}`", "s", seconds) for task, seconds in task_seconds(baton).items()),
    )
    return Section("Whole run", EXPLANATION, figures, (f"Measured on {source}.",))


@contextmanager
def months_folder() -> Iterator[tuple[Path, str]]:
    """Yield the folder of the real months, or of generated ones, and what it is called."""
    if real := os.environ.get("BATON_TEST_DATA"):
        yield Path(real).absolute(), "the published months"
        return
    with tempfile.TemporaryDirectory(prefix="baton-benchmark-months-") as scratch:
        yield write_sample_months(Path(scratch)), "generated months: BATON_TEST_DATA names no folder"


def commands(months: Path) -> tuple[Command, Command]:
    """Return both sides, for a folder that holds the two months."""
    chosen = ("--year", "2021", "--month", "1", "--source", str(months))
    return (
        Command(BATON, (script("baton"), "run", "deploy", "--json", *chosen)),
        Command(USUAL, (sys.executable, str(PLAIN_SCRIPT), *chosen)),
    )


def write_sample_months(folder: Path) -> Path:
    """Write the two generated months under their published names, and return the folder."""
    from tripduration.months import Month
    from tripduration.sample import write_sample

    for number, name in enumerate(MONTHS, start=1):
        write_sample(Month(2021, number), folder / name)
    return folder


def baton_rmse(stdout: str) -> str:
    """Return the RMSE that ``baton run --json`` tells, with four digits."""
    return f"{float(json.loads(stdout)['facts']['RMSE']):.4f}"


def usual_rmse(stdout: str) -> str:
    """Return the RMSE that the usual way prints, with four digits."""
    (found,) = re.findall(r"RMSE: (.*)$", stdout, re.MULTILINE)
    return f"{float(found):.4f}"


def require_same_rmse(baton: Measured, usual: Measured) -> None:
    """Refuse to compare two programs that compute different things."""
    told = {baton_rmse(run.stdout) for run in baton.runs} | {usual_rmse(run.stdout) for run in usual.runs}
    if len(told) != 1:
        raise CommandFailed(f"the two ways trained different models: RMSE {' and '.join(sorted(told))}")


def task_seconds(baton: Measured) -> dict[str, tuple[float, ...]]:
    """Return the seconds that each task took, one for each run."""
    seconds: dict[str, list[float]] = {}
    for run in baton.runs:
        for task in json.loads(run.stdout)["tasks"]:
            seconds.setdefault(task["task"], []).append(task["duration_s"])
    return {task: tuple(own) for task, own in seconds.items()}


def _costs(name: str, measured: Measured) -> tuple[Figure, ...]:
    return (
        Figure(f"wall time, {name}", "s", measured.wall_s),
        Figure(f"CPU time, {name}", "s", measured.cpu_s),
        Figure(f"peak memory, {name}", "MiB", measured.peak_mib),
        Figure(f"memory of all processes together, {name}", "MiB", (measured.together_mib,)),
    )
