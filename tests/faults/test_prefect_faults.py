"""Runs of the engine ``prefect`` that are killed, and servers of Prefect's that go away in mid-run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from baton.runs.records import read_run
from tests.conftest import free_port, stop_group, wait_until_healthy
from tests.faults.killed_runs import SLOWER, kill_runs, left_after, start
from tests.faults.test_make_faults import digests, ended, torn_objects

SIGNALS = [
    pytest.param(signal.SIGKILL, id="SIGKILL"),
    pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.long),
]
NAPS = """\
import time

from baton import Dag, Json, TaskContext, task


def nap(context, name):
    (context.project / f"{name}.began").write_text("")
    time.sleep(1)
    return name


@task
def first(context: TaskContext) -> Json:
    return nap(context, "first")


@task
def second(first: Json, context: TaskContext) -> Json:
    return nap(context, "second")


@task
def third(second: Json, context: TaskContext) -> Json:
    return nap(context, "third")


@task(effect=True)
def told(third: Json, context: TaskContext) -> None:
    context.product(context.project / "told.txt").write_text(str(third))


dag = Dag("naps", [first, second, third, told])
"""


class PrefectServer:
    """A real Prefect server that can be ended and started again at the same address, on the same records."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}/api"

    @property
    def environ(self) -> dict[str, str]:
        """Return what a client's environment says to use it."""
        return {
            "PREFECT_API_URL": self.url,
            "PREFECT_HOME": str(self._home / "client"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }

    def start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        own = {
            "PREFECT_HOME": str(self._home),
            "PREFECT_SERVER_MEMO_STORE_PATH": str(self._home / "memo_store.toml"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        with (self._home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "prefect", "server", "start"),
                    *("--host", "127.0.0.1", "--port", str(self._port)),
                ],
                cwd=self._home,
                env={**os.environ, **own},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until_healthy(f"{self.url}/health", self._process)

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to all of it; whoever does not end of it is killed."""
        if self._process is None or self._process.poll() is not None:
            return
        os.killpg(self._process.pid, number)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            stop_group(self._process)


@pytest.fixture(scope="module")
def the_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("prefect-server"))
    yield server
    server.end()


@pytest.fixture
def server(the_server: PrefectServer, environment: None) -> PrefectServer:
    """Return the one server of this module, running."""
    the_server.start()
    return the_server


@pytest.fixture
def napping(tmp_path: Path) -> Path:
    (tmp_path / "naps.py").write_text(NAPS)
    return tmp_path


def start_naps(folder: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return start(folder, "prefect", environ, pipeline="naps:dag")


def wait_for_file(path: Path, run: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert run.poll() is None, run.communicate()
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.fault(
    "kill -9 on the engine `prefect`, the command alone and its whole group",
    "no process is left; status says interrupted; the next run gives the same digests, nothing torn is taken",
)
def test_a_run_on_a_server_killed_at_any_moment(tmp_path: Path, server: PrefectServer) -> None:
    kill_runs(tmp_path, "prefect", 3, **server.environ)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.fault("kill -9 on the engine `prefect`, 20 times", "as above")
def test_a_run_on_a_server_killed_twenty_times(tmp_path: Path, server: PrefectServer) -> None:
    kill_runs(tmp_path, "prefect", 20, **server.environ)


@pytest.mark.parametrize("after_s", [6.0, pytest.param(2.0, marks=pytest.mark.long)], ids=["late", "early"])
@pytest.mark.fault(
    "kill -9 on the engine `prefect` alone, with its temporary server",
    "the server ends too; the next run gives the same digests",
)
def test_the_temporary_server_ends_with_the_run_that_was_killed(
    tmp_path: Path, server: PrefectServer, after_s: float
) -> None:
    (tmp_path / "faults.py").write_text(SLOWER)
    run = start(tmp_path, "prefect", {"PREFECT_API_URL": "", "PREFECT_HOME": ""})
    time.sleep(after_s)
    run.kill()
    run.communicate(timeout=10)
    assert run.returncode == -signal.SIGKILL
    assert left_after(10, tmp_path) == []
    own = digests(ended(start(tmp_path, "prefect", server.environ)))
    assert digests(ended(start(tmp_path, "simple", {}, "--no-cache"))) == own
    assert torn_objects(tmp_path) == []


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.fault("kill -9 on the engine `prefect` with its temporary server, 5 times", "as above")
def test_runs_with_a_temporary_server_killed_five_times(tmp_path: Path, environment: None) -> None:
    kill_runs(tmp_path, "prefect", 5, PREFECT_API_URL="", PREFECT_HOME="")


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.fault(
    "Prefect's server is ended or killed in mid-run and stays away",
    "the run ends 4 within a minute and says so; with a server again the next run takes what was done",
)
def test_a_server_that_dies_in_mid_run(napping: Path, server: PrefectServer, number: int) -> None:
    dies_in_mid_run(napping, server, number, within_s=60, PREFECT_CLIENT_MAX_RETRIES="1")


@pytest.mark.long
@pytest.mark.fault("Prefect's server is killed, and Prefect asks as often as baton lets it", "as above")
def test_a_server_that_dies_is_given_up_within_a_minute_and_a_half(
    napping: Path, server: PrefectServer
) -> None:
    dies_in_mid_run(napping, server, signal.SIGKILL, within_s=90)


def dies_in_mid_run(
    folder: Path, server: PrefectServer, number: int, within_s: float, **environ: str
) -> None:
    run = start_naps(folder, {**server.environ, **environ})
    wait_for_file(folder / "second.began", run)
    server.end(number)
    out, told = (text.decode() for text in run.communicate(timeout=within_s))
    assert run.returncode == 4, (out, told)
    assert told.startswith("error: Prefect's server failed: ")
    assert "hint: check the server" in told
    assert "Traceback" not in told
    assert left_after(5, folder) == []
    assert read_run(folder / ".baton", "latest").state == "failed"
    server.start()
    after = json.loads(ended_well(start_naps(folder, server.environ)))
    outcomes = {task["task"]: task["outcome"] for task in after["tasks"]}
    assert outcomes["first"] == outcomes["second"] == "cached"
    assert outcomes["told"] == "succeeded"
    assert torn_objects(folder) == []


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.fault(
    "Prefect's server is restarted in mid-run", "the run goes on, and succeeds; each task was computed once"
)
def test_a_server_that_is_restarted_in_mid_run(napping: Path, server: PrefectServer, number: int) -> None:
    run = start_naps(napping, server.environ)
    wait_for_file(napping / "second.began", run)
    server.end(number)
    server.start()
    tasks = json.loads(ended_well(run))["tasks"]
    assert {(task["outcome"], task["attempts"]) for task in tasks} == {("succeeded", 1)}


def ended_well(run: subprocess.Popen[bytes]) -> bytes:
    out, told = run.communicate(timeout=100)
    assert run.returncode == 0, told
    return out
