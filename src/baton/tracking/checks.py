"""Check before a run that MLflow can store records at its address."""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from baton.core.addresses import is_address, without_secrets, without_secrets_in_addresses
from baton.errors import SettingsError, Unavailable
from baton.tracking.database import Revisions
from baton.tracking.location import database_file

if TYPE_CHECKING:
    import requests

_CHECK_TIMEOUT_S = 4.0
_LOCK_TIMEOUT_S = 0.5

_HINT = "start it, or use another: --tracking-uri URI; the default is the project's own store"

_OTHER = "use a server or a database: --tracking-uri URI; the default is the project's own store"

_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Default ports of database servers, by SQLAlchemy's name."""

_ELSEWHERE = {"databricks", "databricks-uc", "uc"}
"""The error code of MLflow for a store that cannot answer here."""


Query = Callable[[str, Mapping[str, str]], Sequence[Sequence[Any]]]
"""Queries a database: takes SQL with ``:name`` placeholders and their values, returns the rows."""


def check_tracking(uri: str, experiment: str) -> None:
    """Check within seconds that a tracking URI leads to something that can store records.

    MLflow itself retries for minutes before it fails.

    Parameters
    ----------
    uri : str
        As returned by `baton.tracking.location.tracking_uri`.
    experiment : str
        Name of the experiment for the records.

    Raises
    ------
    SettingsError
        If MLflow cannot use the URI.
    Unavailable
        If a server or database does not answer, a file is not a database, a database has the schema of
        another MLflow version, or the experiment was deleted.
    """
    named = is_address(uri) or uri in _ELSEWHERE
    scheme = uri.partition("://")[0].lower().partition("+")[0] if named else "file"
    if scheme in ("http", "https"):
        _check_server(uri, experiment)
    elif scheme == "sqlite":
        _check_file(uri, experiment)
    elif scheme in _PORTS:
        _check_database(uri, _PORTS[scheme], experiment)
    elif scheme == "file":
        _check_folder(uri)
    elif scheme not in _ELSEWHERE and not _has_plugin(scheme):
        raise SettingsError([f"MLflow cannot use the tracking URI {without_secrets(uri)}"], _OTHER)


def _has_plugin(scheme: str) -> bool:
    from importlib.metadata import entry_points

    return bool(entry_points(group="mlflow.tracking_store", name=scheme))


def _check_folder(uri: str) -> None:
    """Refuse a folder, which MLflow accepts only with its environment variable."""
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise SettingsError(
            [f"the tracking URI '{uri}' is a folder, which MLflow no longer supports"],
            "use a server or a database, such as sqlite:///FILE; mlflow migrate-filestore converts a folder",
        )


def _check_file(uri: str, experiment: str) -> None:
    """Open a SQLite database if it exists, and create its folder if it does not."""
    database = database_file(uri)
    if database is None:
        if "?" in uri or "%" in uri:
            _check_by_sqlalchemy(uri, experiment)
            return
        raise SettingsError([f"the tracking URI {uri} has no file"], "write it as sqlite:///FILE")
    try:
        if database.exists():
            existing = f"{database.as_uri()}?mode=rw"
            with closing(sqlite3.connect(existing, timeout=_LOCK_TIMEOUT_S, uri=True)) as connection:
                rows = connection.execute("SELECT name FROM sqlite_master")
                tables = {str(row[0]) for row in rows}
                _check_content(uri, experiment, tables, lambda sql, v: connection.execute(sql, v).fetchall())
        else:
            database.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY":
            return  # it is being written to
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unavailable(
            f"the MLflow store {database} cannot be used: {reason}",
            "use another: --tracking-uri URI; or move it away to get a new one",
        ) from error


def _check_database(uri: str, usual_port: int, experiment: str) -> None:
    """Connect to the database server in a URI."""
    import socket
    from urllib.parse import urlsplit

    try:
        address = urlsplit(uri)
        place = (address.hostname or "", address.port or usual_port)
    except ValueError:
        return  # MLflow reports any problem immediately
    if not all(place):
        return
    try:
        socket.create_connection(place, timeout=_CHECK_TIMEOUT_S).close()
    except OSError as error:
        raise Unavailable(
            f"cannot connect to the MLflow database at {without_secrets(uri)}: {error}",
            _HINT,
        ) from error
    _check_by_sqlalchemy(uri, experiment)


def _check_by_sqlalchemy(uri: str, experiment: str) -> None:
    """Check the content of a database if possible: MLflow knows more ways to open one."""
    import sqlalchemy

    with suppress(sqlalchemy.exc.SQLAlchemyError, ImportError):
        address = sqlalchemy.make_url(uri)
        if address.get_backend_name() == "sqlite" and not os.path.exists(address.database or ""):  # noqa: PTH110
            return  # opening it would create it
        engine = sqlalchemy.create_engine(address)
        try:
            with engine.connect() as connection:
                tables = set(sqlalchemy.inspect(connection).get_table_names())

                def ask(sql: str, values: Mapping[str, str]) -> Sequence[Sequence[Any]]:
                    return connection.execute(sqlalchemy.text(sql), dict(values)).fetchall()

                _check_content(uri, experiment, tables, ask)
        finally:
            engine.dispose()


def _check_content(uri: str, experiment: str, tables: set[str], ask: Query) -> None:
    """Refuse a database with the schema of another MLflow version, or with a deleted experiment.

    Raises
    ------
    Unavailable
        In both cases.
    """
    revisions = Revisions.of_installed_mlflow()
    found = ask("SELECT version_num FROM alembic_version", {}) if "alembic_version" in tables else ()
    revision = str(found[0][0]) if found else ""
    if revision and revisions.latest and revision != revisions.latest:
        raise _outdated(uri, revision, revisions)
    if revision and "experiments" in tables:
        rows = ask(
            "SELECT experiment_id FROM experiments "
            "WHERE name = :name AND workspace = :workspace AND lifecycle_stage = 'deleted'",
            {"name": experiment, "workspace": os.environ.get("MLFLOW_WORKSPACE", "").strip() or "default"},
        )
        if rows:
            raise deleted_experiment(uri, experiment, str(rows[0][0]))


def _outdated(uri: str, revision: str, revisions: Revisions) -> Unavailable:
    from importlib.metadata import version

    shown = shlex.quote(without_secrets(uri))
    message = (
        f"the MLflow store {without_secrets(uri)} has the schema {revision}, "
        f"and MLflow {version('mlflow')} works with {revisions.latest}"
    )
    if revision in revisions.known:
        return Unavailable(message, f"make a copy, then upgrade it: mlflow db upgrade {shown}")
    return Unavailable(
        message,
        "it is from a newer MLflow or another program: install that, or use another: --tracking-uri URI",
    )


def deleted_experiment(uri: str, experiment: str, experiment_id: str) -> Unavailable:
    """Return the error for an experiment in MLflow's trash."""
    shown = shlex.quote(without_secrets(uri))
    restore = f"MLFLOW_TRACKING_URI={shown} mlflow experiments restore --experiment-id {experiment_id}"
    forget = f"mlflow gc --backend-store-uri {shown} --tracking-uri {shown} --experiment-ids {experiment_id}"
    is_server = uri.startswith(("http://", "https://"))
    return Unavailable(
        f"the MLflow experiment '{experiment}' was deleted and is in MLflow's trash",
        f"restore it: {restore}; {'' if is_server else f'or delete it permanently: {forget}; '}"
        "or choose another name: --experiment-name NAME",
    )


def _check_server(uri: str, experiment: str) -> None:
    """Ask an MLflow server for the experiment, as MLflow's client would; two attempts, within 10 s.

    The health page is not enough: MLflow answers it even for clients that it refuses.

    Raises
    ------
    Unavailable
        If it does not answer, refuses this client, or the experiment was deleted.
    """
    import requests

    shown = without_secrets(uri)
    failure = ""
    for _ in range(2):
        try:
            answer = _ask_server(uri, experiment)
        except requests.exceptions.InvalidSchema as error:  # a type of proxy that needs more packages
            failure = _reason(error)
            break
        except ValueError:  # its message contains the address with its secrets
            failure = "it is not a valid address"
            break
        except requests.RequestException as error:
            failure = _reason(error)
            continue
        except OSError as error:  # a missing certificate file
            failure = str(error)
            break
        if answer.ok or _says(answer, "error_code") == "RESOURCE_DOES_NOT_EXIST":
            known = _says(answer, "experiment") if answer.ok else {}
            if isinstance(known, dict):
                if known.get("lifecycle_stage") == "deleted":
                    raise deleted_experiment(uri, experiment, str(known.get("experiment_id")))
                return
            failure = "it answered, but is not an MLflow server"
            continue
        if answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            if _has_own_signing():
                return
            raise Unavailable(
                f"the MLflow server at {shown} refuses this client: {answer.text.strip()[:120]}",
                "start it with --allowed-hosts for this host, or check the credentials",
            )
        failure = f"it answered an MLflow API request with {answer.status_code}"
    variable, proxy = _proxy_for(uri)
    if proxy:
        address = proxy if is_address(proxy) else f"http://{proxy}"
        raise Unavailable(
            f"the proxy {without_secrets(address)} from {variable} "
            f"does not lead to the MLflow server at {shown}: {failure}",
            f"fix or unset {variable}, or add the server's host to NO_PROXY",
        )
    raise Unavailable(f"the MLflow server at {shown} cannot be used: {failure}", _HINT)


def _ask_server(uri: str, experiment: str) -> requests.Response:
    """Ask for the experiment with the credentials, certificates and proxies of MLflow's client."""
    from base64 import b64encode

    import requests

    headers = {}
    workspace = os.environ.get("MLFLOW_WORKSPACE", "").strip()
    if workspace:
        headers["X-MLFLOW-WORKSPACE"] = workspace
    name, password = (_credential(f"MLFLOW_TRACKING_{part}") for part in ("USERNAME", "PASSWORD"))
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if name and password:
        headers["Authorization"] = f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"
    elif token:
        headers["Authorization"] = f"Bearer {token}"
    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    return requests.get(
        f"{uri}/api/2.0/mlflow/experiments/get-by-name",
        params={"experiment_name": experiment},
        headers=headers,
        verify=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or not insecure,
        cert=os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"),
        timeout=_CHECK_TIMEOUT_S,
    )


def _credential(variable: str) -> str:
    """Return a credential from the environment, or from MLflow's own file."""
    if os.environ.get(variable):
        return os.environ[variable]
    from configparser import ConfigParser, Error
    from pathlib import Path

    kept = ConfigParser()
    with suppress(Error, OSError, RuntimeError, UnicodeDecodeError):
        kept.read(Path.home() / ".mlflow" / "credentials")
    return kept.get("mlflow", variable.lower(), fallback="", raw=True)


def _has_own_signing() -> bool:
    """Return whether MLflow signs its requests with a plugin or for AWS, which is not tried here."""
    return any(os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("AUTH", "AWS_SIGV4"))


def _says(answer: requests.Response, field: str) -> Any:
    try:
        return answer.json().get(field)
    except (ValueError, AttributeError):
        return None


def _reason(error: BaseException) -> str:
    """Return the root cause of a failed request, such as ``Connection refused``."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    strerror = error.strerror if isinstance(error, OSError) else None
    return without_secrets_in_addresses(strerror or str(error))


def _proxy_for(uri: str) -> tuple[str, str]:
    """Return the variable that sets a proxy for an address, and the proxy; empty if there is none."""
    from urllib.parse import urlsplit

    from requests.utils import get_environ_proxies, select_proxy

    try:
        proxy = select_proxy(uri, get_environ_proxies(uri)) or ""
        names = (f"{urlsplit(uri).scheme}_proxy", "all_proxy")
    except ValueError:
        return "", ""
    for variable in (cased for name in names for cased in (name, name.upper())):
        if proxy and os.environ.get(variable) == proxy:
            return variable, proxy
    return "the system", proxy
