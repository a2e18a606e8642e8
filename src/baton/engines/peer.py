"""Two processes of a run: one asks over the other's standard streams, in the words of `protocol`.

Who answers ends when its standard input does, so that none outlives its starter.
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

from baton.codetrace.observing import given_environ
from baton.core.events import Event, Reporter
from baton.engines.protocol import Answer, Refused, Request, decode_answer, encode
from baton.errors import Unavailable
from baton.processes.lifecycle import collect_garbage_seldom, flush_or_discard, keep_stdin, keep_stdout, leave

Answered = TypeVar("Answered")
Send = Callable[[Answer], None]

_STOP_WITHIN_S = 5.0
_LOOK_EVERY_MS = 100
"""How soon whoever waits notices that nobody wants the answer any more."""


def always() -> bool:
    """Say that an answer is wanted, however long it takes."""
    return True


class Peer:
    """Starts a process that does what it is asked to.

    Parameters
    ----------
    module : str
        The program, which calls `answer_starter`.
    report : callable
        Takes the events that it sends.
    name, hint : str
        What people call it, and what to do where it ends too early.
    environ : mapping of str to str, optional
        Its environment; that which this process was given unless told otherwise.
    leads : bool
        Whether it leads a group of processes of its own, so that a Ctrl-C comes here first.
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
            env=given_environ() if environ is None else environ,
            start_new_session=leads,
        )
        self._report = report
        self._name = name
        self._hint = hint
        self._unread = b""

    def ask(self, request: Request, kind: type[Answered], is_wanted: Callable[[], bool] = always) -> Answered:
        """Return the answer to a request; events that come before it are reported here as they happen.

        Parameters
        ----------
        request : Request
            What to do.
        kind : type
            What is answered to such a request.
        is_wanted : callable
            Asked now and then while the other is busy.

        Raises
        ------
        Unavailable
            If the other cannot do it, its process ended, or the answer is not wanted any more.
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
        """Send a request to which there is no answer."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, as the next missing answer tells
            _stream(self.process.stdin).write(encode(request))
            _stream(self.process.stdin).flush()

    def kill(self) -> None:
        """End the other while it is busy, also from another thread than the one that waits for it."""
        self.process.kill()
        self.process.wait()

    def dismiss(self) -> None:
        """Ask for nothing more, so that the other ends; `close` waits for that."""
        with contextlib.suppress(BrokenPipeError):
            _stream(self.process.stdin).close()

    def close(self) -> None:
        """End the other, if need be by force."""
        self.dismiss()
        try:
            self.process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
        _stream(self.process.stdout).close()

    def _lines(self, is_wanted: Callable[[], bool]) -> Iterator[bytes]:
        """Yield what the other says until it ends.

        Between two looks an exception of another thread can reach this one.
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


def answer_starter(serve: Callable[[IO[bytes], Send], None]) -> NoReturn:
    """Do what the starter of this process asks for, then leave.

    Both standard streams are between the two: whatever else is printed goes to standard error, and
    nobody else reads.

    Parameters
    ----------
    serve : callable
        Takes the stream of requests and what sends an answer.
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
        pass  # the starter is gone
    except Exception:  # a defect: the starter tells that these are the last words
        traceback.print_exc()
        code = 1
    flush_or_discard(answers.fileno(), answers)
    leave(code)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
