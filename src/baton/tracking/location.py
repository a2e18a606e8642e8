"""The location of MLflow's records: the project's own store, or as configured."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from baton.core.addresses import is_address, sqlite_address, without_secrets
from baton.core.effect_scope import machine_id


def tracking_uri(home: Path, *, uri: str | None, host: str | None) -> str:
    """Return MLflow's tracking URI: the configured one, the host's, or the project's SQLite store."""
    if uri:
        return uri.rstrip("/") if uri.startswith(("http://", "https://")) else uri
    if host:
        return f"http://{host}:5000"
    return sqlite_address(local_database(home))


def local_database(home: Path) -> Path:
    """Return the file of the project's own MLflow store."""
    return home.absolute() / "mlflow" / "mlflow.db"


def place_of_tracker(uri: str, home: Path) -> str:
    """Return an identifier for the location of MLflow's records, without secrets.

    A file or a local server is a different place on each machine.  The identifier is empty for the
    project's own folder, which is a different place for every folder.
    """
    file = database_file(uri)
    if file is None and not is_address(uri):
        file = Path(uri).absolute()
    if file is not None and file.is_relative_to(home):
        return ""
    if file is not None:
        return f"{machine_id()} {file}"
    shown = without_secrets(uri)
    try:
        host = urlsplit(uri).hostname or ""
    except ValueError:
        host = ""
    is_here = host in ("", "localhost", "::1") or host.startswith("127.")
    return f"{machine_id()} {shown}" if is_here else shown


def database_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None for other stores, or if the URI is more than a path."""
    path = uri.removeprefix("sqlite:///")
    is_plain = path not in (uri, "", ":memory:") and "?" not in path and unquote(path) == path
    return Path(path).absolute() if is_plain else None
