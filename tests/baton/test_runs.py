"""The record of each run: kept whole, read back, and honest about what was ended from outside."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from baton.core.artifact import Artifact
from baton.core.outcome import Failure, Outcome, RunReport, TaskReport
from baton.errors import UsageError
from baton.runs import RunRecord, list_runs, read_run, write_run


@pytest.fixture
def record(make_run) -> RunRecord:
    return RunRecord.begin(make_run(), ("deploy",))


def dead_process() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_record_comes_back_as_it_was(tmp_path, record):
    write_run(tmp_path, record)
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


def test_a_run_whose_process_is_gone_was_interrupted(tmp_path, record):
    write_run(tmp_path, msgspec.structs.replace(record, process=dead_process()))
    assert read_run(tmp_path, "latest").state == "interrupted"
    write_run(tmp_path, msgspec.structs.replace(record, process=2**70))
    assert read_run(tmp_path, "latest").state == "interrupted"


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
    with pytest.raises(UsageError, match="there is no run") as raised:
        read_run(tmp_path, run_id)
    assert raised.value.hint


def test_without_any_run_there_is_no_latest(tmp_path):
    with pytest.raises(UsageError, match="there is no run 'latest'"):
        read_run(tmp_path, "latest")
    assert list_runs(tmp_path, 5) == ()
