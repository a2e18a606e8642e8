"""MLflow's database: the schema of the installed MLflow, and new databases in files.

MLflow creates a SQLite database by running all its migrations, which takes seconds and always gives the
same result.  So the first one is kept for this user and MLflow version, and copied later.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from baton.core.addresses import sqlite_address
from baton.core.files import write_atomically
from baton.errors import Unavailable

_REVISION = re.compile(r"^revision\b[^=\n]*=\s*[\"'](\w+)[\"']", re.MULTILINE)
_EARLIER = re.compile(r"^down_revision\b[^=\n]*=\s*(.*)", re.MULTILINE)
_QUOTED = re.compile(r"[\"'](\w+)[\"']")


@dataclass(frozen=True, slots=True)
class Revisions:
    """The schema revisions that the installed MLflow knows.

    Parameters
    ----------
    known : frozenset of str
        All of them; empty if unknown.
    latest : str
        The current one; empty if unknown.
    """

    known: frozenset[str]
    latest: str

    @classmethod
    @cache
    def of_installed_mlflow(cls) -> Revisions:
        """Read the revisions from MLflow's migrations, without the slow import of MLflow."""
        found = importlib.util.find_spec("mlflow")
        places = found.submodule_search_locations if found is not None else None
        known: set[str] = set()
        followed: set[str] = set()
        for place in places or ():
            for script in Path(place, "store", "db_migrations", "versions").glob("*.py"):
                text = script.read_text(encoding="utf-8")
                known.update(_REVISION.findall(text))
                followed.update(name for names in _EARLIER.findall(text) for name in _QUOTED.findall(names))
        latest = known - followed
        return cls(frozenset(known), latest.pop() if len(latest) == 1 else "")


def make_local_database(database: Path) -> None:
    """Create an MLflow database unless it exists.

    It gets its name only when complete, so that a killed process leaves nothing that looks like a
    database.

    Raises
    ------
    Unavailable
        If it cannot be created.
    """
    if database.exists():
        return
    from filelock import FileLock

    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock"):
            if not database.exists():
                write_atomically(database, _new_database())
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(
            f"the MLflow store {database} cannot be created: {error}",
            "free space, or choose another folder for baton's files: --home FOLDER, or --tracking-uri URI",
        ) from error


def _new_database() -> bytes:
    """Return the content of a new database, from this user's copy if there is one."""
    kept = _kept_database()
    if kept is not None and _is_whole(kept):
        return kept.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "mlflow.db")
        _migrate(made)
        content = made.read_bytes()
    if kept is not None:
        with contextlib.suppress(OSError):  # without a cache folder, migrate every time
            write_atomically(kept, content)
    return content


def _kept_database() -> Path | None:
    """Return the path of the copy for the installed MLflow; None if the user has no cache folder."""
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        caches = chosen if chosen.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return caches / "baton" / f"mlflow-{importlib.metadata.version('mlflow')}.db"


def _is_whole(kept: Path) -> bool:
    """Return whether a copy is intact and has the schema of the installed MLflow."""
    try:
        with closing(sqlite3.connect(f"{kept.as_uri()}?mode=ro", uri=True)) as connection:
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                return False
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            return [str(row[0]) for row in found] == [Revisions.of_installed_mlflow().latest]
    except sqlite3.Error:
        return False


def _migrate(database: Path) -> None:
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables

    for name in ("mlflow.store.db", "alembic"):  # they log every step
        logging.getLogger(name).setLevel(logging.WARNING)
    engine = sqlalchemy.create_engine(sqlite_address(database))
    try:
        _initialize_tables(engine)
    except sqlalchemy.exc.DBAPIError as error:
        raise sqlite3.OperationalError(str(error.orig)) from error
    finally:
        engine.dispose()
