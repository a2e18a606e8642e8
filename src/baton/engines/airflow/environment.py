"""The folders and variables of a project's Airflow, separate from any other Airflow."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from baton.core.addresses import sqlite_address
from baton.core.files import write_atomically
from baton.engines.versions import require_version

DATABASE = "airflow.db"
OLDEST = (3, 1)
"""The oldest Airflow that baton runs on."""


def airflow_folder(home: Path) -> Path:
    """Return the folder for Airflow in the folder for baton's files."""
    return home.absolute() / "airflow"


def database_address(home: Path, *, wait_s: int) -> str:
    """Return the address of an ``AIRFLOW_HOME``'s database.

    Only one process can write to SQLite at a time, and the default waiting time is too short.

    Parameters
    ----------
    home : Path
        The ``AIRFLOW_HOME``.
    wait_s : int
        How long a process waits for the others, in seconds.
    """
    return f"{sqlite_address(home / DATABASE)}?timeout={wait_s}"


def environment(
    home: Path, environ: Mapping[str, str], settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of an Airflow process.

    Parameters
    ----------
    home : Path
        Its ``AIRFLOW_HOME``, with the folder ``dags``.
    environ : mapping of str to str
        The environment to start from; variables of another Airflow are left out.
    settings : mapping of str to str, optional
        More Airflow settings, as ``SECTION__KEY``.
    """
    kept = {name: text for name, text in environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    chosen = {
        "CORE__DAGS_FOLDER": str(home / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "DATABASE__SQL_ALCHEMY_CONN": database_address(home, wait_s=60),
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
        **(settings or {}),
    }
    # `airflow standalone` runs `airflow` from the PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return {
        **kept,
        **{f"AIRFLOW__{name}": text for name, text in chosen.items()},
        "AIRFLOW_HOME": str(home),
        "PATH": path,
    }


def require_airflow() -> tuple[int, int]:
    """Return the version of the installed Airflow, such as ``(3, 3)``, without importing it.

    Raises
    ------
    ExtraMissing
        If Airflow is not installed.
    Unavailable
        If it is older than `OLDEST`.
    """
    return require_version("airflow", "airflow", ("apache-airflow", "apache-airflow-core"), OLDEST)


def write_dag_file(home: Path, name: str, text: str) -> Path:
    """Write a DAG's file into the ``dags`` folder of an ``AIRFLOW_HOME``."""
    path = home / "dags" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    return path


def make_database(home: Path, kept: Path) -> None:
    """Create the metadata database of an ``AIRFLOW_HOME``; call it in its environment.

    It is migrated once, then copied.

    Parameters
    ----------
    home : Path
        The ``AIRFLOW_HOME``.
    kept : Path
        Folder that keeps the migrated database for later runs.
    """
    from airflow import __version__
    from airflow.utils.db import upgradedb

    template = kept / f"airflow-{__version__}.db"
    database = home / DATABASE
    if template.exists():
        shutil.copyfile(template, database)
        return
    upgradedb()
    unfinished = template.with_suffix(f".{os.getpid()}")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(unfinished)) as copy:
        source.backup(copy)  # a copy of the file would lack SQLite's write-ahead log
        copy.execute("PRAGMA journal_mode = DELETE")
    unfinished.replace(template)
