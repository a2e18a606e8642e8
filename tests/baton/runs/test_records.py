"""The record of each run: kept whole, read back, and honest about what was ended from outside."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from baton.core import liveness
from baton.core.artifact import Artifact
from baton.core.outcome import Failure, Outcome, RunReport, TaskReport
from baton.errors import Unavailable, UsageError
from baton.runs import records as runs
from baton.runs.records import RunRecord, list_runs, read_run, running, write_run
from baton.runs.started_from import StartedFrom


@pytest.fixture
def record(make_run) -> RunRecord:
    return RunRecord.begin(make_run(), ("deploy",), StartedFrom())


def state(home: Path) -> str:
    return read_run(home, "latest").state


def test_a_record_comes_back_as_it_was(tmp_path, record):
    with running(tmp_path, record):
        assert read_run(tmp_path, record.run_id) == record
    assert (record.state, record.process, record.targets, record.parameters) == (
        "running",
        os.getpid(),
        ("deploy",),
        {"factor": 2, "share": 0.5, "word": "one"},
    )


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Outcome.SUCCEEDED, "succeeded"), (Outcome.SKIPPED, "succeeded"), (Outcome.FAILED, "failed")],
)
def test_the_end_is_recorded_with_every_task(tmp_path, record, outcome, state):
    made = {"x": Artifact("x", "json", "ab" * 32, 1)}
    failure = Failure("why", "what to do", "trace")
    tasks = (
        TaskReport("first", Outcome.CACHED, made, "known", 0.5, (("RMSE", "6.6"),)),
        TaskReport("second", outcome, failure=failure, attempts=2),
    )
    write_run(tmp_path, record.ended(RunReport(record.run_id, tasks, 2.5, "tracked")))
    found = read_run(tmp_path, "latest")
    assert (found.state, found.duration_s, found.tracking_run_id, found.facts) == (
        state,
        2.5,
        "tracked",
        [("RMSE", "6.6")],
    )
    first, second = found.tasks
    assert first.outputs["x"]["digest"] == "ab" * 32
    assert (second.outcome, second.attempts, second.message, second.hint, second.traceback) == (
        outcome.value,
        2,
        "why",
        "what to do",
        "trace",
    )


@pytest.mark.parametrize("process", [1, os.getpid(), 2**70], ids=["first", "own", "none"])
def test_a_run_that_holds_nothing_was_interrupted_whatever_its_process_is_called(tmp_path, record, process):
    """The first process of a container has the number 1, which is always alive outside."""
    write_run(tmp_path, msgspec.structs.replace(record, process=process))
    assert state(tmp_path) == "interrupted"


def test_a_run_is_in_progress_until_its_end(tmp_path, record):
    with running(tmp_path, record):
        assert state(tmp_path) == "running"
        write_run(tmp_path, record.ended(RunReport(record.run_id, (), 1.0)))
        assert state(tmp_path) == "succeeded"
    assert [path.suffix for path in (tmp_path / "runs").iterdir()] == [".json"]


def test_a_run_that_was_killed_is_over_though_what_it_forked_lives_on(tmp_path, record):
    script = (
        "import os, pickle, sys, time; from pathlib import Path; from baton.runs.records import running\n"
        "with running(Path(sys.argv[1]), pickle.loads(sys.stdin.buffer.read())):\n"
        "    child = os.fork()\n"
        "    print(os.getpid(), flush=True) if not child else None\n"
        "    time.sleep(60)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as killed:
        killed.stdin.write(pickle.dumps(record))
        killed.stdin.close()
        child = int(killed.stdout.readline())
        try:
            assert state(tmp_path) == "running"
            killed.kill()
            killed.wait()
            assert state(tmp_path) == "interrupted"
        finally:
            os.kill(child, signal.SIGKILL)
    with running(tmp_path, msgspec.structs.replace(record, run_id="20270101-000000-abcd")):
        assert [path.stem for path in (tmp_path / "runs").glob("*.lock")] == ["20270101-000000-abcd"]


def test_a_run_of_another_machine_is_in_progress_as_long_as_it_gives_signs_of_life(tmp_path, record):
    """Its lock may not be seen from here: network drives may keep locks to each machine."""
    write_run(tmp_path, record)
    held = tmp_path / "runs" / f"{record.run_id}.lock"
    held.write_text("another kernel's id")
    assert state(tmp_path) == "running"
    os.utime(held, (time.time() - 400,) * 2)
    assert state(tmp_path) == "interrupted"


def test_signs_of_life_keep_coming(tmp_path, record, monkeypatch):
    monkeypatch.setattr(liveness, "TOUCHED_EVERY_S", 0.01)
    with running(tmp_path, record):
        (held,) = (tmp_path / "runs").glob("*.lock")
        os.utime(held, (0, 0))
        ends = time.monotonic() + 10
        while held.stat().st_mtime == 0:
            assert time.monotonic() < ends
            time.sleep(0.01)


def test_without_locks_signs_of_life_have_to_do(tmp_path, record, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(liveness.fcntl, "flock", refuse)
    with running(tmp_path, record):
        (held,) = (tmp_path / "runs").glob("*.lock")
        assert state(tmp_path) == "running"
        os.utime(held, (0, 0))
        assert state(tmp_path) == "interrupted"


def test_a_run_that_ends_while_somebody_asks_is_not_called_interrupted(tmp_path, record, monkeypatch):
    def ends_now(held):
        write_run(tmp_path, record.ended(RunReport(record.run_id, (), 1.0)))
        return False

    write_run(tmp_path, record)
    monkeypatch.setattr(runs, "is_at_work", ends_now)
    assert state(tmp_path) == "succeeded"


def test_a_folder_that_cannot_be_written_is_told(tmp_path, record):
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(Unavailable, match="cannot be written") as raised, running(tmp_path, record):
        pass
    assert "--home" in raised.value.hint


def test_runs_come_newest_first_without_those_that_cannot_be_read(tmp_path, record):
    for day in ("01", "02", "03"):
        write_run(tmp_path, msgspec.structs.replace(record, run_id=f"202601{day}-000000-abcd"))
    (tmp_path / "runs" / "20260104-000000-abcd.json").write_text("{torn")
    assert [found.run_id[6:8] for found in list_runs(tmp_path, 2)] == ["03", "02"]
    assert read_run(tmp_path, "latest").run_id == "20260103-000000-abcd"
    assert list_runs(tmp_path, 0) == ()


@pytest.mark.parametrize("run_id", ["20260101-000000-abce", "../secret", "", "latest "])
def test_an_unknown_run_is_told(tmp_path, record, run_id):
    write_run(tmp_path, record)
    with pytest.raises(UsageError, match=r"run '.*' does not exist") as raised:
        read_run(tmp_path, run_id)
    assert raised.value.hint


def test_without_any_run_there_is_no_latest(tmp_path):
    with pytest.raises(UsageError, match="run 'latest' does not exist"):
        read_run(tmp_path, "latest")
    assert list_runs(tmp_path, 5) == ()
