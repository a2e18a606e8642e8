"""``baton cache recheck`` and ``baton run --recheck``: remembered results are computed again and compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from baton import Files, Json, Matrix, Table
from baton.store.store import Store
from tests.conftest import Command

FLOW = """\
import os

import numpy as np
import polars as pl

from baton import Dag, Files, Json, Matrix, Parameters, Table, TaskContext, task


class Chosen(Parameters, frozen=True):
    start: int = 3


@task
def numbers(start: int) -> Json:
    return {"first": start, "rest": [1, 0]}


@task
def table(numbers: Json) -> Table:
    return pl.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 0.0]})


@task
def matrix(numbers: Json) -> Matrix:
    return np.array([[1, 2], [3, 0]])


@task
def files(numbers: Json, context: TaskContext) -> Files:
    path = context.scratch / "one.txt"
    path.write_text("0")
    return {"one.txt": path}


@task
def unordered(numbers: Json) -> Json:
    return list({f"text {number}" for number in range(50)})


@task
def numbered(numbers: Json) -> Json:
    return {"process": os.getpid()}


@task
def once(numbers: Json, context: TaskContext) -> Json:
    (context.data_dir / "once").mkdir(parents=True)
    return 1


@task(effect=True)
def publish(table: Table, context: TaskContext) -> None:
    with (context.project / "published.txt").open("a") as file:
        file.write("published\\n")


dag = Dag("flow", [numbers, table, matrix, files, unordered, numbered, once, publish], parameters=Chosen)
"""
FLOW_OPTIONS = ("--pipeline", "flow:dag")
STABLE = ("numbers", "table", "matrix", "files")


@pytest.fixture
def done(baton: Command, tmp_path: Path) -> Path:
    """Return the store of a project in which the pipeline has run."""
    (tmp_path / "flow.py").write_text(FLOW)
    ended = baton("run", "--cache", *FLOW_OPTIONS, PYTHONHASHSEED="7")
    assert ended.code == 0, ended.stderr
    return tmp_path / ".baton" / "store"


def found(baton: Command, *arguments: object, **environ: str) -> tuple[int, dict[str, Any]]:
    ended = baton("cache", "recheck", "--json", *arguments, *FLOW_OPTIONS, **environ)
    assert ended.stdout, ended.stderr
    return ended.code, json.loads(ended.stdout)


def falsify(store: Path, task: str, kind: Any, value: object) -> None:
    """Remember another value than the one that a task made."""
    made = Store(str(store), store.parent / "other").save(task, kind, value)
    for path in store.glob("index/*/*.json"):
        entry = json.loads(path.read_text())
        if entry["task"] == task:
            path.write_text(json.dumps({**entry, "outputs": {task: made.as_dict()}}))


def other_table() -> pl.DataFrame:
    return pl.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 5.0]})


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestRecheck:
    """Every remembered result of the plan, or a share of them."""

    def test_of_what_is_right_exits_with_0_and_leaves_the_store_as_it_is(self, baton, done, tmp_path):
        before = content(done)
        code, told = found(baton, *STABLE)
        assert code == 0
        assert {one["task"]: one["verdict"] for one in told["tasks"]} == dict.fromkeys(STABLE, "right")
        assert content(done) == before
        assert list((tmp_path / ".baton" / "scratch").iterdir()) == []
        assert (tmp_path / "published.txt").read_text() == "published\n", "no effect ran again"

    @pytest.mark.parametrize(
        ("task", "kind", "value", "difference"),
        [
            ("numbers", Json, {"first": 3, "rest": [1, 5]}, "$.rest[1]: 5 and 0"),
            ("table", Table, other_table(), "column 'b', row 2: 5.0 and 0.0"),
            ("matrix", Matrix, np.array([[1, 2], [3, 5]]), "'dense' at [1, 1]: 5 and 0"),
        ],
    )
    def test_of_what_is_stale_says_where_it_differs_and_forgets_it_when_asked_to(
        self, baton, done, task, kind, value, difference
    ):
        falsify(done, task, kind, value)
        code, told = found(baton, task)
        assert code == 1
        [one] = told["tasks"]
        assert (one["verdict"], one["differences"]) == ("stale", {task: difference})
        ended = baton("cache", "recheck", task, *FLOW_OPTIONS)
        assert "hint: delete stale results with: baton cache recheck --forget" in ended.stderr
        assert f"{task}: {difference}" in ended.stdout
        assert found(baton, task, "--forget")[1]["tasks"][0]["forgotten"] is True
        assert found(baton, task)[1]["remembered"] == 0

    def test_of_a_stale_set_of_files_names_the_file(self, baton, done, tmp_path):
        (tmp_path / "five.txt").write_text("5")
        falsify(done, "files", Files, {"one.txt": tmp_path / "five.txt"})
        assert found(baton, "files")[1]["tasks"][0]["differences"]["files"].startswith("$.one.txt: ")

    @pytest.mark.parametrize("task", ["unordered", "numbered"])
    def test_of_a_task_that_is_not_deterministic_says_so_and_forgets_nothing(self, baton, done, task):
        before = content(done)
        code, told = found(baton, task, "--forget", PYTHONHASHSEED="3")
        assert code == 1
        [one] = told["tasks"]
        assert one["verdict"] == "not deterministic"
        assert one["differences"][task].startswith("$")
        assert content(done) == before

    def test_of_a_task_that_cannot_be_computed_any_more_says_why(self, baton, done):
        code, told = found(baton, "once")
        assert code == 1
        assert told["tasks"][0]["verdict"] == "cannot be computed"
        assert "FileExistsError: " in told["tasks"][0]["message"]

    def test_takes_a_share_that_can_be_drawn_again(self, baton, done):
        chosen = [
            [one["task"] for one in found(baton, *STABLE, "--share", "0.5", "--sample-seed", "3")[1]["tasks"]]
            for _ in range(2)
        ]
        assert chosen[0] == chosen[1]
        assert len(chosen[0]) == 2
        drawn = baton("cache", "recheck", *STABLE, "--share", "0.5", *FLOW_OPTIONS)
        assert "2 of 2 right; 4 are cached (chosen with --sample-seed " in drawn.stderr

    def test_starts_nothing_that_is_beyond_the_budget(self, baton, done):
        for path in done.glob("index/*/*.json"):
            entry = json.loads(path.read_text())
            path.write_text(json.dumps({**entry, "duration_s": 100.0 if entry["task"] == "table" else 0.0}))
        code, told = found(baton, *STABLE, "--budget", "60s")
        assert code == 0
        assert told["left_out"] == ["table"]

    def test_is_of_the_plan_that_its_options_name(self, baton, done):
        assert found(baton, "numbers", "--start", "4")[1]["remembered"] == 0

    def test_names_the_nearest_target_where_there_is_none(self, baton, done):
        ended = baton("cache", "recheck", "tabel", *FLOW_OPTIONS)
        assert ended.code == 2
        assert "did you mean 'table'?" in ended.stderr


class TestOnTheWay:
    """A run computes a share of what is remembered again."""

    @pytest.mark.parametrize("engine", [("simple",), ("make",), ("make", "-j", "2")], ids=" ".join)
    def test_a_wrong_result_is_told_replaced_and_ends_the_run_with_1(self, baton, done, engine):
        run = ("run", "table", "--engine", *engine, "--cache", *FLOW_OPTIONS)
        good = baton(*run, "--recheck", "1", "--explain")
        assert good.code == 0, good.stderr
        assert "computed again to check: the same as computed by run" in good.stderr
        falsify(done, "table", Table, other_table())
        wrong = baton(*run, "--recheck", "1")
        assert wrong.code == 1
        assert (
            "error: the cached result of 'table' was wrong; the new one was used: "
            "output 'table' differs: column 'b', row 2: 5.0 and 0.0" in wrong.stderr
        )
        assert "hint: check whether the task is deterministic: baton cache recheck table" in wrong.stderr
        again = baton(*run, "--recheck", "1")
        assert again.code == 0, "the new result is remembered"
        assert "failed" not in json.loads(baton("status", "--json", *FLOW_OPTIONS).stdout)[0]["state"]

    def test_a_share_of_nothing_computes_nothing(self, baton, done):
        falsify(done, "table", Table, other_table())
        assert baton("run", "table", "--cache", *FLOW_OPTIONS).code == 0
        assert baton("run", "table", "--cache", "--recheck", "2", *FLOW_OPTIONS).code == 2
