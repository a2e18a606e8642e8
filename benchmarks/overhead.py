"""What an engine adds to each task."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from benchmarks.empty_pipelines import REFERENCE, Shape, write_pipeline
from benchmarks.measure import Command, Measured, alternate, script
from benchmarks.report import Figure, Section

RUNS = 5
SIZES = (1, 8, 64, 256)
SHAPES: tuple[Shape, ...] = ("chain", "fan-out")
ENGINES: dict[str, float | None] = {"simple": 5.0, "make": None}
"""Budget by engine, in ms for each task."""

EXPLANATION = """\
`baton run` on pipelines of tasks that return an empty list, in a new empty project. In a chain each task
takes what the one before made; in a fan-out all take what the first made. The figure for each task is the
run, from the engine's start to its end, divided by the tasks. It contains all that baton does: making the
cache key from code, parameters and inputs, loading inputs, storing the output, remembering it. What a run
costs once (the first look at code and packages) is spread over its tasks, so that few tasks look dearer;
the budget is for the largest pipeline."""


def measure_overhead(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure milliseconds per empty task, for each engine, shape and number of tasks."""
    figures: list[Figure] = []
    for engine, budget_ms in ENGINES.items():
        cases = {empty_run(engine, shape, tasks): tasks for shape in SHAPES for tasks in SIZES}
        measured = alternate(list(cases), runs or RUNS, tell)
        for command, tasks in cases.items():
            budget = budget_ms if tasks == max(SIZES) else None
            each = ms_per_task(measured[command.name], tasks)
            figures.append(Figure(f"for each task, {command.name}", "ms", each, budget))
        for command in cases:
            figures.append(Figure(f"whole process, {command.name}", "s", measured[command.name].wall_s))
    return Section("Overhead of a task", EXPLANATION, tuple(figures))


def empty_run(engine: str, shape: Shape, tasks: int) -> Command:
    """Return the command that runs an empty pipeline on an engine."""
    words = (script("baton"), "run", "--json", "--pipeline", REFERENCE, "--engine", engine)
    return Command(f"{engine}, {shape} of {tasks}", words, partial(write_pipeline, shape=shape, tasks=tasks))


def ms_per_task(measured: Measured, tasks: int) -> tuple[float, ...]:
    """Return the duration of each run divided by its tasks, in milliseconds."""
    return tuple(1000 * float(json.loads(run.stdout)["duration_s"]) / tasks for run in measured.runs)
