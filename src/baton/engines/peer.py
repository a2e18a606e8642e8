"""Two processes of a run: a parent sends requests over the child's standard streams, see `protocol`.

The child exits when its standard input closes, so that it never outlives its parent.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import IO, NoReturn, TypeVar

from baton.core.events import Event, Reporter
from baton.engines.protocol import Answer, Refused, Request, decode_answer, encode
from baton.errors import Unavailable
from baton.processes.lifecycle import collect_garbage_seldom, flush_or_discard, keep_stdin, keep_stdout, leave

Answered = TypeVar("Answered")
Send = Callable[[Answer], None]

_STOP_WITHIN_S = 5.0
_LOOK_EVERY_MS = 100
"""How often the parent checks whether it still wants the answer."""


def always() -> bool:
    """Return True: the answer is wanted, however long it takes."""
    return True


class Peer:
    """Starts a child process and sends it requests.

    Parameters
    ----------
    module : str
        The program, which calls `serve_parent`.
    report : callable
        Receives the events that it sends.
    name, hint : str
        What users call it, and a hint for when it exits early.
    environ : mapping of str to str, optional
        Its environment; this process's unless given.
    leads : bool
        Whether it leads its own process group, so that Ctrl-C reaches only this process.
    """

    def __init__(
        self,
        module: str,
        report: Reporter,
        *,
        name: str,
        hint: str,
        environ: Mapping[str, str] | None = None,
        leads: bool = False,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            start_new_session=leads,
        )
        self._report = report
        self._name = name
        self._hint = hint
        self._unread = b""

    def ask(self, request: Request, kind: type[Answered], is_wanted: Callable[[], bool] = always) -> Answered:
        """Return the answer to a request; pass on events that arrive before it.

        Parameters
        ----------
        request : Request
            The request.
        kind : type
            Type of the answer.
        is_wanted : callable
            Called regularly while waiting.

        Raises
        ------
        Unavailable
            If the child refuses, exits, or the answer is no longer wanted.
        """
        self.send(request)
        for line in self._lines(is_wanted):
            answer = decode_answer(line)
            if isinstance(answer, Refused):
                raise Unavailable(answer.message, answer.hint)
            if isinstance(answer, kind):
                return answer
            assert isinstance(answer, Event)
            self._report(answer)
        raise Unavailable(f"{self._name} ended with code {self.process.wait()}", self._hint)

    def send(self, request: Request) -> None:
        """Send a request that has no answer."""
        with contextlib.suppress(BrokenPipeError):  # it has exited, which the next request reports
            _stream(self.process.stdin).write(encode(request))
            _stream(self.process.stdin).flush()

    def kill(self) -> None:
        """Kill the child while it is busy; safe to call from any thread."""
        self.process.kill()
        self.process.wait()

    def dismiss(self) -> None:
        """Send no more requests, so that the child exits; `close` waits for that."""
        with contextlib.suppress(BrokenPipeError):
            _stream(self.process.stdin).close()

    def close(self) -> None:
        """Stop the child, by force if necessary."""
        self.dismiss()
        try:
            self.process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
        _stream(self.process.stdout).close()

    def _lines(self, is_wanted: Callable[[], bool]) -> Iterator[bytes]:
        """Yield the child's output lines until it exits.

        Polls, so that another thread can raise an exception in this one.
        """
        stream = _stream(self.process.stdout).fileno()
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


def serve_parent(serve: Callable[[IO[bytes], Send], None]) -> NoReturn:
    """Answer the requests of this process's parent, then exit.

    Standard input and output belong to the two processes: all other output goes to standard error, and
    nothing else reads standard input.

    Parameters
    ----------
    serve : callable
        Takes the stream of requests and a function that sends an answer.
    """
    collect_garbage_seldom()
    requests, answers = os.fdopen(keep_stdin(), "rb"), os.fdopen(keep_stdout(), "wb")

    def send(message: Answer) -> None:
        answers.write(encode(message))
        answers.flush()

    code = 0
    try:
        serve(requests, send)
    except BrokenPipeError:
        pass  # the parent is gone
    except Exception:  # a bug: the parent reports the exit
        traceback.print_exc()
        code = 1
    flush_or_discard(answers.fileno(), answers)
    leave(code)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
