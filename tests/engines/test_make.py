"""The make engine shows everything that an engine must show, one task at a time and side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from baton import api
from baton.core.events import TaskStarted
from baton.core.outcome import Outcome
from baton.testing import EngineSuite, RecordingReporter
from tests.conftest import BATON

DIAMOND = "baton.testing.pipelines:diamond"


class TestMake(EngineSuite):
    engine = "make"
    effects_once = True


class TestMakeWithTwoJobs(EngineSuite):
    engine = "make"
    jobs = 2
    effects_once = True


def make(folder: Path, pipeline: str, *targets: str, jobs: int = 1, forced=(), **parameters):
    options = {"pipeline": f"baton.testing.pipelines:{pipeline}", **parameters}
    project = api.open_project(folder=folder, options=options, environ={})
    reporter = RecordingReporter()
    report = api.run(project, targets, engine="make", jobs=jobs, forced=forced, report=reporter)
    return report, reporter


def outcomes(report):
    return {task.task: task.outcome.value for task in report.tasks}


def test_a_second_run_has_nothing_to_do(tmp_path):
    make(tmp_path, "diamond")
    report, reporter = make(tmp_path, "diamond")
    assert set(outcomes(report).values()) == {"cached"}
    assert reporter.started == []


def test_an_effect_whose_product_is_gone_runs_again(tmp_path):
    make(tmp_path, "diamond")
    (tmp_path / "published.txt").unlink()
    report, _ = make(tmp_path, "diamond")
    assert report.of("publish").outcome is Outcome.SUCCEEDED
    assert "published.txt, which it made, is gone" in report.of("publish").reason
    assert (tmp_path / "published.txt").exists()


def test_a_forced_effect_runs_again(tmp_path):
    make(tmp_path, "diamond")
    report, _ = make(tmp_path, "diamond", forced=("publish",))
    assert outcomes(report) == {
        **dict.fromkeys(("source", "left", "right", "join"), "cached"),
        "publish": "succeeded",
    }


def test_effects_of_two_folders_that_share_a_store_are_apart(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    reports = [make(folder, "diamond", store=str(tmp_path / "store"))[0] for folder in folders]
    assert outcomes(reports[1])["join"] == "cached"
    assert all((folder / "published.txt").exists() for folder in folders)


def test_nothing_to_record_continues_the_tracking_run(tmp_path):
    first, _ = make(tmp_path, "tracked")
    second, _ = make(tmp_path, "tracked")
    assert set(outcomes(second).values()) == {"cached"}
    assert second.tracking_run_id == first.tracking_run_id != ""


def test_an_effect_that_runs_alone_adds_to_the_tracking_run_of_those_before_it(tmp_path):
    first, _ = make(tmp_path, "tracked")
    second, _ = make(tmp_path, "tracked", forced=("recorded_again",))
    assert outcomes(second)["recorded_first"] == "cached"
    assert outcomes(second)["recorded_again"] == "succeeded"
    assert second.tracking_run_id == first.tracking_run_id


def test_a_deleted_tracking_database_is_recorded_anew(tmp_path):
    first, _ = make(tmp_path, "tracked")
    for path in (tmp_path / ".baton" / "mlflow").iterdir():
        if path.is_file():
            path.unlink()
    second, _ = make(tmp_path, "tracked")
    assert outcomes(second)["recorded_first"] == "succeeded"
    assert second.tracking_run_id != first.tracking_run_id


def test_a_killed_worker_is_a_failed_attempt_and_the_next_succeeds(tmp_path):
    report, reporter = make(tmp_path, "killable", jobs=2, killed=True)
    assert report.is_good
    assert any("worker process ended" in getattr(event, "message", "") for event in reporter.events)


MEETING = """\
import time

from baton import Dag, Json, TaskContext, task


@task
def one(context: TaskContext) -> Json:
    return _meet(context.project, "one", "other")


@task
def other(context: TaskContext) -> Json:
    return _meet(context.project, "other", "one")


def _meet(folder, own, awaited):
    (folder / own).touch()
    for _ in range(400):
        if (folder / awaited).exists():
            return own
        time.sleep(0.05)
    raise TimeoutError(f"{own} was alone")


dag = Dag("meeting", [one, other])
"""


def test_independent_tasks_run_at_the_same_time(tmp_path):
    (tmp_path / "meeting.py").write_text(MEETING)
    words = ["run", "--engine", "make", "-j", "2", "--pipeline", "meeting:dag"]
    ended = subprocess.run([*BATON, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_what_goes_wrong_around_a_worker_is_a_failed_task_and_no_standstill(tmp_path):
    def broken(event):
        if isinstance(event, TaskStarted):
            raise ValueError("the screen is gone")

    options = {"pipeline": "baton.testing.pipelines:naps"}
    project = api.open_project(folder=tmp_path, options=options, environ={})
    report = api.run(project, engine="make", jobs=2, report=broken)
    failure = report.of("nap_one").failure
    assert failure is not None
    assert failure.message.endswith("ValueError: the screen is gone")


def test_two_runs_on_one_store_compute_each_key_once(tmp_path):
    command = [
        sys.executable, "-m", "baton.cli.app", "run", "--engine", "make", "--json",
        "--pipeline", "baton.testing.pipelines:naps", "--nap-s", "0.5",
    ]  # fmt: skip
    runs = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ends = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ends
    counted = [b'"outcome": "succeeded"' in out for out, _ in ends]
    total = sum(out.count(b'"outcome": "succeeded"') for out, _ in ends)
    assert total == 2, counted


def test_an_interrupt_ends_the_workers_and_leaves_a_usable_store(tmp_path):
    command = [
        sys.executable, "-m", "baton.cli.app", "run", "--engine", "make", "-j", "2",
        "--pipeline", "baton.testing.pipelines:naps", "--nap-s", "30",
    ]  # fmt: skip
    run = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not list((tmp_path / ".baton").glob("scratch/nap_*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    _, told = run.communicate(timeout=10)
    assert run.returncode == 130, told
    assert b"interrupted" in told
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)
    report, _ = make(tmp_path, "naps", jobs=2, nap_s=0.0)
    assert report.is_good


def test_events_of_parallel_tasks_are_told_one_at_a_time():
    from baton.core.events import one_at_a_time

    inside = []

    def slow(event):
        inside.append(event)
        assert len(inside) == 1
        time.sleep(0.01)
        inside.clear()

    tell = one_at_a_time(slow)
    threads = [threading.Thread(target=tell, args=(None,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


REFUSED = """
import time
from baton import Dag, Json, TaskError, task

@task(timeout_s=2)
def refused() -> Json:
    time.sleep(1)
    raise TaskError("no", "never")

dag = Dag("refused", [refused])
"""


def test_a_timeout_does_not_count_what_other_runs_take(tmp_path):
    (tmp_path / "refused.py").write_text(REFUSED)
    words = ("run", "--engine", "make", "--pipeline", "refused:dag")
    runs = [
        subprocess.Popen([*BATON, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    told = [run.communicate(timeout=60)[1] for run in runs]
    assert all("error: task 'refused' failed: no" in one for one in told), told


LOUD = """
from baton import Dag, Json, task

@task
def loud() -> Json:
    print("heard")
    return 1

dag = Dag("loud", [loud])
"""


def test_what_a_task_prints_in_a_worker_is_not_lost(tmp_path):
    (tmp_path / "loud.py").write_text(LOUD)
    words = ("run", "--engine", "make", "-j", "2", "--pipeline", "loud:dag")
    plain = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run([*BATON, *words], cwd=tmp_path, env=plain, capture_output=True, text=True)
    assert "heard\n" in ended.stderr
