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
    assert (
        baton("logs", "latest", "silent", *TOLD).stderr == f"task 'silent' logged nothing in run {run_id}\n"
    )
    again = json.loads(baton("run", "--cache", "--json", *TOLD).stdout)["run_id"]
    said = f"task 'first' logged nothing in run {again} (computed by run {run_id})\n"
    assert baton("logs", "latest", "first", *TOLD).stderr == said
    assert baton("logs", *TOLD).stderr == f"no task of run {again} logged anything\n"
    assert not (tmp_path / f".baton/runs/{again}.log").exists()
    for words, told in (
        (("yesterday",), "run 'yesterday' does not exist"),
        (("latest", "frist"), f"run {again} has no task 'frist'; did you mean 'first'?"),
    ):
        ended = baton("logs", *words, *TOLD)
        assert ended.code == 2
        assert told in ended.stderr
        assert "hint: " in ended.stderr


def test_a_run_can_be_followed_and_a_killed_one_keeps_them(baton: Command, tmp_path: Path) -> None:
    words = [*BATON, "run", *TOLD, "--nap-s", "60"]
    running = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        log = tmp_path / ".baton/runs"
        deadline = time.monotonic() + 30
        while not any(b"begun" in path.read_bytes() for path in log.glob("*.log")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        following = subprocess.Popen(
            [*BATON, "logs", "--follow", *TOLD], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        assert following.stdout is not None
        assert following.stdout.readline().endswith("reading http://example.org/a\n")
        assert following.poll() is None
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait(10)
    rest, _ = following.communicate(timeout=20)
    assert rest.endswith("second  begun\n")
    assert lines(baton) == ALL


def test_half_a_line_of_a_full_disk_is_passed_over(baton: Command, tmp_path: Path) -> None:
    run_id = json.loads(baton("run", "--json", *TOLD).stdout)["run_id"]
    log = tmp_path / f".baton/runs/{run_id}.log"
    log.write_bytes(log.read_bytes() + b'{"at": "half a li')
    assert lines(baton) == ALL
