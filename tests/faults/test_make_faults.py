"""Kills at any moment and runs at the same time leave a store that is right."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PIPELINE = """\
import time

from baton import Dag, File, Json, TaskContext, task


@task
def one(context: TaskContext) -> File:
    return _written(context, "one")


@task
def two(context: TaskContext) -> File:
    return _written(context, "two")


@task
def both(one: File, two: File, context: TaskContext) -> File:
    return _written(context, one.read_text()[:3] + two.read_text()[:3])


@task
def size(both: File) -> Json:
    return both.stat().st_size


@task(effect=True)
def tell(size: Json, context: TaskContext) -> None:
    context.product(context.project / "told.txt").write_text(str(size))


def _written(context, word):
    path = context.scratch / "file"
    with path.open("w") as file:
        for _ in range(4):
            file.write(word * 150_000)
            time.sleep(0.01)
    return path


dag = Dag("faults", [one, two, both, size, tell])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "faults.py").write_text(PIPELINE)
    return tmp_path


def make(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "baton.cli.app", "run", "--engine", "make", "--pipeline", "faults:dag"]
    return subprocess.Popen(
        [*words, "--json", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def ended(run: subprocess.Popen[bytes]) -> dict[str, dict[str, object]]:
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err.decode()
    return {task["task"]: task for task in json.loads(out)["tasks"]}


def digests(tasks: dict[str, dict[str, object]]) -> dict[str, object]:
    return {name: task["outputs"] for name, task in tasks.items()}


def torn_objects(folder: Path) -> list[Path]:
    objects = (folder / ".baton" / "store" / "objects").glob("??/*")
    return [path for path in objects if hashlib.sha256(path.read_bytes()).hexdigest() != path.name]


@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.fault(
    "kill -9 on the make engine, 50 times", "the next run gives the same digests; nothing torn is taken"
)
def test_killed_at_any_moment_the_next_run_is_right(folder: Path, tmp_path_factory, kills: int) -> None:
    clean = tmp_path_factory.mktemp("clean")
    (clean / "faults.py").write_text(PIPELINE)
    began = time.monotonic()
    expected = digests(ended(make(clean)))
    whole_s = time.monotonic() - began  # of this machine, so that the kills fall into the runs
    chance = random.Random(20261124)
    done_before_the_kill = 0
    for _ in range(kills):
        for entry in (folder / ".baton" / "store").glob("index/*/*.json"):
            entry.unlink()  # begin from nothing, so that every task can be hit
        forced = chance.choice([[], ["--force", "one"], ["--force", "both"], ["--force", "tell"]])
        run = make(folder, "-j", chance.choice("12"), *forced)
        time.sleep(chance.uniform(0.1, 0.9) * whole_s)
        if chance.random() < 0.5:
            os.killpg(run.pid, signal.SIGKILL)  # the workers too
        else:
            run.kill()  # the workers find themselves alone
        run.communicate()
        done_before_the_kill += run.returncode == 0
        after = ended(make(folder, "-j", chance.choice("12")))
        assert digests(after) == expected
        assert (folder / "told.txt").read_text() == str(4 * 150_000 * 6)
        assert torn_objects(folder) == []
    assert done_before_the_kill < kills / 2, "hardly any run was hit"


@pytest.mark.parametrize("pairs", [4, pytest.param(20, marks=pytest.mark.long)])
@pytest.mark.fault("two runs at once on one store, 20 times", "each key is computed once")
def test_two_runs_at_once_compute_each_key_once(folder: Path, pairs: int) -> None:
    for number in range(pairs):
        jobs = "12"[number % 2]
        runs = [make(folder, "-j", jobs) for _ in range(2)]
        ends = [ended(run) for run in runs]
        for name in ("one", "two", "both", "size"):
            outcomes = sorted(str(tasks[name]["outcome"]) for tasks in ends)
            assert outcomes == ["cached", "succeeded"], (number, name, outcomes)
        assert digests(ends[0]) == digests(ends[1])
        for entry in (folder / ".baton" / "store").glob("index/*/*.json"):
            entry.unlink()
    assert torn_objects(folder) == []
    assert not list((folder / ".baton" / "store").glob("locks/*"))
