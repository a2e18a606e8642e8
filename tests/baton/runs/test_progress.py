"""A run's record shows its tasks as they go, also on machines that share the store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from baton.core.events import RunKnownAs, TaskFinished, TaskLogged, TaskStarted
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.errors import StoreError
from baton.runs import shared
from baton.runs.progress import Progress
from baton.runs.records import RunRecord, read_run, running
from baton.runs.shared import SharedPart, shared_ids, shared_lines, shared_records
from baton.runs.started_from import StartedFrom
from baton.store.objects import ObjectStore
from tests.conftest import BATON, Command

PIPELINE = """
import time
from pathlib import Path

from baton import Dag, Json, Parameters, TaskContext, task


class Chosen(Parameters):
    api_token: str = "nobody-may-see-this"


@task
def quick(context: TaskContext) -> Json:
    context.log("quick is quick, password='hunter2'")
    return 1


@task
def slow(quick: Json, api_token: str, context: TaskContext) -> Json:
    context.log("slow begins")
    Path("begun").touch()
    while not Path("go").exists():
        time.sleep(0.05)
    return 2


dag = Dag("steps", [quick, slow], parameters=Chosen)
"""


def wait_until(holds: Callable[[], object]) -> None:
    for _ in range(400):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "steps.py").write_text(PIPELINE)
    (folder / "orchestration_config.json").write_text('{"baton": {"pipeline": "steps:dag"}}')
    return folder


def started(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a run that waits in its second task, and return its process."""
    process = subprocess.Popen(
        [*BATON, "run", *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    wait_until((folder / "begun").exists)
    return process


def outcomes(record: dict[str, object]) -> dict[str, str]:
    return {task["task"]: task["outcome"] for task in record["tasks"]}  # type: ignore[attr-defined]


def shown(baton: Command, folder: Path, run: str = "latest", *words: str) -> dict[str, object]:
    ended = baton("status", "--run", run, "--json", *words, folder=folder)
    assert ended.code == 0, ended.stderr
    found: dict[str, object] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize("engine", ["simple", "make"])
def test_the_tasks_of_a_running_and_of_a_killed_run_are_shown(
    folder: Path, baton: Command, engine: str
) -> None:
    process = started(folder, "--engine", engine)
    wait_until(lambda: outcomes(shown(baton, folder)) == {"quick": "succeeded", "slow": "running"})
    record = shown(baton, folder)
    assert record["state"] == "running"
    assert all(task["started_at"] for task in record["tasks"])  # type: ignore[attr-defined]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    record = shown(baton, folder)
    assert record["state"] == "interrupted"
    assert outcomes(record) == {"quick": "succeeded", "slow": "interrupted"}


@pytest.mark.parametrize("engine", ["simple", "make"])
def test_a_machine_with_the_store_alone_sees_a_run_as_it_goes(
    folder: Path, tmp_path: Path, baton: Command, engine: str
) -> None:
    store = str(tmp_path / "shared")
    other = tmp_path / "there"
    other.mkdir()
    for name in ("steps.py", "orchestration_config.json"):
        (other / name).write_text((folder / name).read_text())
    process = started(folder, "--engine", engine, "--store", store)
    wait_until(lambda: json.loads(baton("status", "--json", "--store", store, folder=other).stdout))
    wait_until(
        lambda: (
            outcomes(shown(baton, other, "latest", "--store", store))
            == {"quick": "succeeded", "slow": "running"}
        )
    )
    (folder / "go").touch()
    assert process.wait() == 0
    record = shown(baton, other, "latest", "--store", store)
    assert record["state"] == "succeeded"
    assert outcomes(record) == {"quick": "succeeded", "slow": "succeeded"}
    lines = baton("logs", "--store", store, folder=other).stdout
    assert "quick is quick" in lines
    assert "slow begins" in lines
    assert shown(baton, folder)["run_id"] == record["run_id"]
    assert not (other / ".baton" / "runs").exists()
    everything = b"".join(path.read_bytes() for path in (tmp_path / "shared" / "runs").rglob("*.*"))
    assert b"nobody-may-see-this" not in everything
    assert b"hunter2" not in everything


def test_a_store_in_the_project_s_own_folder_holds_no_second_record(folder: Path, baton: Command) -> None:
    (folder / "go").touch()
    assert baton("run", folder=folder).code == 0
    assert not (folder / ".baton" / "store" / "runs").exists()


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "store"), tmp_path / "mirror")


@pytest.fixture
def record(make_run) -> RunRecord:  # type: ignore[no-untyped-def]
    return RunRecord.begin(make_run(), ("deploy",), StartedFrom())


def one_of(objects: ObjectStore, run_id: str) -> RunRecord:
    return shared_records(objects, [run_id])[run_id]


def test_steps_in_processes_of_their_own_are_joined(objects: ObjectStore, record: RunRecord) -> None:
    for name, outcome in (("extract", Outcome.SUCCEEDED), ("train", Outcome.FAILED)):
        failure = Failure("no", "yes") if outcome is Outcome.FAILED else None
        with Progress(record, None, SharedPart(objects, record.run_id, name)) as progress:
            emit = progress.following(lambda _event: None)
            emit(RunKnownAs("airflow", "dag/manual"))
            emit(TaskStarted(name, "first time"))
            emit(TaskLogged(name, f"{name} works"))
            emit(TaskFinished(TaskReport(name, outcome, duration_s=1.5, failure=failure)))
    found = one_of(objects, record.run_id)
    assert [(task.task, task.outcome, task.duration_s) for task in found.tasks] == [
        ("extract", "succeeded", 1.5),
        ("train", "failed", 1.5),
    ]
    assert found.state == "running"
    assert found.known_as == {"airflow": "dag/manual"}
    assert [line.text for line in shared_lines(objects, record.run_id, set())] == [
        "extract works",
        "train works",
    ]
    SharedPart(objects, record.run_id).write(msgspec.structs.replace(record, state="failed"))
    assert one_of(objects, record.run_id).state == "failed"


def test_a_run_of_a_machine_that_is_gone_is_interrupted(
    objects: ObjectStore, record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Progress(record, None, SharedPart(objects, record.run_id)) as progress:
        progress.following(lambda _event: None)(TaskStarted("train", ""))
    assert one_of(objects, record.run_id).state == "running"
    later = time.time() + 301
    monkeypatch.setattr(shared.time, "time", lambda: later)
    found = one_of(objects, record.run_id)
    assert (found.state, found.tasks[0].outcome) == ("interrupted", "interrupted")


def test_no_run_fails_because_its_record_cannot_be_shared(tmp_path: Path, record: RunRecord) -> None:
    class Away(SharedPart):
        def write(self, *_: object) -> None:
            raise StoreError("the store is away")

    with (
        running(tmp_path, record),
        Progress(record, tmp_path, Away(None, record.run_id)) as progress,  # type: ignore[arg-type]
    ):
        progress.following(lambda _event: None)(TaskStarted("train", "first time"))
        wait_until(lambda: read_run(tmp_path, record.run_id).tasks)
        progress.end(progress.record)


def test_what_is_no_record_is_left_out(objects: ObjectStore, record: RunRecord) -> None:
    objects.write_text("runs/20210101-000000-aaaa/run.json", "{")
    objects.write_text("runs/20210101-000000-bbbb/run-000001.log", "nothing")
    objects.write_text("runs/stray.json", "{}")
    SharedPart(objects, record.run_id).write(record)
    assert record.run_id in shared_ids(objects)
    assert list(shared_records(objects, shared_ids(objects))) == [record.run_id]
    assert shared_lines(objects, "20210101-000000-bbbb", set()) == []


def test_a_run_is_found_by_its_names_elsewhere(folder: Path, tmp_path: Path, baton: Command) -> None:
    (folder / "go").touch()
    store = tmp_path / "shared"
    assert baton("run", "--store", store, folder=folder).code == 0
    run_id = str(shown(baton, folder)["run_id"])
    objects = ObjectStore(str(store), tmp_path / "mirror")
    found = one_of(objects, run_id)
    elsewhere = {"airflow": "nightly/manual__2026", "prefect": "0b5c-11"}
    SharedPart(objects, run_id).write(
        msgspec.structs.replace(found, known_as=elsewhere, tracking_run_id="abc123")
    )
    (tmp_path / "there").mkdir()
    words = ("--pipeline", "steps:dag", "--store", store)
    other = tmp_path / "there"
    (other / "steps.py").write_text(PIPELINE)
    for name in ("abc123", "nightly/manual__2026", "manual__2026", "0b5c-11"):
        assert shown(baton, other, name, *words)["run_id"] == run_id  # type: ignore[arg-type]
    assert "slow begins" in baton("logs", "0b5c-11", "slow", *words, folder=other).stdout
    missing = baton("status", "--run", "nowhere", *words, folder=other)
    assert missing.code == 2
    assert "run 'nowhere' does not exist" in missing.stderr
    nobody = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
    }
    gone = ("--pipeline", "steps:dag", "--store", "s3://nowhere-at-all/x")
    away = baton("status", *gone, folder=folder, **nobody)
    assert away.code == 0
    assert "runs of other machines are not shown" in away.stderr
    assert run_id in away.stdout


def test_old_shared_records_are_garbage_and_others_are_not(
    folder: Path, tmp_path: Path, baton: Command
) -> None:
    (folder / "go").touch()
    store = tmp_path / "shared"
    for _ in range(2):
        assert baton("run", "--store", store, folder=folder).code == 0
    runs = sorted((store / "runs").iterdir())
    for path in runs[0].iterdir():
        os.utime(path, (1, 1))
    cleaned = baton("cache", "gc", "--older-than", "30d", "--yes", "--store", store, "--json", folder=folder)
    assert cleaned.code == 0, cleaned.stderr
    assert [len(list(run.iterdir())) > 0 for run in runs if run.exists()][-1]
    assert not runs[0].exists() or not list(runs[0].iterdir())
    assert baton("cache", "clear", "--yes", "--store", store, folder=folder).code == 0
    assert list(runs[1].iterdir())
