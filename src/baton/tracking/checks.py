"""Whether MLflow can keep records where it is told to, asked before a run computes anything."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from baton.core.addresses import is_address, without_secrets, without_secrets_in_addresses
from baton.errors import SettingsError, Unavailable
from baton.tracking.location import database_file

_CHECK_TIMEOUT_S = 4.0
_LOCK_TIMEOUT_S = 0.5

_HINT = "start it or name another one: --tracking-uri URI; without one the project's own store is used"

_OTHER = "name a server or a database: --tracking-uri URI; without one the project's own store is used"

_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Where a database server listens unless its address says otherwise, by SQLAlchemy's name of it."""

_ELSEWHERE = {"databricks", "databricks-uc", "uc"}
"""What MLflow calls a store of which nothing can be asked here."""


def check_tracking(uri: str) -> None:
    """Make sure that there is something behind a tracking URI that can keep records, within seconds.

    MLflow itself tries for minutes before it says that there is not.

    Parameters
    ----------
    uri : str
        As `baton.tracking.location.tracking_uri` gives it.

    Raises
    ------
    SettingsError
        If the URI is none that MLflow can use.
    Unavailable
        If a server or database does not answer, or a file is no database.
    """
    named = is_address(uri) or uri in _ELSEWHERE
    scheme = uri.partition("://")[0].lower().partition("+")[0] if named else "file"
    if scheme in ("http", "https"):
        _check_server(uri)
    elif scheme == "sqlite":
        _check_file(uri)
    elif scheme in _PORTS:
        _check_database(uri, _PORTS[scheme])
    elif scheme == "file":
        _check_folder(uri)
    elif scheme not in _ELSEWHERE and not _has_plugin(scheme):
        raise SettingsError([f"the tracking URI {without_secrets(uri)} is none that MLflow can use"], _OTHER)


def _has_plugin(scheme: str) -> bool:
    from importlib.metadata import entry_points

    return bool(entry_points(group="mlflow.tracking_store", name=scheme))


def _check_folder(uri: str) -> None:
    """Refuse a folder, in which MLflow keeps records only where its variable allows it."""
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise SettingsError(
            [f"the tracking URI '{uri}' is a folder, in which MLflow keeps no records any more"],
            "name a server or a database, as sqlite:///FILE; mlflow migrate-filestore makes one of a folder",
        )


def _check_file(uri: str) -> None:
    """Open a SQLite database if it is there, and make its folder if it is not."""
    database = database_file(uri)
    if database is None:
        if "?" in uri or "%" in uri:
            return  # more than a path: MLflow's to read
        raise SettingsError([f"the tracking URI {uri} names no file"], "write sqlite:///FILE")
    try:
        if database.exists():
            existing = f"{database.as_uri()}?mode=rw"
            with closing(sqlite3.connect(existing, timeout=_LOCK_TIMEOUT_S, uri=True)) as connection:
                connection.execute("PRAGMA schema_version")
        else:
            database.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY":
            return  # somebody writes to it
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unavailable(
            f"the MLflow store {database} cannot be used: {reason}",
            "name another one: --tracking-uri URI, or move it away and a new one is made",
        ) from error


def _check_database(uri: str, usual_port: int) -> None:
    """Connect to the database server that a URI names."""
    import socket
    from urllib.parse import urlsplit

    try:
        address = urlsplit(uri)
        place = (address.hostname or "", address.port or usual_port)
    except ValueError:
        return  # MLflow says at once what it thinks of it
    if not all(place):
        return
    try:
        socket.create_connection(place, timeout=_CHECK_TIMEOUT_S).close()
    except OSError as error:
        raise Unavailable(
            f"the database of MLflow at {without_secrets(uri)} cannot be reached: {error}",
            _HINT,
        ) from error


def _check_server(uri: str) -> None:
    """Ask an MLflow server's API whether it is there and answers this client; two tries, within 10 s.

    The health page is no witness: MLflow answers it whatever it thinks of the client.

    Raises
    ------
    Unavailable
        If it does not answer, or refuses this client.
    """
    import httpx

    shown = without_secrets(uri)
    question = f"{uri}/api/2.0/mlflow/experiments/search"
    failure = ""
    for _ in range(2):
        try:
            answer = httpx.post(question, json={"max_results": 1}, timeout=_CHECK_TIMEOUT_S)
        except httpx.InvalidURL:
            failure = "it is not an address"  # httpx's own words quote it, secrets included
            break
        except httpx.HTTPError as error:
            failure = without_secrets_in_addresses(str(error))
            continue
        if answer.is_success:
            return
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise Unavailable(
                f"the MLflow server at {shown} refuses this client: {answer.text.strip()[:120]}",
                "start it with --allowed-hosts naming this host, or check the credentials",
            )
        failure = f"it answered {answer.status_code} to a question of MLflow's API"
    raise Unavailable(
        f"the MLflow server at {shown} cannot be used: {failure}",
        _HINT,
    )
