"""The other tools' chain of stages as a pipeline of baton, as a user would write it."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.other_tools import FIRST_VALUE, MIDDLE, STAGES

MODULE = "chain"
REFERENCE = f"{MODULE}:dag"
CONFIGURATION = "orchestration_config.json"
_HEAD = f"""\
from typing import Annotated

from baton import Dag, File, Parameters, TaskContext, parameter, task


class Chosen(Parameters, frozen=True):
    middle: Annotated[str, parameter("what the middle stage adds")] = "{FIRST_VALUE}"


@task
def stage_0(context: TaskContext) -> File:
    path = context.scratch / "stage_0.txt"
    path.write_text("0\\n")
    return path
"""


def write_chain(folder: Path) -> None:
    """Write ``chain.py`` with the `Dag` ``dag`` into a folder."""
    stages = "\n\n".join(_stage(number) for number in range(1, STAGES + 1))
    names = ", ".join(f"stage_{number}" for number in range(STAGES + 1))
    dag = f'dag = Dag("chain", [{names}], parameters=Chosen)\n'
    (folder / f"{MODULE}.py").write_text(f"{_HEAD}\n\n{stages}\n\n{dag}", encoding="utf-8")


def set_middle(folder: Path, value: str) -> None:
    """Change what the middle stage adds, in the configuration file."""
    (folder / CONFIGURATION).write_text(json.dumps({"middle": value}), encoding="utf-8")


def changed_stages() -> list[str]:
    """Return the tasks that a change of the parameter must run."""
    return [f"stage_{number}" for number in range(MIDDLE, STAGES + 1)]


def _stage(number: int) -> str:
    parameter, line = (", middle: str", """f"{middle}\\n" + """) if number == MIDDLE else ("", "")
    source = f"stage_{number - 1}"
    return f"""\
@task
def stage_{number}({source}: File{parameter}, context: TaskContext) -> File:
    path = context.scratch / "stage_{number}.txt"
    path.write_text({source}.read_text() + {line}"{number}\\n")
    return path
"""
