"""Faults of the machine: whatever happens, the next run is right."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import BATON, Command, Ended, free_port, stop_group, wait_until_healthy
from tests.faults.killed_runs import kill_runs
from tests.faults.test_make_faults import PIPELINE, digests, ended, torn_objects

FAULTS = ("--pipeline", "faults:dag")


@pytest.fixture
def folder(tmp_path: Path, environment: None) -> Path:
    (tmp_path / "faults.py").write_text(PIPELINE)
    return tmp_path


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*BATON, "run", *FAULTS, "--json", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@pytest.fixture
def mounted() -> Iterator[Callable[..., None]]:
    """Return a function that mounts; what it mounted is gone afterwards."""
    places: list[Path] = []

    def mount(*arguments: object, place: Path) -> None:
        done = subprocess.run(["mount", *map(str, arguments), str(place)], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"this user may not mount: {done.stderr.strip()}")
        if place not in places:
            places.append(place)

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.fault(
    "kill -9 on the simple engine", "the next run gives the same digests; nothing torn is taken"
)
def test_the_simple_engine_killed_at_any_moment(tmp_path: Path) -> None:
    kill_runs(tmp_path, "simple", 5)


@pytest.mark.long
@pytest.mark.fault("kill -9 on the simple engine, 50 times", "as above")
def test_the_simple_engine_killed_fifty_times(tmp_path: Path) -> None:
    kill_runs(tmp_path, "simple", 50)


@pytest.mark.parametrize("engine", ["simple", "make"])
@pytest.mark.fault(
    "the store's disk is full", "the run ends 1 and says so; with space again it goes on, nothing torn"
)
def test_a_full_store(folder: Path, mounted: Callable[..., None], baton: Command, engine: str) -> None:
    store = folder / "small"
    store.mkdir()
    mounted("-t", "tmpfs", "-o", "size=2m", "tmpfs", place=store)
    full = baton("run", *FAULTS, "--engine", engine, "--store", "small")
    assert full.code == 1, full
    assert "No space left on device" in full.stderr
    assert "hint: " in full.stderr
    assert "Traceback" not in full.stderr
    mounted("-o", "remount,size=40m", "tmpfs", place=store)
    after = baton("run", *FAULTS, "--engine", engine, "--store", "small", "--cache")
    assert after.code == 0, after.stderr
    objects = list(store.glob("objects/??/*"))
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in objects)
    assert list(store.glob("tmp/*")) == []


@pytest.mark.fault("the project's disk is full", "every command ends with its code and one sentence")
def test_a_full_home(folder: Path, mounted: Callable[..., None], baton: Command) -> None:
    home = folder / ".baton"
    home.mkdir()
    mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", place=home)
    (home / "fill").write_bytes(b"x" * 4096)
    with (home / "fill").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    for command in (["run", *FAULTS], ["run", *FAULTS, "--engine", "make"]):
        full = baton(*command)
        assert full.code in (1, 4), full
        assert "No space left on device" in full.stderr
        assert "bug in baton" not in full.stderr
        assert "Traceback" not in full.stderr
    (home / "fill").unlink()
    assert baton("status", *FAULTS).code == 0


@pytest.mark.fault("the store is mounted read-only", "a run ends 4 before it computes; plan still reads it")
def test_a_read_only_store(folder: Path, mounted: Callable[..., None], baton: Command) -> None:
    store = folder / "store"
    assert baton("run", *FAULTS, "--store", "store").code == 0
    mounted("--bind", store, place=store)
    mounted("-o", "remount,ro,bind", place=store)
    refused = baton("run", *FAULTS, "--store", "store", "--cache")
    assert refused.code == 4, refused
    assert "Read-only file system" in refused.stderr
    planned = baton("plan", *FAULTS, "--store", "store", "--json")
    assert [row["would_run"] for row in json.loads(planned.stdout)][:4] == [False] * 4


def objects_of(folder: Path) -> list[Path]:
    return sorted((folder / ".baton" / "store" / "objects").glob("??/*"))


def put_in(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "swapped": lambda folder: swap(*objects_of(folder)[:2]),
    "flipped": lambda folder: [put_in(p, b"\0" + p.read_bytes()[1:]) for p in objects_of(folder)],
    "cut": lambda folder: [put_in(p, p.read_bytes()[:-1]) for p in objects_of(folder)],
    "empty": lambda folder: [put_in(p, b"") for p in objects_of(folder)],
    "links that lead nowhere": lambda folder: [
        (p.unlink(), p.symlink_to("gone")) for p in objects_of(folder)
    ],
    "gone": lambda folder: shutil.rmtree(folder / ".baton" / "store" / "objects"),
}


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    put_in(one, second)
    put_in(other, first)


@pytest.mark.parametrize("engine", ["simple", "make"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.fault(
    "objects swapped, flipped, cut, emptied, replaced or gone",
    "what is needed is made again, with the same digests",
)
def test_damaged_objects_are_made_again(folder: Path, baton: Command, damage: str, engine: str) -> None:
    expected = digests(ended(start(folder)))
    DAMAGES[damage](folder)
    forced = ("--force", "both") if engine == "make" else ("--force", "both", "--cache")
    assert digests(ended(start(folder, "--engine", engine, *forced))) == expected


@pytest.mark.fault(
    "torn, emptied or foreign index entries and run records",
    "they count as not there: computed again, listed without",
)
@pytest.mark.parametrize("content", [b"", b'{"version": 2', b"\xff\xfe", b"[" * 100_000, b"null", b"{}"])
def test_torn_records_count_as_not_there(folder: Path, baton: Command, content: bytes) -> None:
    expected = digests(ended(start(folder, "--engine", "make")))
    for record in (folder / ".baton").rglob("*.json"):
        record.write_bytes(content)
    assert baton("status", *FAULTS).code == 0
    assert baton("plan", *FAULTS).code == 0
    assert baton("explain", "both", *FAULTS).code == 0
    assert digests(ended(start(folder, "--engine", "make"))) == expected


@pytest.mark.parametrize("years", [-40, 40])
@pytest.mark.fault(
    "a clock that jumped 40 years", "what is remembered is used: only digests count, never times"
)
def test_a_clock_that_jumped(folder: Path, baton: Command, years: int) -> None:
    ended(start(folder, "--engine", "make"))
    then = time.time() + years * 365 * 86400
    for path in [*(folder / ".baton").rglob("*"), folder / "faults.py"]:
        if path.is_file() and path.parent.parent.name == "index":
            entry = json.loads(path.read_text())
            path.write_text(json.dumps({**entry, "finished_at": f"{2026 + years}-01-01T00:00:00+00:00"}))
        os.utime(path, (then, then))
    outcomes = {task["outcome"] for task in ended(start(folder, "--engine", "make")).values()}
    assert outcomes == {"cached"}
    assert baton("cache", "verify", *FAULTS).code == 0


@pytest.mark.fault("eight runs at once on one store", "each key is computed once; all give the same digests")
def test_eight_runs_at_once_compute_each_key_once(folder: Path) -> None:
    ends = [ended(run) for run in [start(folder, "--engine", "make") for _ in range(8)]]
    for name in ("one", "two", "both", "size"):
        outcomes = sorted(str(tasks[name]["outcome"]) for tasks in ends)
        assert outcomes == ["cached"] * 7 + ["succeeded"], (name, outcomes)
    assert len({json.dumps(digests(tasks), sort_keys=True) for tasks in ends}) == 1
    assert torn_objects(folder) == []


SLEEPY = """\
import os, time
from baton import Dag, Json, TaskContext, task

def nap(context):
    (context.project / f"asleep-{os.getpid()}").touch()
    time.sleep(60)
    return 1

@task
def one(context: TaskContext) -> Json: return nap(context)

@task
def two(context: TaskContext) -> Json: return nap(context)

dag = Dag("sleepy", [one, two])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.fault(
    "SIGINT or SIGTERM to a run with workers", "it ends 130 or 143 within seconds, and no worker is left"
)
def test_a_signal_ends_the_workers_too(tmp_path: Path, environment: None, number: int, code: int) -> None:
    (tmp_path / "sleepy.py").write_text(SLEEPY)
    run = subprocess.Popen(
        [*BATON, "run", "--pipeline", "sleepy:dag", "--engine", "make", "-j", "2"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(list(tmp_path.glob("asleep-*"))) < 2:
        assert run.poll() is None
        time.sleep(0.02)
    children = psutil.Process(run.pid).children(recursive=True)
    assert len(children) == 2
    run.send_signal(number)
    _, told = run.communicate(timeout=20)
    assert run.returncode == code
    assert "Traceback" not in told
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def serve_mlflow(folder: Path, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ],
        cwd=folder,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until_healthy(f"http://127.0.0.1:{port}/health", process)
    return process


@pytest.mark.long
@pytest.mark.fault(
    "MLflow's server dies between create run and log model",
    "the run ends 1 or 4 and says so; the next one registers the model, and there is one champion",
)
def test_an_mlflow_server_that_dies_in_mid_run(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, baton: Command
) -> None:
    place, port = tmp_path_factory.mktemp("server"), free_port()
    address = f"http://127.0.0.1:{port}"
    words = ["run", "--source", "sample", "--tracking-uri", address, "--max-rmse", "60"]
    words += ["--num-boost-round", "3", "--max-depth", "4", "--cache"]
    server = serve_mlflow(place, port)
    try:
        run = subprocess.Popen([*BATON, *words, "-v"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        while not runs_at(address):  # the run is made, and its model is logged last
            assert run.poll() is None
            time.sleep(0.05)
    finally:
        stop_group(server)
    _, told = run.communicate(timeout=240)
    assert run.returncode in (1, 4), told
    assert "failed: MLflow at" in told
    assert "Traceback" not in told
    server = serve_mlflow(place, port)
    try:
        after = baton(*words)
        assert after.code == 0, after.stderr
        assert after.facts["Model"] == "nyc-taxi-duration version 1 is the champion"
        versions = httpx.get(f"{address}/api/2.0/mlflow/model-versions/search").json()["model_versions"]
        assert [version["version"] for version in versions] == ["1"]
        statuses = sorted(run["info"]["status"] for run in runs_at(address))
        assert statuses.count("FINISHED") == 1
    finally:
        stop_group(server)


def runs_at(address: str) -> list[dict]:
    api = f"{address}/api/2.0/mlflow"
    found = httpx.post(f"{api}/experiments/search", json={"max_results": 10}).json().get("experiments", [])
    ids = [experiment["experiment_id"] for experiment in found]
    return (
        httpx.post(f"{api}/runs/search", json={"experiment_ids": ids}).json().get("runs", []) if ids else []
    )


@pytest.mark.fault(
    "kill -9 while MLflow's local store is written", "the next run records anew; there is one champion"
)
def test_a_run_that_was_killed_while_it_recorded_leaves_no_second_champion(
    tmp_path: Path, baton: Command
) -> None:
    words = [
        *BATON,
        "run",
        "-v",
        "--source",
        "sample",
        "--max-rmse",
        "60",
        "--num-boost-round",
        "3",
        "--cache",
    ]
    run = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert run.stderr is not None
    for line in run.stderr:
        if line.startswith("track ") and "started" in line:
            break
    time.sleep(1.5)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    run.stderr.close()
    after: Ended = baton(*words[len(BATON) :])
    assert after.code == 0, after.stderr
    assert after.facts["Model"] == "nyc-taxi-duration version 1 is the champion"
