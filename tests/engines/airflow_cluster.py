"""An Airflow as on several machines: PostgreSQL, Redis, a scheduler and Celery workers, all on 127.0.0.1.

Each machine is a folder of its own: ``AIRFLOW_HOME`` with the DAG files, the project's folder, and
the folder of temporary files.  Machines share no folder; what they share, they are told by address.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from baton.engines.airflow.environment import environment
from tests.conftest import free_port

HOST = "127.0.0.1"
_READY_WITHIN_S = 120
_PASSWORDS = "simple_auth_manager_passwords.json.generated"  # the name of Airflow's file


def missing_servers() -> list[str]:
    """Return the distribution's packages that are wanted and not installed."""
    found = {"postgresql": _postgres_program("postgres"), "redis-server": shutil.which("redis-server")}
    return [package for package, program in found.items() if program is None]


def _postgres_program(name: str) -> str | None:
    """Return a program of PostgreSQL's server, which Debian keeps off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: path.parts[4])
    return str(versions[-1]) if versions else shutil.which(name)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Start a PostgreSQL of our own, and yield the address of its database."""
    server = "postgres" if _has_user("postgres") else "nobody"
    # It refuses to run as root, and another user does not see into pytest's folders.
    user = server if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="baton-pg-", dir="/tmp"))
    if user:
        shutil.chown(folder, user)
    port = free_port()
    log = (folder / "server.log").open("wb")
    asked = {"cwd": folder, "user": user, "stdout": log, "stderr": subprocess.STDOUT}
    made = [_postgres_program("initdb"), "-D", folder / "data", "-U", "airflow", "-A", "trust", "--no-sync"]
    process = None
    try:
        subprocess.run([str(one) for one in made], check=True, **asked)
        options = ["-D", str(folder / "data"), "-k", str(folder), "-h", HOST, "-p", str(port), "-F"]
        process = subprocess.Popen([_postgres_program("postgres"), *options], start_new_session=True, **asked)
        wait_for_port(port, process)
        yield f"airflow@{HOST}:{port}/postgres"
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # end at once, also with open connections
            process.wait(20)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _has_user(name: str) -> bool:
    return any(one.pw_name == name for one in pwd.getpwall())


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Start a Redis that keeps nothing, and yield its address."""
    port = free_port()
    options = ["--bind", HOST, "--port", str(port), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(
        ["redis-server", *options], cwd="/tmp", stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_for_port(port, process)
        yield f"redis://{HOST}:{port}/0"
    finally:
        end_session(process)


@dataclass
class Machine:
    """What would be a machine of its own.

    Parameters
    ----------
    name : str
        What Airflow calls the machine.
    folder : Path
        Everything that it has.
    variables : mapping of str to str
        What its processes are told of the others.
    processes : list of Popen
        What runs on it; each leads a session.
    """

    name: str
    folder: Path
    variables: Mapping[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """Its ``AIRFLOW_HOME``."""
        return self.folder / "airflow"

    @property
    def project(self) -> Path:
        """Its copy of the project's folder."""
        return self.folder / "project"

    @classmethod
    def make(
        cls, name: str, folder: Path, dags: str, variables: Mapping[str, str], settings: Mapping[str, str]
    ) -> Machine:
        """Make the folders of a machine, with the file of DAGs that names its project's folder."""
        machine = cls(name, folder, {})
        for one in (machine.home / "dags", machine.project, folder / "tmp", folder / "own"):
            one.mkdir(parents=True)
        (machine.home / "dags" / "trips.py").write_text(dags.format(folder=str(machine.project)))
        # On one machine all have the same name for Airflow, unless this gives them another.
        (folder / "own" / "machine.py").write_text(f"def name():\n    return {name!r}\n")
        settings = {**settings, "CORE__HOSTNAME_CALLABLE": "machine.name"}
        told = {"PYTHONPATH": str(folder / "own"), "TMPDIR": str(folder / "tmp"), "HOME": str(folder)}
        machine.variables = environment(machine.home, {**variables, **told}, settings)
        return machine

    def airflow(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Airflow to its end."""
        command = [sys.executable, "-m", "airflow", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, timeout=120
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of Airflow that goes on until it is ended."""
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *arguments],
                cwd=self.folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start_worker(self) -> None:
        """Start a Celery worker that runs one task at a time."""
        self.start("celery", "worker", "--concurrency", "1", "--skip-serve-logs", "-H", self.name)

    def kill(self) -> None:
        """End everything on the machine at once, as a power cut does."""
        for process in self.processes:
            kill_session(process)
        self.processes.clear()

    def log(self) -> str:
        """Return what its processes wrote last."""
        return "\n".join(f"{path.name}: {path.read_text()[-3000:]}" for path in self.folder.glob("*.log"))


@dataclass(frozen=True)
class Cluster:
    """An Airflow that is ready.

    Parameters
    ----------
    address, username, password : str
        Its API and the login.
    head : Machine
        Where the API server, the scheduler and the DAG processor run.
    workers : dict of str to Machine
        The machines with a worker, by name.
    """

    address: str
    username: str
    password: str
    head: Machine
    workers: dict[str, Machine]


@contextlib.contextmanager
def cluster(
    folder: Path, dags: str, variables: Mapping[str, str], settings: Mapping[str, str], names: tuple[str, ...]
) -> Iterator[Cluster]:
    """Start PostgreSQL, Redis, Airflow's parts and a worker for each name; end all of it afterwards.

    Parameters
    ----------
    folder : Path
        Where the machines' folders lie.
    dags : str
        The file of DAGs; ``{folder!r}`` in it becomes the project's folder of each machine.
    variables : mapping of str to str
        The environment on all machines.
    settings : mapping of str to str
        Airflow's settings on all machines, as ``SECTION__KEY``.
    names : tuple of str
        The machines with a worker.
    """
    with postgres() as database, redis() as broker, contextlib.ExitStack() as ends:
        port = free_port()
        address = f"http://{HOST}:{port}"
        common = {
            "CORE__EXECUTOR": "CeleryExecutor",
            "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
            "CELERY__BROKER_URL": broker,
            "CELERY__RESULT_BACKEND": f"db+postgresql://{database}",
            "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "3600",
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "API__SECRET_KEY": secrets.token_hex(32),
            **settings,
        }
        own = {
            "API__HOST": HOST,
            "API__PORT": str(port),
            "API__BASE_URL": address,
            "API__WORKERS": "1",
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        }
        head = Machine.make("head", folder / "head", dags, variables, {**common, **own})
        workers = {name: Machine.make(name, folder / name, dags, variables, common) for name in names}
        for machine in (head, *workers.values()):
            ends.callback(machine.kill)
        migrated = head.airflow("db", "migrate")
        assert migrated.returncode == 0, migrated.stderr
        head.start("api-server")
        head.start("scheduler", "--skip-serve-logs")
        head.start("dag-processor")
        for worker in workers.values():
            worker.start_worker()
        _wait_until_ready(address, head)
        username, password = next(iter(json.loads((head.home / _PASSWORDS).read_bytes()).items()))
        yield Cluster(address, username, password, head, workers)


def _wait_until_ready(address: str, head: Machine) -> None:
    ends = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < ends:
        ended = [process.returncode for process in head.processes if process.poll() is not None]
        assert not ended, f"a part of Airflow ended: {head.log()}"
        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
            parts = httpx.get(f"{address}/api/v2/monitor/health", timeout=5).json()
            if all(parts[part]["status"] == "healthy" for part in ("scheduler", "dag_processor")):
                return
        time.sleep(0.3)
    raise AssertionError(f"Airflow was not ready within {_READY_WITHIN_S} s: {head.log()}")


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server that was just started takes connections."""
    ends = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < ends:
        assert process.poll() is None, f"a server ended with code {process.returncode}"
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")


def members_of(leader: int) -> list[psutil.Process]:
    """Return what belongs to a session; a task's process leads a group of its own in it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill_session(leader: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a session, and everything that it started."""
    while members := members_of(leader.pid):
        for process in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(members, timeout=5)
        leader.poll()
    leader.wait(10)


def end_session(leader: subprocess.Popen[bytes]) -> None:
    """Ask a process that leads a session to end, and kill what is left of it."""
    leader.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        leader.wait(10)
    kill_session(leader)
