"""Where MLflow keeps its records: the local store, or a server that must answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from baton.errors import Unavailable

_CHECK_TIMEOUT_S = 4.0


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


def without_secrets(uri: str) -> str:
    """Return a URI without user, password and query, fit to be shown."""
    parts = urlsplit(uri)
    if not parts.netloc:
        return uri
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def check_server(uri: str) -> None:
    """Ask an MLflow server whether it is there; two tries, within 10 s.

    Raises
    ------
    Unavailable
        If it does not answer, or refuses this client.
    """
    import httpx

    shown = without_secrets(uri)
    failure: Exception | None = None
    for _ in range(2):
        try:
            answer = httpx.get(f"{uri}/health", timeout=_CHECK_TIMEOUT_S, follow_redirects=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = error
            continue
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise Unavailable(
                f"the MLflow server at {shown} refuses this client: {answer.text.strip()[:120]}",
                "start it with --allowed-hosts naming this host, or check the credentials",
            )
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            failure = RuntimeError(f"it answered {answer.status_code}")
            continue
        return
    raise Unavailable(
        f"the MLflow server at {shown} does not answer: {failure}",
        "start it or name another one: --tracking-uri URI; without one the project's own store is used",
    ) from failure


class LocalDatabase:
    """The project's own MLflow database, made by a child process while the run goes on.

    Parameters
    ----------
    path : Path
        The SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._child: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start to make the database unless it is there.

        Raises
        ------
        Unavailable
            If its folder cannot be written.
        """
        if self.path.exists() or self._child is not None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"the folder {self.path.parent} cannot be written: {error.strerror}",
                "choose another place for what baton writes: --home FOLDER",
            ) from error
        if not os.access(self.path.parent, os.W_OK):
            raise Unavailable(
                f"the folder {self.path.parent} cannot be written",
                "choose another place for what baton writes: --home FOLDER",
            )
        command = [sys.executable, "-m", "baton.tracking.prepare", str(self.path)]
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def wait(self) -> None:
        """Return when the database is there.

        Raises
        ------
        Unavailable
            If it could not be made.
        """
        if self._child is None:
            return
        _, complaint = self._child.communicate()
        failed, self._child = self._child.returncode != 0, None
        if failed or not self.path.exists():
            lines = complaint.decode(errors="replace").strip().splitlines()
            raise Unavailable(
                f"the MLflow store {self.path} cannot be made: {lines[-1] if lines else 'its process was ended'}",
                "free space, or check the folder's permissions",
            )
