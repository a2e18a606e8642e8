"""Pipelines of tasks that do nothing, as a user would write them: a module with a function for each.

The module is written as text because a task is a plain function at the top level of a module: functions
made in a loop would be closures, which baton refuses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Shape = Literal["chain", "fan-out"]
MODULE = "empty"
REFERENCE = f"{MODULE}:dag"


def write_pipeline(folder: Path, shape: Shape, tasks: int) -> Path:
    """Write ``empty.py`` with the `Dag` ``dag`` into a folder, and return its path."""
    path = folder / f"{MODULE}.py"
    path.write_text(pipeline_text(shape, tasks), encoding="utf-8")
    return path


def pipeline_text(shape: Shape, tasks: int) -> str:
    """Return the module's text.

    Parameters
    ----------
    shape : "chain" or "fan-out"
        Each task takes what the one before made, or each takes what the first made.
    tasks : int
        How many, at least 1.

    Examples
    --------
    >>> print(pipeline_text("chain", 2))
    from baton import Dag, Json, task
    <BLANKLINE>
    <BLANKLINE>
    @task
    def task_0() -> Json:
        return []
    <BLANKLINE>
    <BLANKLINE>
    @task
    def task_1(task_0: Json) -> Json:
        return []
    <BLANKLINE>
    <BLANKLINE>
    dag = Dag("empty", [task_0, task_1])
    <BLANKLINE>
    """
    parts = ["from baton import Dag, Json, task", _task(0, "")]
    for number in range(1, tasks):
        upstream = number - 1 if shape == "chain" else 0
        parts.append(_task(number, f"task_{upstream}: Json"))
    names = ", ".join(f"task_{number}" for number in range(tasks))
    return "\n\n\n".join([*parts, f'dag = Dag("empty", [{names}])\n'])


def _task(number: int, arguments: str) -> str:
    return f"@task\ndef task_{number}({arguments}) -> Json:\n    return []"
