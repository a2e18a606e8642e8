"""The project's own Prefect server, for development."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from baton.processes.server import HOST, LocalServer, free_port, require_free

_READY_WITHIN_S = 90.0
_STOP_WITHIN_S = 8.0


def serve_until_stopped(port: int, log: Path, ready: Callable[[str], None]) -> int:
    """Run a server on 127.0.0.1 until it exits or this process is interrupted; return its exit code.

    Parameters
    ----------
    port : int
        Its port.
    log : Path
        File for its output.
    ready : callable
        Called with the address of its API once it answers.

    Raises
    ------
    Unavailable
        If the port is taken, or the server does not start.
    """
    require_free(port)
    url = _url(port)
    with _server(port, log).running() as process:
        ready(url)
        return process.wait()


@contextmanager
def temporary_server(log: Path) -> Iterator[str]:
    """Yield the API address of a server on 127.0.0.1 that stops with the context.

    Prefect's own temporary server is not used: Ctrl-C kills it together with its client, which then waits
    for it.

    Raises
    ------
    Unavailable
        If the server does not start.
    """
    port = free_port()
    with _server(port, log).running():
        yield _url(port)


def _url(port: int) -> str:
    return f"http://{HOST}:{port}/api"


def _server(port: int, log: Path) -> LocalServer:
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    # Otherwise the UI would look for the API at Prefect's default port.
    environment["PREFECT_SERVER_UI_API_URL"] = _url(port)
    return LocalServer(
        name="the Prefect server",
        command=("prefect", "server", "start", "--host", HOST, "--port", str(port)),
        environ=environment,
        log=log,
        health=f"{_url(port)}/health",
        is_healthy=lambda answer: answer.is_success,
        ready_within_s=_READY_WITHIN_S,
        stop_within_s=_STOP_WITHIN_S,
        asking=(signal.SIGINT, signal.SIGTERM),
    )
