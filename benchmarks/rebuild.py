"""What it costs to find that there is nothing to do, and to do again what one change needs."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.baton_chain import CONFIGURATION, REFERENCE, changed_stages, set_middle, write_chain
from benchmarks.measure import Command, CommandFailed, Measured, alternate, environment, ratios, script
from benchmarks.other_tools import PROGRAMS, STAGES, prepare, require_built, set_parameter, tools
from benchmarks.report import Figure, Section
from benchmarks.whole_run import MONTHS, write_sample_months

RUNS = 7
RUNS_WITH_CHANGE = 4
PIPELINE = "`baton run --engine make`"
CHAIN = f"{PIPELINE}, the chain"
DVC = "`dvc repro`"
WALL_BUDGET_S = 0.35
DVC_BUDGET = 0.25

NOTHING_TO_DO = f"""\
Whole processes that find that nothing changed: `baton run --engine make` on the duration pipeline (two
months of data, a tracked and deployed model) and on a chain of {STAGES} tasks that each copy a small file
and add a line, and other tools on the same chain."""

ONE_CHANGE = f"""\
Whole processes after one parameter was changed. In the chain of {STAGES} stages it is one that the middle
stage reads: that stage and all after it must run, and the last file must hold the new value. In the
duration pipeline it is `max_rmse`: the gate runs again, for which MLflow is loaded; as its verdict is the
same, the deployment does not, and nothing is trained."""


@dataclass(frozen=True, slots=True)
class Built:
    """A folder in which everything was built once.

    Parameters
    ----------
    name : str
        What the report calls the command.
    command : Command
        Builds what is stale.
    change : callable
        Sets the parameter to a value with the number given, in a folder.
    require : callable
        Raises `CommandFailed` unless the folder and what the command printed are those of a build
        after the change with the number given.
    """

    name: str
    command: Command
    change: Callable[[Path, int], None]
    require: Callable[[Path, str, int], None]


def measure_rebuild(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure a rebuild with nothing to do against other tools."""
    with tempfile.TemporaryDirectory(prefix="baton-benchmark-built-") as scratch:
        built = [_built_pipeline(Path(scratch), tell), *_built_chains(Path(scratch), tell)]
        measured = alternate([one.command for one in built], runs or RUNS, tell)
    for name in (PIPELINE, CHAIN):
        _require_nothing_done(measured[name])
    pipeline, chain, dvc = (measured[name].wall_s for name in (PIPELINE, CHAIN, DVC))
    figures = (
        Figure(f"{PIPELINE}, nothing to do", "s", pipeline, WALL_BUDGET_S),
        Figure(f"{PIPELINE}, nothing to do / {DVC}", "", ratios(pipeline, dvc), DVC_BUDGET),
        Figure(f"{CHAIN} / {DVC}", "", ratios(chain, dvc), DVC_BUDGET),
        *_costs(measured),
    )
    return Section("Nothing to do", NOTHING_TO_DO, figures)


def measure_one_change(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure a rebuild after one parameter was changed against other tools."""
    with tempfile.TemporaryDirectory(prefix="baton-benchmark-built-") as scratch:
        built = [_built_pipeline(Path(scratch), tell), *_built_chains(Path(scratch), tell)]
        return change_section(built, runs or RUNS_WITH_CHANGE, tell)


def change_section(built: Sequence[Built], runs: int, tell: Callable[[str], None]) -> Section:
    """Measure each with another value of its parameter in every run."""
    numbers = {one.name: itertools.count(1) for one in built}
    commands = [
        replace(one.command, prepare=lambda folder, one=one: one.change(folder, next(numbers[one.name])))  # type: ignore[misc]  # mypy does not know the default
        for one in built
    ]
    measured = alternate(commands, runs, tell)
    for one in built:
        assert one.command.folder is not None
        one.require(one.command.folder, measured[one.name].runs[-1].stdout, runs + 1)  # 1 was the warm-up
    own = [one.name for one in built if one.name == CHAIN]
    against = [one.name for one in built if one.name not in (CHAIN, PIPELINE)]
    figures = [
        Figure(f"{chain} / {other}", "", ratios(measured[chain].wall_s, measured[other].wall_s))
        for chain in own
        for other in against
    ]
    return Section("One parameter changed", ONE_CHANGE, (*figures, *_costs(measured)))


def built_baton_chain(scratch: Path) -> Built:
    """Build the chain with baton."""
    folder = scratch / "chain"
    folder.mkdir()
    write_chain(folder)
    words = (script("baton"), "run", "--engine", "make", "--json", "--pipeline", REFERENCE)
    _build_twice(words, folder)

    def require(_folder: Path, stdout: str, _number: int) -> None:
        _require_ran(stdout, changed_stages())

    return Built(
        CHAIN, Command(CHAIN, words, folder=folder), lambda it, number: set_middle(it, f"v{number}"), require
    )


def built_tool_chains(scratch: Path, tell: Callable[[str], None]) -> Iterator[Built]:
    """Build the chain with each of the other tools."""
    for number, tool in enumerate(tools()):
        tell(f"{tool.name}, first build")
        folder = scratch / str(number)
        prepare(tool, folder)

        def require(folder: Path, _stdout: str, number: int, name: str = tool.name) -> None:
            require_built(name, folder, f"v{number}")

        yield Built(
            tool.name,
            Command(tool.name, tool.words, folder=folder, path=PROGRAMS),
            lambda it, number: set_parameter(it, f"v{number}"),
            require,
        )


def _built_chains(scratch: Path, tell: Callable[[str], None]) -> list[Built]:
    tell(f"{CHAIN}, first build")
    return [built_baton_chain(scratch), *built_tool_chains(scratch, tell)]


def _built_pipeline(scratch: Path, tell: Callable[[str], None]) -> Built:
    """Run the duration pipeline in a folder until there is nothing to do."""
    folder = scratch / "duration"
    folder.mkdir()
    real = os.environ.get("BATON_TEST_DATA")
    months = Path(real).absolute() if real else write_sample_months(scratch)
    assert all((months / name).exists() for name in MONTHS)
    words = (script("baton"), "run", "--engine", "make", "--json", "--source", str(months))
    tell(f"{PIPELINE}, first build")
    _build_twice(words, folder)

    def change(folder: Path, number: int) -> None:
        settings = {"validation": {"max_rmse": 8.0 + number / 1000}}
        (folder / CONFIGURATION).write_text(json.dumps(settings), encoding="utf-8")

    def require(_folder: Path, stdout: str, _number: int) -> None:
        _require_ran(stdout, ["validate"])

    return Built(PIPELINE, Command(PIPELINE, words, folder=folder), change, require)


def _build_twice(words: tuple[str, ...], folder: Path) -> None:
    for _ in range(2):
        ended = subprocess.run(
            words, cwd=folder, env=environment(os.environ), capture_output=True, text=True, check=False
        )
        if ended.returncode != 0:
            raise CommandFailed(f"the pipeline cannot be built:\n{ended.stderr}")
    _require_ran(ended.stdout, [])


def _require_nothing_done(measured: Measured) -> None:
    for run in measured.runs:
        _require_ran(run.stdout, [])


def _require_ran(stdout: str, expected: list[str]) -> None:
    """Refuse a run of baton that ran other tasks than expected."""
    ran = [task["task"] for task in json.loads(stdout)["tasks"] if task["outcome"] != "cached"]
    if ran != expected:
        raise CommandFailed(f"baton ran {ran} where {expected} were to be run")


def _costs(measured: dict[str, Measured]) -> tuple[Figure, ...]:
    return (
        *(Figure(f"wall time, {name}", "s", found.wall_s) for name, found in measured.items()),
        *(Figure(f"CPU time, {name}", "s", found.cpu_s) for name, found in measured.items()),
    )
