"""A worker: another process of this machine that runs tasks when told to.

The two talk in JSON lines over the worker's standard streams.  A worker ends when its standard
input does, so that none outlives its parent.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Protocol

import msgspec

from baton.core import events
from baton.core.artifact import Artifact
from baton.core.events import Event, Reporter
from baton.core.outcome import TaskReport
from baton.core.task import Task
from baton.errors import Unavailable

_STOP_WITHIN_S = 5.0


class Described(Protocol):
    """An execution as far as one must know it to start workers: itself, or what another process says."""

    @property
    def report(self) -> Reporter:
        """Takes events as they happen."""

    def spec(self) -> Mapping[str, Any]:
        """Return what `baton.execution.Execution.join` takes."""


class Worker:
    """Starts a worker that takes part in an execution.

    Parameters
    ----------
    execution : Execution or what describes one
        What it takes part in.
    modules : sequence of str
        What it imports at once, before it is told to run anything.
    steps_back : bool
        Whether the worker gets ready for tasks that record, and leaves the processor to whoever wants it.
    environ : mapping of str to str, optional
        Its environment variables; those of this process unless given.
    """

    def __init__(
        self,
        execution: Described,
        modules: Sequence[str] = (),
        *,
        steps_back: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._report: Reporter = execution.report
        self._process = subprocess.Popen(
            [sys.executable, "-m", "baton.engines.worker_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
        )
        self._send({"spec": dict(execution.spec()), "modules": list(modules), "steps_back": steps_back})

    def run(
        self, task: str, inputs: Mapping[str, Artifact], *, must_run: str = "", tracking_run_id: str = ""
    ) -> TaskReport:
        """Run a task with its retries; its events are reported here as they happen.

        Parameters
        ----------
        task : str
            Name of the task.
        inputs : mapping of str to Artifact
            Every artifact made so far.
        must_run : str
            Why the task runs whatever is remembered; nothing where the worker decides.
        tracking_run_id : str
            The tracking run to add to; the worker's own where empty.

        Raises
        ------
        Unavailable
            If the worker's process ended.
        """
        made = [artifact.as_dict() for artifact in inputs.values()]
        self._send(
            {
                "do": "run",
                "task": task,
                "inputs": made,
                "must_run": must_run,
                "tracking_run_id": tracking_run_id,
            }
        )
        return decode_report(self._answer())

    def attempt(
        self, task: str, inputs: Mapping[str, Artifact], number: int, tracking_run_id: str = ""
    ) -> TaskReport:
        """Make one attempt at a task, without retries or timeout: the engine sees to these.

        Raises
        ------
        Unavailable
            If the worker cannot take part, or its process ended.
        """
        made = [artifact.as_dict() for artifact in inputs.values()]
        self._send(
            {
                "do": "attempt",
                "task": task,
                "inputs": made,
                "number": number,
                "tracking_run_id": tracking_run_id,
            }
        )
        return decode_report(self._answer())

    def look_for(self, note: str, text: str) -> tuple[bool, bool]:
        """Return whether the store, and the folder of what baton writes, hold a note with this text.

        Raises
        ------
        Unavailable
            If the worker cannot take part: no pipeline, no folder, no store, no tracker.
        """
        self._send({"do": "look_for", "note": note, "text": text})
        in_store, in_home = self._answer()
        return in_store, in_home

    def begin_tracking(self) -> str:
        """Make the execution's tracking run; return its id.

        Raises
        ------
        Unavailable
            If the tracker cannot be used, or the worker's process ended.
        """
        self._send({"do": "begin_tracking"})
        return str(self._answer())

    def tracking_page(self) -> str:
        """Return the address of the tracking run's page, or the command that serves it.

        Raises
        ------
        Unavailable
            If the tracker cannot be used, or the worker's process ended.
        """
        self._send({"do": "tracking_page"})
        return str(self._answer())

    def finish_tracking(self, tracking_run_id: str = "", *, good: bool) -> str:
        """Close the execution's tracking run; return its id, or nothing where there is none."""
        self._send({"do": "finish_tracking", "tracking_run_id": tracking_run_id, "good": good})
        return str(self._answer())

    def close(self, *, at_once: bool = False) -> None:
        """End the worker, if need be by force; `at_once` even in mid-task."""
        if at_once:
            self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            _stream(self._process.stdin).close()
        try:
            self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _stream(self._process.stdout).close()

    def kill(self) -> None:
        """End the worker in mid-task, from another thread than the one that waits for it."""
        self._process.kill()

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            _stream(self._process.stdin).write(json.dumps(message).encode() + b"\n")
            _stream(self._process.stdin).flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def _answer(self) -> Any:
        """Pass events on until the answer comes."""
        for line in _stream(self._process.stdout):
            message = json.loads(line)
            if "event" in message:
                self._report(decode_event(message["event"], message["fields"]))
            elif "error" in message:
                raise Unavailable(message["error"], message["hint"])
            else:
                return message["answer"]
        raise self._ended()

    def _ended(self) -> Unavailable:
        return Unavailable(
            f"a worker process ended with code {self._process.wait()}",
            "look above for its last words, and run again",
        )


def modules_for(tasks: Iterable[Task[..., Any]]) -> tuple[str, ...]:
    """Return what a worker imports to load the inputs of its tasks."""
    return tuple(sorted({kind.module for task in tasks for kind in task.inputs.values()} - {""}))


def encode_report(report: TaskReport) -> Any:
    """Return a report as plain JSON values."""
    return msgspec.to_builtins(report)


def decode_report(fields: Any) -> TaskReport:
    """Return the report that `encode_report` was given."""
    return msgspec.convert(fields, TaskReport)


def encode_event(event: Event) -> tuple[str, Any]:
    """Return an event's type and fields as plain JSON values."""
    return type(event).__name__, msgspec.to_builtins(event)


def decode_event(name: str, fields: Any) -> Event:
    """Return the event that `encode_event` was given."""
    event: Event = msgspec.convert(fields, getattr(events, name))
    return event


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
