"""Make a local MLflow database, in a process of its own.

A new SQLite database takes MLflow some seconds of migrations.  The run starts this module as a
child when it begins, so that the database is ready when the run is to be recorded.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from filelock import FileLock


def prepare(database: Path) -> None:
    """Make the database unless it is there; it appears under its name only when whole."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock"):
        if database.exists():
            return
        unfinished = database.with_suffix(f".{os.getpid()}.tmp")
        try:
            _migrate(unfinished)
            unfinished.replace(database)
        finally:
            unfinished.unlink(missing_ok=True)


def _migrate(database: Path) -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{database}", (database.parent / "artifacts").as_uri())
    store._dispose_engine()


if __name__ == "__main__":
    with contextlib.suppress(OSError, AttributeError):
        os.nice(19)
    prepare(Path(sys.argv[1]))
