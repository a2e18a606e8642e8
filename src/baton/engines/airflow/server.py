"""Airflow standalone for development: one command, this machine only."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from baton.core.files import write_atomically
from baton.engines.airflow.environment import airflow_folder, database_address, environment, write_dag_file
from baton.processes.server import HOST, LocalServer, require_free

if TYPE_CHECKING:
    import httpx

READY_WITHIN_S = 180.0
_STOP_WITHIN_S = 10.0
_API_SERVER_WAITS_S = 3
_PASSWORDS = "simple_auth_manager_passwords.json.generated"  # Airflow's file name
_ADDRESS = "address.json"

DAG_FILE = """\
from baton.engines.airflow.dag import airflow_dag

dag = airflow_dag({folder!r})
"""

# Airflow starts its components by this name.  The log servers of two of them would listen on every address
# of the machine, and only serve logs to other machines.  The API server waits for the database in its event
# loop, which can block the very request that it waits for: it must give up quickly, and its clients retry.
PROGRAM = """\
#!/bin/sh
case "$1" in
    scheduler|triggerer) set -- "$@" --skip-serve-logs ;;
    api-server) export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN={impatient} ;;
esac
exec {python} -m airflow "$@"
"""


@dataclass(frozen=True)
class Standalone:
    """A running Airflow.

    Parameters
    ----------
    address : str
        Address of its UI and API.
    username, password : str
        The login.
    process : Popen
        The leader of its process group.
    """

    address: str
    username: str
    password: str
    process: subprocess.Popen[bytes]


def standalone_home(home: Path) -> Path:
    """Return the ``AIRFLOW_HOME`` of the project's standalone."""
    return airflow_folder(home) / "standalone"


@contextmanager
def standalone(
    home: Path,
    folder: Path,
    pipeline: str,
    *,
    port: int,
    environ: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
) -> Iterator[Standalone]:
    """Start Airflow with the project's DAG, yield it once it is ready, and stop it afterwards.

    Parameters
    ----------
    home : Path
        Folder for baton's files.
    folder : Path
        The project's folder.
    pipeline : str
        Name of the pipeline, for the DAG's file; an existing file is kept.
    port : int
        Port on 127.0.0.1.
    environ : mapping of str to str
        The environment, also for tasks.
    settings : mapping of str to str, optional
        More Airflow settings, as ``SECTION__KEY``.

    Raises
    ------
    Unavailable
        If the port is taken, or Airflow exits or is not ready in time.
    """
    own = standalone_home(home)
    own.mkdir(parents=True, exist_ok=True)
    require_free(port)
    if not (own / "dags" / f"{pipeline}.py").exists():
        write_dag_file(own, pipeline, DAG_FILE.format(folder=str(folder)))
    address = f"http://{HOST}:{port}"
    chosen = {
        "API__HOST": HOST,
        "API__PORT": str(port),
        "API__BASE_URL": address,
        "API__WORKERS": "1",
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "CORE__PARALLELISM": str(max(os.cpu_count() or 1, 2)),
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        **(settings or {}),
    }
    variables = environment(own, environ, chosen)
    variables["PATH"] = os.pathsep.join([str(_write_program(own)), variables["PATH"]])
    server = LocalServer(
        name="Airflow",
        command=("airflow", "standalone"),
        environ=variables,
        log=own / "airflow.log",
        health=f"{address}/api/v2/monitor/health",
        is_healthy=_is_healthy,
        ready_within_s=READY_WITHIN_S,
        stop_within_s=_STOP_WITHIN_S,
    )
    try:
        with server.running() as process:
            username, password = login_of(home)
            write_atomically(own / _ADDRESS, json.dumps({"address": address}).encode())
            yield Standalone(address, username, password, process)
    finally:
        (own / _ADDRESS).unlink(missing_ok=True)


def _is_healthy(answer: httpx.Response) -> bool:
    parts = answer.json()
    return all(parts[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))


def address_of(home: Path) -> str:
    """Return the address of the project's running standalone, else Airflow's default."""
    try:
        return str(json.loads((standalone_home(home) / _ADDRESS).read_bytes())["address"])
    except (OSError, ValueError, KeyError):
        return f"http://{HOST}:8080"


def login_of(home: Path) -> tuple[str, str]:
    """Return user name and password of the project's standalone; empty if there is none."""
    try:
        passwords = json.loads((standalone_home(home) / _PASSWORDS).read_bytes())
    except (OSError, ValueError):
        return "", ""
    return next(iter(passwords.items()), ("", ""))


def _write_program(own: Path) -> Path:
    folder = own / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "airflow"
    impatient = database_address(own, wait_s=_API_SERVER_WAITS_S)
    text = PROGRAM.format(python=shlex.quote(sys.executable), impatient=shlex.quote(impatient))
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)
    return folder
