"""Where MLflow keeps its records: the local store, or a server that must answer."""

from __future__ import annotations

from pathlib import Path

from baton.core.addresses import without_secrets, without_secrets_in_addresses
from baton.errors import Unavailable

__all__ = [
    "check_database",
    "check_server",
    "database_file",
    "local_database",
    "tracking_uri",
    "without_secrets",
]

_CHECK_TIMEOUT_S = 4.0

_HINT = "start it or name another one: --tracking-uri URI; without one the project's own store is used"

_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Where a database server listens unless its address says otherwise, by SQLAlchemy's name of it."""


def tracking_uri(home: Path, *, uri: str | None, host: str | None) -> str:
    """Return where MLflow's records go: the URI set, the host's, or the project's own SQLite store."""
    if uri:
        return uri.rstrip("/")
    if host:
        return f"http://{host}:5000"
    return f"sqlite:///{local_database(home)}"


def local_database(home: Path) -> Path:
    """Return the file of the project's own MLflow store."""
    return home.absolute() / "mlflow" / "mlflow.db"


def database_file(uri: str) -> Path | None:
    """Return the file of a SQLite store, or None where the records go elsewhere."""
    path = uri.removeprefix("sqlite:///")
    return Path(path).absolute() if path not in (uri, "") and "?" not in path else None


def check_database(uri: str) -> None:
    """Connect to the database server that a URI names, within seconds; MLflow itself tries for minutes.

    Raises
    ------
    Unavailable
        If nothing listens there.
    """
    import socket
    from urllib.parse import urlsplit

    try:
        address = urlsplit(uri)
        place = (address.hostname or "", address.port or _PORTS.get(address.scheme.partition("+")[0], 0))
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


def check_server(uri: str) -> None:
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
