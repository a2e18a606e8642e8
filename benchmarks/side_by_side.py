"""What running independent tasks side by side gains."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks.measure import Command, CommandFailed, Measured, alternate, ratios, script
from benchmarks.report import Figure, Section

RUNS = 3
BUDGET = 1.0
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

EXPLANATION = """\
Two independent tasks of some seconds each on the make engine, whole processes with `-j 2` and with `-j 1`.
Both must give the same digests, else nothing is reported."""


def measure_side_by_side(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure two jobs against one."""
    measured = alternate([_branches(1), _branches(2)], runs or RUNS, tell)
    one, two = (measured[_branches(number).name] for number in (1, 2))
    _require_same_digests(one, two)
    figures = (
        Figure("two independent tasks, `-j 2` / `-j 1`", "", ratios(two.wall_s, one.wall_s), BUDGET),
        *(Figure(name, "s", found.wall_s) for name, found in measured.items()),
    )
    return Section("Side by side", EXPLANATION, figures)


def _branches(jobs: int) -> Command:
    words = (
        script("baton"), "run", "--engine", "make", "--json", "-j", str(jobs), "--pipeline", "branches:dag",
    )  # fmt: skip
    return Command(
        f"two tasks, -j {jobs}", words, lambda folder: (folder / "branches.py").write_text(BRANCHES)
    )


def _require_same_digests(*measured: Measured) -> None:
    digests = {
        json.dumps([task["outputs"] for task in sorted(_tasks(run.stdout), key=lambda it: str(it["task"]))])
        for one in measured
        for run in one.runs
    }
    if len(digests) != 1:
        raise CommandFailed("one and two jobs gave different results")


def _tasks(stdout: str) -> list[dict[str, object]]:
    tasks: list[dict[str, object]] = json.loads(stdout)["tasks"]
    return tasks
