"""A project's own MLflow store after its folder was moved or copied.

MLflow keeps the full address of every artifact in its database, so that a moved store would read from, and
write into, the folder where it was.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

ARTIFACTS = "artifacts"
"""Name of the folder of artifacts, next to the database."""

_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns of MLflow's schema that hold addresses of artifacts."""

_BUSY_S = 10.0


def artifacts_of(database: Path) -> Path:
    """Return the folder of the artifacts of a project's own database."""
    return database.parent / ARTIFACTS


def follow_move(database: Path) -> None:
    """Let the records of a project's own store point to its artifacts where they are now.

    Nothing changes unless the records point to the artifacts of the same store in another folder, and the
    artifacts are here.

    Parameters
    ----------
    database : Path
        The database, in its place by `baton.tracking.location.local_database`.
    """
    here = artifacts_of(database)
    try:
        former = [one for one in _locations(database) if _is_former(one, here)]
        if former and here.is_dir():
            _rewrite(database, former, here.as_uri())
    except sqlite3.Error:
        return  # `baton.tracking.checks` says what is wrong; a read-only one still answers


def elsewhere(database: Path) -> list[str]:
    """Return the local folders with artifacts of a project's own store that do not exist, sorted."""
    try:
        found = {_path_of(one) for one in _locations(database)}
    except sqlite3.Error:
        return []
    own = artifacts_of(database)
    return sorted(str(path) for path in found if path is not None and path != own and not path.is_dir())


def _locations(database: Path) -> list[str]:
    """Return where the experiments of a database keep their artifacts."""
    if not database.is_file():
        return []
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE 'file://%'"
        )
        return [str(location) for (location,) in rows]


def _is_former(location: str, here: Path) -> bool:
    """Whether a location is that of the same store in another folder."""
    path = _path_of(location)
    if path is None or path.parts[-2:] != here.parts[-2:] or path == here:
        return False
    return not (path.exists() and path.samefile(here)) if here.exists() else True


def _path_of(location: str) -> Path | None:
    """Return the path of a ``file://`` address; None if it names another machine."""
    parts = urlsplit(location)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return Path(PurePosixPath(unquote(parts.path)))


def _rewrite(database: Path, former: list[str], uri: str) -> None:
    with closing(sqlite3.connect(database, timeout=_BUSY_S)) as connection, connection:
        for table, column in _ADDRESSES:
            columns = {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")}
            if column not in columns:  # in another version of MLflow
                continue
            for before in former:
                begin = f"{before}/"
                connection.execute(
                    f"UPDATE {table} SET {column} = :uri || substr({column}, :kept) "  # noqa: S608
                    f"WHERE {column} = :before OR substr({column}, 1, :length) = :begin",
                    {
                        "uri": uri,
                        "kept": len(before) + 1,
                        "before": before,
                        "length": len(begin),
                        "begin": begin,
                    },
                )
