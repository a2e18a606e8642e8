"""A worker process: takes part in an execution and answers requests.  Started by `baton.engines.pool`."""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from baton.codetrace.observing import adopt_original_variables
from baton.core.execute import execute_task
from baton.engines.peer import Send, serve_parent
from baton.engines.protocol import (
    Answer,
    Attempt,
    BeginTracking,
    Ended,
    FinishTracking,
    Join,
    LookFor,
    Refused,
    Request,
    Seen,
    Tracked,
    decode_request,
)
from baton.engines.scheduling import attempt_in_time
from baton.errors import BatonError
from baton.processes.lifecycle import lower_priority
from baton.runs.execution import Execution

_ALONE_AT_MOST_S = 3.0


def serve(stream: IO[bytes], send: Send) -> None:
    """Join the execution in the first request, and answer all further requests."""
    requests = map(decode_request, _lines_while_parent_lives(stream))
    first = next(requests, None)
    if not isinstance(first, Join):
        return
    if first.low_priority:
        lower_priority()
    adopt_original_variables(first.originals)
    try:
        execution = Execution.join(first.spec, send)
    except BatonError as error:
        for _ in requests:
            send(Refused(message=error.message, hint=error.hint))
        return
    _get_ready(execution, first)
    for request in requests:
        if isinstance(request, Attempt | FinishTracking):
            execution = _in_tracking_run(execution, request.tracking_run_id)
        try:
            send(_answer(execution, request))
        except BatonError as error:
            send(Refused(message=error.message, hint=error.hint))


def _answer(execution: Execution, request: Request) -> Answer:
    match request:
        case Attempt():
            return _attempt(execution, request)
        case BeginTracking():
            return Tracked(run_id=execution.tracking_run.run_id)
        case FinishTracking():
            return _finish_tracking(execution, good=request.good)
        case LookFor():
            return _look_for(execution, request)
    raise TypeError(f"a worker cannot handle {request}")


def _in_tracking_run(execution: Execution, run_id: str) -> Execution:
    if not run_id or run_id == execution.known_tracking_run_id:
        return execution
    return execution.in_tracking_run(run_id)


def _attempt(execution: Execution, request: Attempt) -> Ended:
    run = execution.task_run
    if request.forced:
        run = replace(run, forced={**run.forced, request.task: request.forced})
    inputs = {made.name: made for made in request.inputs}
    attempt = attempt_in_time if request.is_timed else execute_task
    return Ended(report=attempt(execution.dag.task(request.task), inputs, run, attempt=request.number))


def _finish_tracking(execution: Execution, *, good: bool) -> Tracked:
    run_id = execution.finish_tracking(good=good)
    return Tracked(run_id=run_id, page=execution.tracking_run.url if run_id and good else "")


def _look_for(execution: Execution, request: LookFor) -> Seen:
    """Return in which of the shared places a note of the requesting process is visible."""
    execution.check()
    home = execution.project.home / request.note
    return Seen(
        in_store=execution.project.store.objects.read_text(request.note) == request.text,
        in_home=home.is_file() and home.read_text(encoding="utf-8") == request.text,
    )


def _get_ready(execution: Execution, first: Join) -> None:
    """Load what will be needed; errors here occur again, and are reported, when it is needed."""
    for module in first.modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    if first.low_priority and execution.is_tracked:
        with contextlib.suppress(BatonError):
            execution.tracker.get_ready()
            execution.task_run.code_digest()  # a tag of the tracking run: reads the sources in advance


def _lines_while_parent_lives(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream; some seconds after its end, exit this process, even in mid-task.

    The parent closes the stream when it needs nothing more, and the system closes it if the parent is
    killed: then nobody waits for the result.
    """
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put(b"")
        time.sleep(_ALONE_AT_MOST_S)
        os._exit(1)

    threading.Thread(target=read, name="requests", daemon=True).start()
    yield from iter(lines.get, b"")


def main() -> None:
    """Serve the parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it, and closes the stream
    serve_parent(serve)


if __name__ == "__main__":
    main()
