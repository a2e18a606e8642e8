"""A Prefect server of the project's own, for development."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from baton.child_processes import stop_group
from baton.errors import Unavailable
from baton.tied_process import tied

_READY_WITHIN_S = 90.0
_STOP_WITHIN_S = 8.0
_HOST = "127.0.0.1"


def serve_until_stopped(port: int, log: Path, ready: Callable[[str], None]) -> int:
    """Run a server on 127.0.0.1 until it ends or this process is interrupted; return its exit code.

    Parameters
    ----------
    port : int
        Where it listens.
    log : Path
        File that takes what it writes.
    ready : callable
        Told the address of its API once it answers.

    Raises
    ------
    Unavailable
        If the port is taken, or the server does not come up.
    """
    _require_free(port)
    with _server(port, log) as (url, server):
        ready(url)
        return server.wait()


@contextmanager
def temporary_server(log: Path) -> Iterator[str]:
    """Yield the address of the API of a server on 127.0.0.1 that ends with the context.

    Prefect's own temporary server is not used: it dies of the same Ctrl-C as its client, which then
    waits for it.

    Raises
    ------
    Unavailable
        If the server does not come up.
    """
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port = int(probe.getsockname()[1])
    with _server(port, log) as (url, _):
        yield url


@contextmanager
def _server(port: int, log: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    url = f"http://{_HOST}:{port}/api"
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    # Else the pages would look for the API at Prefect's usual port.
    environment["PREFECT_SERVER_UI_API_URL"] = url
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        server = subprocess.Popen(
            tied("prefect", "server", "start", "--host", _HOST, "--port", str(port)),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(url, server, log)
            yield url, server
        finally:
            stop_group(server, within_s=_STOP_WITHIN_S, asking=(signal.SIGINT, signal.SIGTERM))
            if server.stdin is not None:
                server.stdin.close()


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise Unavailable(
                f"port {port} of {_HOST} is taken: {error.strerror}",
                "a server may be running there already; or choose another: --port PORT",
            ) from error


def _wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    import httpx

    ends = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < ends:
        if server.poll() is not None:
            raise Unavailable(f"the Prefect server ended with code {server.returncode}", f"see {log}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=2).is_success:
                return
        time.sleep(0.2)
    raise Unavailable(f"the Prefect server did not answer within {_READY_WITHIN_S:g} s", f"see {log}")
