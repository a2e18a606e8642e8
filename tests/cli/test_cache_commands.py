"""``baton cache`` and ``baton clean`` as a person meets them."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import BATON, Command

DIAMOND = ("--pipeline", "baton.testing.pipelines:diamond")
PURE = ("source", "left", "right", "join")


@pytest.fixture
def done(baton: Command, tmp_path: Path) -> Path:
    """Return the store of a project in which the diamond has run."""
    assert baton("run", "--cache", *DIAMOND).code == 0
    return tmp_path / ".baton" / "store"


def outcomes(baton: Command, *arguments: object) -> dict[str, str]:
    report = json.loads(baton("run", "--cache", "--json", *DIAMOND, *arguments).stdout)
    return {task["task"]: task["outcome"] for task in report["tasks"]}


def make_old(folder: Path, days: float) -> None:
    for path in folder.rglob("*"):
        at = time.time() - days * 86400
        os.utime(path, (at, at), follow_symlinks=False)


def damage(store: Path, baton: Command, task: str) -> Path:
    """Damage the object that a task made, and return it."""
    [entry] = json.loads(baton("cache", "ls", task, "--json", *DIAMOND).stdout)
    [output] = entry["outputs"].values()
    path = store / "objects" / output["digest"][:2] / output["digest"]
    path.chmod(0o644)
    path.write_text("[9]")
    return path


class TestInfo:
    """What the cache holds and how much it helped."""

    def test_counts_files_and_hits(self, baton, done):
        outcomes(baton)
        found = json.loads(baton("cache", "info", "--json", *DIAMOND).stdout)
        assert found["place"] == str(done)
        assert found["entries"]["count"] == len(PURE)
        assert found["objects"]["count"] == 5
        assert found["objects"]["size"] == sum(p.stat().st_size for p in done.glob("objects/*/*"))
        assert (found["hits"], found["misses"], found["runs"]) == (4, 4, 2)
        assert "hits: 4 of 8 pure tasks in 2 runs" in baton("cache", "info", *DIAMOND).stdout

    def test_of_a_project_that_never_ran_is_all_zero_and_writes_nothing(self, baton, tmp_path):
        found = json.loads(baton("cache", "info", "--json", *DIAMOND).stdout)
        assert found["objects"] == found["entries"] == {"count": 0, "size": 0}
        assert list(tmp_path.iterdir()) == []


class TestLs:
    """What is remembered."""

    def test_lists_the_newest_first_with_where_it_came_from(self, baton, done):
        lines = baton("cache", "ls", *DIAMOND).stdout.splitlines()
        assert len(lines) == 1 + len(PURE)
        assert {line.split()[0] for line in lines[1:]} == set(PURE)
        listed = json.loads(baton("cache", "ls", "--json", *DIAMOND).stdout)
        assert [e["finished_at"] for e in listed] == sorted((e["finished_at"] for e in listed), reverse=True)
        joined = next(entry for entry in listed if entry["task"] == "join")
        assert list(joined["outputs"]) == ["joined", "count"]
        assert joined["engine"] == "simple"
        assert joined["duration_s"] > 0

    def test_takes_targets_and_a_limit(self, baton, done):
        listed = json.loads(baton("cache", "ls", "branches", "--json", *DIAMOND).stdout)
        assert {entry["task"] for entry in listed} == {"left", "right"}
        assert len(json.loads(baton("cache", "ls", "-n", "1", "--json", *DIAMOND).stdout)) == 1

    def test_names_the_nearest_target_where_there_is_none(self, baton, done):
        ended = baton("cache", "ls", "lefft", *DIAMOND)
        assert ended.code == 2
        assert "did you mean 'left'?" in ended.stderr

    def test_says_so_where_nothing_is_remembered(self, baton):
        ended = baton("cache", "ls", *DIAMOND)
        assert (ended.code, ended.stdout) == (0, "")
        assert "the cache is empty" in ended.stderr


class TestVerify:
    """Damage is told with exit code 1, and mended when asked for."""

    def test_is_quiet_about_a_good_store(self, baton, done):
        ended = baton("cache", "verify", *DIAMOND)
        assert (ended.code, ended.stdout) == (0, "")
        assert ended.stderr == "checked 5 objects and 4 entries\n"

    def test_tells_and_mends_so_that_exactly_the_damaged_is_computed_anew(self, baton, done):
        damaged = damage(done, baton, "left")
        told = baton("cache", "verify", *DIAMOND)
        assert told.code == 1
        assert "corrupt object" in told.stdout
        assert "hint: delete what is damaged with: baton cache verify --repair" in told.stderr
        assert damaged.exists()
        as_json = json.loads(baton("cache", "verify", "--json", *DIAMOND).stdout)
        assert as_json["good"] is False
        assert {finding["damage"] for finding in as_json["findings"]} == {"corrupt object", "missing object"}
        assert baton("cache", "verify", "--repair", *DIAMOND).code == 0
        assert not damaged.exists()
        assert baton("cache", "verify", *DIAMOND).code == 0
        assert outcomes(baton) == {
            "source": "cached",
            "left": "succeeded",
            "right": "cached",
            "join": "cached",
            "publish": "succeeded",
        }


class TestGc:
    """Nothing is removed without --yes, and never what is needed."""

    def test_finds_nothing_right_after_a_run(self, baton, done):
        ended = baton("cache", "gc", "--max-size", "0", "--older-than", "0s", *DIAMOND)
        assert (ended.code, ended.stdout) == (0, "")

    def test_shows_first_and_removes_with_yes(self, baton, done):
        baton("clean", "join", *DIAMOND)
        make_old(done, 1)
        shown = baton("cache", "gc", *DIAMOND)
        assert shown.code == 0
        assert [line.split()[:2] for line in shown.stdout.splitlines()[1:]] == [
            ["objects", "2"],
            ["texts", "1"],  # which entry of join is the latest
        ]
        assert "hint: nothing was deleted" in shown.stderr
        assert len(list(done.glob("objects/*/*"))) == 5
        removed = json.loads(baton("cache", "gc", "--yes", "--json", *DIAMOND).stdout)
        assert removed["removed"] is True
        assert removed["objects"]["count"] == 2
        assert len(list(done.glob("objects/*/*"))) == 3
        assert outcomes(baton)["left"] == "cached"

    def test_keeps_by_age_what_a_run_used_lately(self, baton, done):
        for path in done.glob("index/*/*.json"):
            entry = json.loads(path.read_text())
            entry["finished_at"] = "2020-01-01T00:00:00+00:00"
            path.write_text(json.dumps(entry))
        make_old(done, 1000)
        assert baton("cache", "gc", "--older-than", "30d", "--yes", *DIAMOND).stdout == ""
        for record in (done.parent / "runs").glob("*.json"):
            record.unlink()
        removed = json.loads(baton("cache", "gc", "--older-than", "30d", "--yes", "--json", *DIAMOND).stdout)
        assert (removed["entries"]["count"], removed["objects"]["count"]) == (4, 5)

    @pytest.mark.parametrize(
        ("option", "value", "example"),
        [("--older-than", "30", "30d or 12h"), ("--max-size", "5 potatoes", "5GB or 500MB")],
    )
    def test_refuses_a_quantity_without_a_known_unit(self, baton, option, value, example):
        ended = baton("cache", "gc", option, value, *DIAMOND)
        assert ended.code == 2
        assert f"write it as {example}" in ended.stderr

    def test_removes_no_entry_while_a_run_is_in_progress(self, baton, done, tmp_path):
        for path in done.glob("index/*/*.json"):
            entry = json.loads(path.read_text())
            entry["finished_at"] = "2020-01-01T00:00:00+00:00"
            path.write_text(json.dumps(entry))
        for record in (done.parent / "runs").glob("*.json"):
            record.unlink()
        make_old(done, 1000)
        timed = ("--pipeline", "baton.testing.pipelines:killable")
        running = start_sleeping_run(tmp_path)
        try:
            assert baton("cache", "gc", "--older-than", "30d", "--yes", *timed).stdout == ""
            refused = baton("cache", "clear", "--yes", *timed)
            assert refused.code == 2
            assert "is in progress" in refused.stderr
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        for record in (done.parent / "runs").glob("*.json"):
            # As a run in a container leaves it: outside, its process is one that never ends.
            record.write_text(record.read_text().replace(f'"process":{running.pid}', '"process":1'))
        removed = json.loads(baton("cache", "gc", "--older-than", "30d", "--yes", "--json", *DIAMOND).stdout)
        assert removed["entries"]["count"] == 4


class TestClear:
    """Everything that is remembered goes, after a question."""

    def test_asks_for_yes_where_nobody_can_answer(self, baton, done):
        ended = baton("cache", "clear", *DIAMOND)
        assert ended.code == 2
        assert "hint: confirm with --yes" in ended.stderr
        assert len(list(done.glob("objects/*/*"))) == 5

    @pytest.mark.parametrize(("answer", "left"), [("n", 5), ("y", 0)])
    def test_asks_on_a_terminal(self, baton, done, tmp_path, answer, left):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*BATON, "cache", "clear", *DIAMOND],
            cwd=tmp_path,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        _, told = process.communicate(timeout=60)
        os.close(ours)
        assert process.returncode == 0
        assert b"Delete 5 objects" in told
        assert len(list(done.glob("objects/*/*"))) == left

    def test_leaves_runs_and_what_was_published(self, baton, done, tmp_path):
        ended = baton("cache", "clear", "--yes", *DIAMOND)
        assert ended.code == 0
        assert len(list((tmp_path / ".baton/runs").glob("*.json"))) == 1
        assert (tmp_path / "published.txt").exists()
        assert set(outcomes(baton).values()) == {"succeeded"}


class TestClean:
    """What targets made is forgotten, and what they left is removed."""

    def test_makes_exactly_the_targets_tasks_run_again(self, baton, done):
        ended = baton("clean", "branches", *DIAMOND)
        assert ended.code == 0
        assert ended.stdout.splitlines() == ["deleted left (1 cached)", "deleted right (1 cached)"]
        assert outcomes(baton) == {
            "source": "cached",
            "left": "succeeded",
            "right": "succeeded",
            "join": "cached",
            "publish": "succeeded",
        }

    def test_only_shows_with_dry_run(self, baton, done):
        told = baton("clean", "--dry-run", *DIAMOND).stdout
        product, *tasks = told.splitlines()
        assert product.startswith("would delete ")
        assert product.endswith("published.txt")
        assert tasks == [f"would delete {name} (1 cached)" for name in (*PURE, "publish")]
        assert outcomes(baton)["source"] == "cached"

    def test_forgets_nothing_of_another_pipeline(self, baton, done):
        assert baton("clean", "--pipeline", "baton.testing.pipelines:positioned").stdout == ""
        assert outcomes(baton)["source"] == "cached"

    def test_names_the_nearest_target_where_there_is_none(self, baton):
        ended = baton("clean", "joinn", *DIAMOND)
        assert ended.code == 2
        assert "did you mean 'join'?" in ended.stderr

    def test_says_so_where_there_is_nothing(self, baton):
        ended = baton("clean", *DIAMOND)
        assert (ended.code, ended.stdout) == (0, "")
        assert "nothing to delete" in ended.stderr

    def test_removes_what_the_duration_pipeline_left_for_people_and_no_more(self, baton, tmp_path):
        sample = ("--source", "sample", "--num-boost-round", "2", "--max-rmse", "60")
        assert baton("run", "--cache", *sample).code == 0
        models = tmp_path / ".baton/models"
        left = [models / "deployment.json", models / "report.html", tmp_path / "run_id.txt"]
        assert all(path.is_file() for path in left)
        mine = models / "notes.txt"
        mine.write_text("mine")
        before = json.loads(baton("clean", "deploy", "--dry-run", "--json", *sample).stdout)
        assert before["products"] == [str(path) for path in left]
        assert before["entries"] == []
        ended = baton("clean", *sample)
        assert ended.code == 0
        assert not any(path.exists() for path in left)
        assert mine.exists()
        assert (tmp_path / ".baton/mlflow/mlflow.db").exists()
        assert json.loads(baton("cache", "info", "--json", *sample).stdout)["entries"]["count"] == 0

    def test_makes_the_make_engine_do_an_effect_again_and_keeps_the_trackers_records(self, baton, tmp_path):
        tracked = ("--pipeline", "baton.testing.pipelines:tracked")
        run = ("run", "--engine", "make", "--json", *tracked)
        assert baton(*run).code == 0
        done = json.loads(baton(*run).stdout)["tasks"]
        assert {task["outcome"] for task in done} == {"cached"}
        cleaned = json.loads(baton("clean", "recorded_again", "--json", *tracked).stdout)
        assert (cleaned["effects"], cleaned["products"]) == (["recorded_again"], [])
        assert (tmp_path / ".baton/mlflow/mlflow.db").exists()
        again = {task["task"]: task["outcome"] for task in json.loads(baton(*run).stdout)["tasks"]}
        assert again.pop("recorded_again") == "succeeded"
        assert set(again.values()) == {"cached"}

    def test_in_a_copy_of_a_project_leaves_the_first_ones_files_alone(self, baton, done, tmp_path):
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / ".baton", copy / ".baton")
        (copy / "published.txt").touch()
        baton("clean", *DIAMOND, folder=copy)
        assert (tmp_path / "published.txt").exists()
        baton("clean", *DIAMOND)
        assert not (tmp_path / "published.txt").exists()


def start_sleeping_run(folder: Path) -> subprocess.Popen[bytes]:
    """Start a run that is in progress until it is killed."""
    (folder / "sleepy.py").write_text(
        "import time\n"
        "from baton import Dag, Json, task\n"
        "@task\n"
        "def sleep() -> Json:\n"
        "    time.sleep(100)\n"
        "    return 1\n"
        "dag = Dag('sleepy', [sleep])\n"
    )
    known = set((folder / ".baton/runs").glob("*"))
    process = subprocess.Popen(
        [*BATON, "run", "--pipeline", "sleepy:dag"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    ends = time.monotonic() + 60
    while not set((folder / ".baton/runs").glob("*.json")) - known:
        assert time.monotonic() < ends
        time.sleep(0.05)
    return process
