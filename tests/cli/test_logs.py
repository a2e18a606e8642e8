"""`baton logs`: what tasks logged stays with the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import BATON, Command

PIPELINE = """
import time
from baton import Dag, Json, Parameters, TaskContext, task

class Chosen(Parameters, frozen=True):
    nap_s: float = 0.0

@task
def first(context: TaskContext) -> Json:
    context.log("reading http://me:hidden@example.org/a")
    context.log("two\\nlines")
    return 1

@task
def second(first: Json, nap_s: float, context: TaskContext) -> Json:
    context.log("begun")
    time.sleep(nap_s)
    return first

@task
def silent(second: Json) -> Json:
    return second

dag = Dag("told", [first, second, silent], parameters=Chosen)
"""
TOLD = ("--pipeline", "told:dag")


@pytest.fixture(autouse=True)
def pipeline(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(PIPELINE)


def lines(baton: Command, *arguments: str) -> list[tuple[str, str]]:
    shown = json.loads(baton("logs", *arguments, "--json", *TOLD).stdout)
    return [(line["task"], line["text"]) for line in shown["lines"]]


ALL = [("first", "reading http://example.org/a"), ("first", "two\nlines"), ("second", "begun")]


@pytest.mark.parametrize("engine", ["simple", "make"])
def test_they_are_shown_by_run_and_task(baton: Command, tmp_path: Path, engine: str) -> None:
    assert baton("run", "--cache", "--engine", engine, *TOLD).code == 0
    assert sorted(lines(baton)) == ALL
    assert lines(baton, "latest", "second") == [("second", "begun")]
    shown = baton("logs", *TOLD)
    assert shown.stdout.splitlines()[0].endswith("  first  reading http://example.org/a")
    (kept,) = (tmp_path / ".baton/runs").glob("*.log")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert b"hidden" not in kept.read_bytes()


def test_where_there_are_none_it_says_why(baton: Command, tmp_path: Path) -> None:
    assert "run 'latest' does not exist" in baton("logs", *TOLD).stderr
    run_id = json.loads(baton("run", "--cache", "--json", *TOLD).stdout)["run_id"]
    assert baton("logs", "latest", "silent", *TOLD).stderr == f"'silent' logged nothing in run {run_id}\n"
    again = json.loads(baton("run", "--cache", "--json", *TOLD).stdout)["run_id"]
    said = f"task 'first' did not run in run {again}, because it was cached (computed by run {run_id})\n"
    assert baton("logs", "latest", "first", *TOLD).stderr == said
    assert baton("logs", *TOLD).stderr == f"no task of run {again} logged anything\n"
    assert not (tmp_path / f".baton/runs/{again}.log").exists()
    for words, told in (
        (("yesterday",), "run 'yesterday' does not exist"),
        (("latest", "frist"), f"run {again} has no task 'frist'; did you mean 'first'?"),
        ((run_id[:-1],), f"; did you mean '{run_id}'?"),
        (("first",), "hint: name the run first: baton logs latest first"),
    ):
        ended = baton("logs", *words, *TOLD)
        assert ended.code == 2
        assert told in ended.stderr
        assert "hint: " in ended.stderr


def test_a_run_can_be_followed_and_a_killed_one_keeps_them(baton: Command, tmp_path: Path) -> None:
    shown = tmp_path / "shown.txt"
    words = [*BATON, "run", *TOLD, "--nap-s", "60"]
    running = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for("begun", tmp_path / ".baton/runs", "*.log")
        with shown.open("w") as file:
            following = subprocess.Popen([*BATON, "logs", "--follow", *TOLD], cwd=tmp_path, stdout=file)
        wait_for("second  begun", tmp_path, shown.name)
        assert following.poll() is None
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait(10)
    assert following.wait(20) == 0
    assert shown.read_text().splitlines()[0].endswith("  first  reading http://example.org/a")
    assert lines(baton) == ALL


def wait_for(text: str, folder: Path, pattern: str) -> None:
    deadline = time.monotonic() + 30
    while not any(text in path.read_text() for path in folder.glob(pattern)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("half", [b'{"at":"half a li', b'{"at":"2026", "task":"\xc3'], ids=["text", "bytes"])
def test_half_a_line_of_a_full_disk_takes_no_other_with_it(
    baton: Command, tmp_path: Path, half: bytes
) -> None:
    run_id = json.loads(baton("run", "--json", *TOLD).stdout)["run_id"]
    log = tmp_path / f".baton/runs/{run_id}.log"
    whole = log.read_bytes()
    log.write_bytes(whole + half)
    assert lines(baton) == ALL
    log.write_bytes(half + whole)
    assert lines(baton) == ALL


TRYING = """
import os
from baton import Dag, Json, TaskContext, task

@task(group="both", retries=1, retry_delay_s=0.01)
def flaky(context: TaskContext) -> Json:
    context.log("trying")
    tried = context.project / "tried"
    if not tried.exists():
        tried.touch()
        raise ConnectionError("refused")
    return 1

@task(group="both")
def odd(context: TaskContext) -> Json:
    context.log(os.fsdecode(b"caf\\xe9.csv"))
    context.log({"password": "hidden"})
    return 1

@task(over={"number": lambda: [1, 2]})
def each(number: int, context: TaskContext) -> Json:
    context.log(number)
    return number

@task
def blocking(context: TaskContext) -> Json:
    (record,) = (context.project / ".baton/runs").glob("*.json")
    record.with_suffix(".log").mkdir()
    context.log("not kept")
    return 1

dag = Dag("told", [flaky, odd, each])
blocked = Dag("blocked", [blocking])
"""


@pytest.mark.parametrize("engine", ["simple", "make"])
def test_attempts_are_told_apart_and_anything_can_be_logged(
    baton: Command, tmp_path: Path, engine: str
) -> None:
    (tmp_path / "told.py").write_text(TRYING)
    assert baton("run", "--engine", engine, *TOLD).code == 0
    shown = json.loads(baton("logs", "latest", "flaky", "--json", *TOLD).stdout)["lines"]
    assert [(line["attempt"], line["text"]) for line in shown] == [(1, "trying"), (2, "trying")]
    assert " flaky (attempt 2)  trying\n" in baton("logs", *TOLD).stdout
    assert [text for _, text in lines(baton, "latest", "odd")] == [
        "caf\\udce9.csv",
        "{'password': '(hidden)'}",
    ]
    assert sorted(lines(baton, "latest", "each")) == [("each_1", "1"), ("each_2", "2")]
    assert {name for name, _ in lines(baton, "latest", "both")} == {"flaky", "odd"}


def test_a_line_that_cannot_be_written_fails_no_task(baton: Command, tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(TRYING)
    ended = baton("run", "--pipeline", "told:blocked")
    assert ended.code == 0, ended.stderr
    assert "no task of run " in baton("logs", "--pipeline", "told:blocked").stderr
