"""What baton adds to each task of an Airflow DAG, and to the reading of its file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.empty_pipelines import Shape
from benchmarks.measure import Command, Measured, alternate
from benchmarks.report import Figure, Section

RUNS = 5
TASKS = 8
BUDGET_MS = 50.0
SHAPES: tuple[Shape, ...] = ("chain", "fan-out")
ROOT = Path(__file__).parents[1]

EXPLANATION = """\
Airflow's own test runner (`dag.test()`) over tasks that return an empty list: once as a DAG of Airflow's
own `@task` functions, once as a pipeline of baton, of the same shape. Timed is the shortest of five runs
in a process after a first one, so that imports are not part of it. The difference is divided by the tasks;
it holds the one Airflow task that baton adds to close the run, and all that baton does: keys, inputs,
outputs, memory. Reading the shipped DAG's file is timed in a new process that has imported Airflow's SDK,
beside a DAG of Airflow's own with as many tasks."""


def measure_airflow(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure milliseconds added per empty task, and seconds to read the DAG's file."""
    commands = [_run(whose, shape) for shape in SHAPES for whose in ("ours", "theirs")]
    measured = alternate([*commands, *(_parse(whose) for whose in ("ours", "theirs"))], runs or RUNS, tell)
    figures: list[Figure] = []
    for shape in SHAPES:
        ours, theirs = (seconds(measured[_run(whose, shape).name]) for whose in ("ours", "theirs"))
        added = tuple(1000 * (one - other) / TASKS for one, other in zip(ours, theirs, strict=True))
        figures.append(Figure(f"added to each task, airflow, {shape} of {TASKS}", "ms", added, BUDGET_MS))
        each = tuple(1000 * one / TASKS for one in theirs)
        figures.append(Figure(f"each task of Airflow's own, {shape} of {TASKS}", "ms", each))
    for whose, name in (("ours", "the shipped DAG's file"), ("theirs", "Airflow's own DAG of 15 tasks")):
        figures.append(Figure(f"reading {name}", "s", seconds(measured[_parse(whose).name])))
    return Section("Overhead of a task on Airflow", EXPLANATION, tuple(figures))


def seconds(measured: Measured) -> tuple[float, ...]:
    """Return what each run of the measured process told."""
    return tuple(float(json.loads(run.stdout.splitlines()[-1])["duration_s"]) for run in measured.runs)


def _run(whose: str, shape: Shape) -> Command:
    return Command(f"airflow, {whose}, {shape} of {TASKS}", _words("run", whose, shape, str(TASKS)))


def _parse(whose: str) -> Command:
    return Command(f"airflow, {whose}, reading the file", _words("parse", whose))


def _words(*arguments: str) -> tuple[str, ...]:
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from benchmarks.airflow_process import main; "
    return (sys.executable, "-c", f"{start}main(sys.argv[1:])", *arguments)
