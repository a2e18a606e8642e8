"""What it costs to find that there is nothing to do, and what running side by side gains."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Command, CommandFailed, Measured, alternate, environment, ratios, script
from benchmarks.other_tools import PROGRAMS, STAGES, prepare, tools
from benchmarks.report import Figure, Section
from benchmarks.whole_run import MONTHS, write_sample_months

RUNS = 7
NOTHING = "`baton run --engine make`, nothing to do"
DVC = "`dvc repro`"
WALL_BUDGET_S = 0.35
DVC_BUDGET = 0.25
BRANCHES = """\
import hashlib

from baton import Dag, Json, task


@task
def one() -> Json:
    return _work("one")


@task
def other() -> Json:
    return _work("other")


def _work(name: str) -> str:
    digest = name.encode()
    for _ in range(3_000_000):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()


dag = Dag("branches", [one, other])
"""

EXPLANATION = f"""\
Whole processes that find that nothing changed: `baton run --engine make` on the duration pipeline (two
months of data, a tracked and deployed model), and other tools on a chain of {STAGES} stages that each copy
a small file. Then two independent tasks of some seconds each, with `-j 1` and `-j 2`."""


def measure_rebuild(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure a rebuild with nothing to do against other tools, and two jobs against one."""
    with tempfile.TemporaryDirectory(prefix="baton-benchmark-built-") as scratch:
        commands = [_built_pipeline(Path(scratch), tell), *_built_chains(Path(scratch), tell)]
        measured = alternate(commands, runs or RUNS, tell)
    baton, dvc = measured[NOTHING].wall_s, measured[DVC].wall_s
    jobs = alternate([_branches(1), _branches(2)], max(2, (runs or RUNS) // 2), tell)
    one, two = (jobs[_branches(number).name] for number in (1, 2))
    _require_same_digests(one, two)
    return Section(
        "Nothing to do",
        EXPLANATION,
        (
            Figure(NOTHING, "s", baton, WALL_BUDGET_S),
            Figure(f"{NOTHING} / {DVC}", "", ratios(baton, dvc), DVC_BUDGET),
            *(Figure(name, "s", found.wall_s) for name, found in measured.items() if name != NOTHING),
            Figure("two independent tasks, `-j 2` / `-j 1`", "", ratios(two.wall_s, one.wall_s), 1.0),
        ),
    )


def _built_pipeline(scratch: Path, tell: Callable[[str], None]) -> Command:
    """Run the duration pipeline once in a folder; return the command that finds nothing to do there."""
    folder = scratch / "duration"
    folder.mkdir()
    real = os.environ.get("BATON_TEST_DATA")
    months = Path(real).absolute() if real else write_sample_months(scratch)
    assert all((months / name).exists() for name in MONTHS)
    words = (
        script("baton"), "run", "--engine", "make", "--json", "--source", str(months),
    )  # fmt: skip
    tell(f"{NOTHING}, first build")
    outcomes = [_outcomes(words, folder) for _ in range(2)]
    if set(outcomes[1]) != {"cached"}:
        raise CommandFailed(f"a second run still had something to do: {outcomes[1]}")
    return Command(NOTHING, words, folder=folder)


def _built_chains(scratch: Path, tell: Callable[[str], None]) -> list[Command]:
    commands = []
    for number, tool in enumerate(tools()):
        tell(f"{tool.name}, first build")
        folder = scratch / str(number)
        prepare(tool, folder)
        commands.append(Command(tool.name, tool.words, folder=folder, path=PROGRAMS))
    return commands


def _branches(jobs: int) -> Command:
    words = (
        script("baton"), "run", "--engine", "make", "--json", "-j", str(jobs), "--pipeline", "branches:dag",
    )  # fmt: skip
    return Command(
        f"two tasks, -j {jobs}", words, lambda folder: (folder / "branches.py").write_text(BRANCHES)
    )


def _require_same_digests(*measured: Measured) -> None:
    digests = {
        json.dumps(
            [task["outputs"] for task in sorted(_tasks(run.stdout), key=lambda task: str(task["task"]))]
        )
        for one in measured
        for run in one.runs
    }
    if len(digests) != 1:
        raise CommandFailed("one and two jobs gave different results")


def _outcomes(words: tuple[str, ...], folder: Path) -> list[str]:
    ended = subprocess.run(
        words, cwd=folder, env=environment(os.environ), capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise CommandFailed(f"the pipeline cannot be built:\n{ended.stderr}")
    return [str(task["outcome"]) for task in _tasks(ended.stdout)]


def _tasks(stdout: str) -> list[dict[str, object]]:
    tasks: list[dict[str, object]] = json.loads(stdout)["tasks"]
    return tasks
