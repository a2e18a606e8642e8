"""A worker: another process of this machine that takes part in an execution when asked to.

The two talk over the worker's standard streams, in the words of `baton.engines.protocol`.  A worker
ends when its standard input does, so that none outlives its parent.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, Protocol, TypeVar

from baton.core.events import Event, Reporter
from baton.engines.protocol import Join, Refused, Request, decode_answer, encode
from baton.errors import Unavailable

Answered = TypeVar("Answered")

_STOP_WITHIN_S = 5.0
_LOOK_EVERY_MS = 100
"""How soon whoever waits notices that nobody wants the answer any more."""


class Described(Protocol):
    """An execution as far as one must know it to start workers: itself, or what another process says."""

    @property
    def report(self) -> Reporter:
        """Takes events as they happen."""

    def spec(self) -> Mapping[str, Any]:
        """Return what `baton.execution.Execution.join` takes."""


def always() -> bool:
    """Say that an answer is wanted, however long it takes."""
    return True


class Worker:
    """Starts a worker.

    Parameters
    ----------
    execution : Execution or what describes one
        What it takes part in.
    modules, steps_back
        As in `baton.engines.protocol.Join`.
    """

    def __init__(
        self, execution: Described, modules: Sequence[str] = (), *, steps_back: bool = False
    ) -> None:
        self._report: Reporter = execution.report
        self._process = subprocess.Popen(
            [sys.executable, "-m", "baton.engines.worker_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._unread = b""
        self._send(Join(spec=dict(execution.spec()), modules=tuple(modules), steps_back=steps_back))

    def ask(self, request: Request, kind: type[Answered], is_wanted: Callable[[], bool] = always) -> Answered:
        """Return the answer to a request; events that come before it are reported here as they happen.

        Parameters
        ----------
        request : Request
            What to do.
        kind : type
            What is answered to such a request.
        is_wanted : callable
            Asked now and then while the worker is busy.

        Raises
        ------
        Unavailable
            If the worker cannot do it, its process ended, or the answer is not wanted any more.
        """
        self._send(request)
        for line in self._lines(is_wanted):
            answer = decode_answer(line)
            if isinstance(answer, Refused):
                raise Unavailable(answer.message, answer.hint)
            if isinstance(answer, kind):
                return answer
            assert isinstance(answer, Event)
            self._report(answer)
        raise Unavailable(
            f"a worker process ended with code {self._process.wait()}",
            "look above for its last words, and run again",
        )

    def kill(self) -> None:
        """End the worker in mid-task, also from another thread than the one that waits for it."""
        self._process.kill()
        self._process.wait()

    def dismiss(self) -> None:
        """Ask the worker for nothing more, so that it ends; `close` waits for that."""
        with contextlib.suppress(BrokenPipeError):
            _stream(self._process.stdin).close()

    def close(self) -> None:
        """End the worker, if need be by force."""
        self.dismiss()
        try:
            self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
        _stream(self._process.stdout).close()

    def _send(self, request: Request) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended, as the missing answer tells
            _stream(self._process.stdin).write(encode(request))
            _stream(self._process.stdin).flush()

    def _lines(self, is_wanted: Callable[[], bool]) -> Iterator[bytes]:
        """Yield what the worker says until it ends.

        Between two looks an exception of another thread can reach this one.
        """
        stream = _stream(self._process.stdout).fileno()
        says = select.poll()
        says.register(stream)
        while True:
            while b"\n" not in self._unread:
                if not says.poll(_LOOK_EVERY_MS):
                    if not is_wanted():
                        raise Unavailable("the run was stopped")
                    continue
                some = os.read(stream, 65536)
                if not some:
                    return
                self._unread += some
            line, _, self._unread = self._unread.partition(b"\n")
            yield line


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
