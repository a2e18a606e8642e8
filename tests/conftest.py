"""What all tests share: real months, the real command, real servers of MLflow, Prefect and S3."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from baton.processes.server import free_port as free_port  # for all tests

BATON = (sys.executable, "-m", "baton.cli.app")
_READY_WITHIN_S = 90

# The same examples in every run: what fails here fails for whoever looks into it.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")


SLOW_FIRST = ("engines", "pipeline", "cli", "examples", "faults", "install")
"""Folders of tests whose files take minutes: begun first, so that no process works alone at the end."""

NOT_QUICK = (
    *(*SLOW_FIRST, "bad_input", "benchmarks", "cache_proof", "security", "docs/test_examples.py"),
    *("baton/runs/test_edit_matrix.py", "baton/store/test_s3.py", "baton/testing", "baton/tracking"),
    *("baton/test_stepwise.py", "tripduration/test_serving.py"),
)
"""Tests that run whole pipelines, engines or installations, or hundreds of processes."""


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow folders first, and mark what is long for an engine and what is quick for everybody."""
    items.sort(key=lambda item: not _is_in(item, *SLOW_FIRST))
    for item in items:
        if item.name in getattr(getattr(item, "cls", None), "long", ()):
            item.add_marker(pytest.mark.long)
        elif is_quick(item):
            item.add_marker(pytest.mark.quick)


def is_quick(item: pytest.Item) -> bool:
    """Return whether a test starts no server, engine or training, so that ``make quick`` runs it."""
    fixtures = getattr(item, "fixturenames", ())
    is_heavy = any(name.endswith("_server") or "real_" in name for name in fixtures)
    return not (is_heavy or item.get_closest_marker("long") or _is_in(item, *NOT_QUICK))


def _is_in(item: pytest.Item, *places: str) -> bool:
    here = Path(__file__).parent
    return any(item.path.is_relative_to(here / place) for place in places)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real months that BATON_TEST_DATA names."""
    folder = os.environ.get("BATON_TEST_DATA")
    if not folder:
        pytest.skip("BATON_TEST_DATA names no folder of real trip files")
    return Path(folder)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def facts(self) -> dict[str, str]:
        """Return what the run told on stdout, by label."""
        pairs = (line.partition(": ") for line in self.stdout.splitlines() if ": " in line)
        return {label: value for label, _, value in pairs}


Command = Callable[..., Ended]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine's environment says of baton, MLflow and AWS."""
    for name in list(os.environ):
        if name.startswith(("BATON_", "MLFLOW_", "AWS_")) and name != "BATON_TEST_DATA":
            monkeypatch.delenv(name)


@pytest.fixture
def baton(tmp_path: Path, environment: None) -> Command:
    """Return a function that runs the real command in a folder of its own."""

    def run(*arguments: object, folder: Path = tmp_path, **environ: str) -> Ended:
        ended = subprocess.run(
            [*BATON, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads its own group, and everything that it started."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
        except ProcessLookupError:
            break
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue
    process.wait(10)


@contextmanager
def in_a_group(
    words: Sequence[str], *, folder: Path, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program as the leader of a group, all of which ends with the context; its words go to a log."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environ,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            stop_group(process)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a real MLflow server on 127.0.0.1 and yield its address."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    words = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environ = {**os.environ, **quiet}
    with in_a_group(words, folder=folder, log=folder / "server.log", environ=environ) as process:
        wait_until_healthy(f"{address}/health", process)
        yield address


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a real Prefect server on 127.0.0.1 and yield the address of its API."""
    with serving_prefect(Path(sys.executable), tmp_path_factory.mktemp("prefect-server")) as address:
        yield address


@contextmanager
def serving_prefect(python: Path, home: Path) -> Iterator[str]:
    """Serve the Prefect of an environment, given by its Python, and yield the address of its API."""
    port = free_port()
    words = [str(python), "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environ = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_MEMO_STORE_PATH": str(home / "memo_store.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    with in_a_group(words, folder=home, log=home / "server.log", environ=environ) as process:
        wait_until_healthy(f"http://127.0.0.1:{port}/api/health", process)
        yield f"http://127.0.0.1:{port}/api"


@dataclass(frozen=True)
class S3Server:
    """A real S3 server on 127.0.0.1, and what a client's environment says to use it."""

    address: str
    log: Path

    @property
    def environ(self) -> dict[str, str]:
        """Return the variables that lead to the server."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "hush-hush",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        httpx.put(f"{self.address}/{name}").raise_for_status()

    def requests(self) -> list[str]:
        """Return all requests so far, such as ``"GET /bucket/key"``."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [" ".join(line.split('"')[1].split()[:2]) for line in lines if " HTTP/1.1" in line]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Start a real S3 server on 127.0.0.1 and yield it."""
    port = free_port()
    folder = tmp_path_factory.mktemp("s3-server")
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with in_a_group(words, folder=folder, log=folder / "server.log") as process:
        wait_until_healthy(f"http://127.0.0.1:{port}/", process)
        yield S3Server(f"http://127.0.0.1:{port}", folder / "server.log")


_buckets = itertools.count()


@pytest.fixture
def s3_bucket(s3_server: S3Server, environment: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of an empty bucket; this process and its children are led to its server."""
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{next(_buckets)}"
    s3_server.make_bucket(bucket)
    return bucket


def wait_until_healthy(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server that was just started answers."""
    ends = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            pytest.fail(f"the server for {address} ended with code {process.returncode}")
        try:
            if httpx.get(address, timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    pytest.fail(f"no answer from {address} within {_READY_WITHIN_S} s")
