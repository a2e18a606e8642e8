"""Where MLflow keeps its records: the project's own store, or wherever the settings say."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from baton.core.addresses import sqlite_address


def tracking_uri(home: Path, *, uri: str | None, host: str | None) -> str:
    """Return where MLflow's records go: the URI set, the host's, or the project's own SQLite store."""
    if uri:
        return uri.rstrip("/") if uri.startswith(("http://", "https://")) else uri
    if host:
        return f"http://{host}:5000"
    return sqlite_address(local_database(home))


def local_database(home: Path) -> Path:
    """Return the file of the project's own MLflow store."""
    return home.absolute() / "mlflow" / "mlflow.db"


def database_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None where the records go elsewhere or more than a path is told."""
    path = uri.removeprefix("sqlite:///")
    is_plain = path not in (uri, "", ":memory:") and "?" not in path and unquote(path) == path
    return Path(path).absolute() if is_plain else None
