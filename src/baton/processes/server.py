"""Local servers of other tools that run as long as the command that starts them."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from baton.errors import Unavailable
from baton.processes.children import stop_group
from baton.processes.tied import tied

if TYPE_CHECKING:
    import httpx

HOST = "127.0.0.1"
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, kw_only=True)
class LocalServer:
    """How to start a server, check that it is ready, and stop it.

    Parameters
    ----------
    name : str
        Its name for users.
    command : sequence of str
        The server's module and its arguments.
    environ : mapping of str to str
        Its environment.
    log : Path
        File to which its output is appended.
    health : str
        Health check URL.
    is_healthy : callable
        Whether a response means ready; it may raise ValueError or KeyError for no.
    ready_within_s : float
        Seconds to wait until it is ready.
    stop_within_s : float
        Seconds to wait for it to exit after each signal.
    asking : sequence of int
        The signals to stop it with, in this order.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    log: Path
    health: str
    is_healthy: Callable[[httpx.Response], bool]
    ready_within_s: float
    stop_within_s: float
    asking: Sequence[int] = (signal.SIGTERM,)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start it, yield its process once it is ready, and stop it and its children afterwards.

        Raises
        ------
        Unavailable
            If it exits, or is not ready in time.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as words:
            process = subprocess.Popen(
                tied(*self.command),
                env=dict(self.environ),
                stdin=subprocess.PIPE,
                stdout=words,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(process)
            yield process
        finally:
            stop_group(process, within_s=self.stop_within_s, asking=self.asking)
            if process.stdin is not None:
                process.stdin.close()

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        import httpx

        ends = time.monotonic() + self.ready_within_s
        while time.monotonic() < ends:
            if process.poll() is not None:
                raise Unavailable(f"{self.name} ended with code {process.returncode}", f"see {self.log}")
            with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
                if self.is_healthy(httpx.get(self.health, timeout=5)):
                    return
            time.sleep(_LOOK_EVERY_S)
        raise Unavailable(f"{self.name} was not ready within {self.ready_within_s:g} s", f"see {self.log}")


def free_port() -> int:
    """Return a port that is currently free."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """Check that a server can listen on a port.

    Raises
    ------
    Unavailable
        If the port is taken or not allowed.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Unavailable(
                f"port {port} of {HOST} cannot be used: {error.strerror}",
                "stop the server that uses it, or choose another port: --port PORT",
            ) from error
