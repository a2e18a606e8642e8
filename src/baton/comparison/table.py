"""The table of a comparison: one row per figure, one column per engine."""

from __future__ import annotations

import re
from typing import Any

from baton.comparison.result import Comparison, EngineRun

Row = tuple[str, ...]
_HEXADECIMAL = re.compile(r"\b[0-9a-f]{32,64}\b")

WHAT_FIGURES_ARE = {
    "wall": "seconds from the start to the end of the engine's process, including imports",
    "in tasks": "seconds of all tasks added up",
    "overhead": (
        "wall minus the longest chain of dependent tasks: starting, importing, orchestrating, and running "
        "tasks one after another that could run in parallel"
    ),
    "run / cached": "tasks that ran, and tasks whose cached result was used",
}
"""The meaning of figures that are not facts of the pipeline."""


def table_of(comparison: Comparison, *, shortened: bool = False) -> tuple[Row, list[Row]]:
    """Return the header and the rows.

    Parameters
    ----------
    comparison : Comparison
        The comparison to show.
    shortened : bool
        Whether to cut long digests and ids to 12 digits.
    """
    runs = comparison.runs
    rows: list[Row] = [
        ("ended", *(_ended(run) for run in runs)),
        ("wall", *(f"{run.wall_s:.2f} s" for run in runs)),
        ("in tasks", *(f"{run.in_tasks_s:.2f} s" for run in runs)),
        ("overhead", *(f"{run.overhead_s:.2f} s" for run in runs)),
        ("run / cached", *(f"{run.count('succeeded')} / {run.count('cached')}" for run in runs)),
    ]
    rows += [(label, *(run.figure(label) for run in runs)) for label in comparison.labels]
    if any(run.experiment for run in runs):
        rows.append(("MLflow experiment", *(run.experiment for run in runs)))
        rows.append(("MLflow run", *(run.tracking_run_id for run in runs)))
    if shortened:
        rows = [tuple(_HEXADECIMAL.sub(lambda found: found[0][:12], cell) for cell in row) for row in rows]
    return ("engine", *(run.engine for run in runs)), rows


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return everything as plain JSON values."""
    found = comparison.first_difference
    return {
        "pipeline": comparison.dag.name,
        "targets": list(comparison.targets),
        "shared": comparison.shared,
        "succeeded": comparison.is_good,
        "identical": comparison.is_identical,
        "verdict": comparison.verdict,
        "first_difference": found
        and {"artifact": found.artifact, "task": found.task, "digests": dict(found.digests)},
        "engines": [_run_as_json(run, comparison) for run in comparison.runs],
        "unusable": [
            {"engine": one.engine, "reason": one.reason, "hint": one.hint} for one in comparison.unusable
        ],
        "machine": {
            "date": comparison.machine.date,
            "system": comparison.machine.system,
            "cores": comparison.machine.cores,
            "load": comparison.machine.load,
            "python": comparison.machine.python,
            "packages": dict(comparison.machine.packages),
        },
    }


def _run_as_json(run: EngineRun, comparison: Comparison) -> dict[str, Any]:
    headline = comparison.dag.headline
    return {
        "engine": run.engine,
        "succeeded": run.is_good,
        "exit_code": run.exit_code,
        "failure": run.failure,
        "command": list(run.command),
        "run_id": run.record.run_id if run.record is not None else "",
        "wall_s": round(run.wall_s, 3),
        "in_tasks_s": round(run.in_tasks_s, 3),
        "longest_chain_s": round(run.longest_chain_s, 3),
        "overhead_s": round(run.overhead_s, 3),
        "run": run.count("succeeded"),
        "cached": run.count("cached"),
        "headline": {headline: run.figure(headline)} if headline else {},
        "facts": run.facts,
        "metrics": dict(run.metrics),
        "experiment": run.experiment,
        "tracking_run_id": run.tracking_run_id,
        "artifacts": dict(run.digests),
        "tasks": [
            {"task": task.task, "outcome": task.outcome, "duration_s": round(task.duration_s, 3)}
            for task in run.tasks
        ],
        "store": run.store,
    }


def _ended(run: EngineRun) -> str:
    if run.is_good:
        return "succeeded"
    failed = next((task.task for task in run.tasks if task.outcome == "failed"), "")
    return f"failed: {failed}" if failed else f"exit code {run.exit_code}"
