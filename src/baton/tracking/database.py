"""A new MLflow database in a file, the project's own or another, made in one step.

MLflow makes a new SQLite database by running all its migrations, about a second of work.  The
result is always the same, so it is kept here as SQL for one version of MLflow
(``mlflow_schema.sql``, written by ``python -m baton.tracking.database``); with any other version
MLflow makes the database itself.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from baton.core.addresses import sqlite_address
from baton.errors import Unavailable

SCHEMA = Path(__file__).with_name("mlflow_schema.sql")
_VERSION_LINE = "-- The database of MLflow "


def make_local_database(database: Path) -> None:
    """Make an MLflow database unless it is there.

    It appears under its name only when whole, so that a process killed on the way leaves nothing
    that another could take for a database.

    Raises
    ------
    Unavailable
        If it cannot be made.
    """
    if database.exists():
        return
    from filelock import FileLock

    unfinished = database.with_suffix(f".{os.getpid()}.tmp")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock"):
            if not database.exists():
                _from_schema(unfinished)
                unfinished.replace(database)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(
            f"the MLflow store {database} cannot be made: {error}",
            "free space, or choose another place for what baton writes: --home FOLDER, or --tracking-uri URI",
        ) from error
    finally:
        with contextlib.suppress(OSError):  # what kept it from being made was told already
            unfinished.unlink(missing_ok=True)


def schema_of_installed_mlflow(folder: Path) -> str:
    """Return the SQL of a new database, made by the installed MLflow's own migrations.

    Parameters
    ----------
    folder : Path
        Where the database may be made meanwhile.
    """
    import mlflow

    database = folder / "migrated.db"
    _migrate(database)
    with closing(sqlite3.connect(database)) as connection:
        statements = "\n".join(connection.iterdump())
    return f"{_VERSION_LINE}{mlflow.__version__}\n{statements}\n"


def _from_schema(database: Path) -> None:
    import mlflow

    schema = SCHEMA.read_text(encoding="utf-8")
    if schema.partition("\n")[0] != _VERSION_LINE + mlflow.__version__:
        _migrate(database)
        return
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(schema)


def _migrate(database: Path) -> None:
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables

    engine = sqlalchemy.create_engine(sqlite_address(database))
    try:
        _initialize_tables(engine)
    finally:
        engine.dispose()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        SCHEMA.write_text(schema_of_installed_mlflow(Path(folder)), encoding="utf-8")
