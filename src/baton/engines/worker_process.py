"""The worker's side: read what to do, do it, answer.  Started by `baton.engines.worker`."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import IO, Any

from baton.core.artifact import Artifact
from baton.core.events import Event
from baton.core.execute import execute_task
from baton.engines.attempts import run_with_retries
from baton.engines.worker import encode_event, encode_report
from baton.errors import BatonError
from baton.execution import Execution
from baton.process import (
    collect_garbage_seldom,
    flush_or_discard,
    keep_stdin,
    keep_stdout,
    leave,
    step_back,
)

_ALONE_AT_MOST_S = 3.0


def serve(requests: Iterable[bytes], answers: IO[bytes]) -> None:
    """Take part in the execution that the first request describes until there is no more."""

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()

    def report(event: Event) -> None:
        name, fields = encode_event(event)
        send({"event": name, "fields": fields})

    waiting = iter(requests)
    first = json.loads(next(waiting))
    if first["steps_back"]:
        step_back()
    try:
        execution = Execution.join(first["spec"], report)
    except BatonError as error:
        for _ in waiting:
            send({"error": error.message, "hint": error.hint})
        return
    _get_ready(execution, first["modules"], records=first["steps_back"])
    for line in waiting:
        request = json.loads(line)
        tracking_run_id = request.get("tracking_run_id", "")
        if tracking_run_id and tracking_run_id != execution.known_tracking_run_id:
            execution = execution.in_tracking_run(tracking_run_id)
        if request["do"] == "run":
            inputs = {fields["name"]: Artifact.from_dict(fields) for fields in request["inputs"]}
            run = execution.task_run
            if request["must_run"]:
                run = replace(run, forced={**run.forced, request["task"]: request["must_run"]})
            ended = run_with_retries(execution.dag.task(request["task"]), inputs, run)
            send({"answer": encode_report(ended)})
        elif request["do"] == "attempt":
            inputs = {fields["name"]: Artifact.from_dict(fields) for fields in request["inputs"]}
            task = execution.dag.task(request["task"])
            ended = execute_task(task, inputs, execution.task_run, attempt=request["number"])
            send({"answer": encode_report(ended)})
        else:
            try:
                looks = request["do"] == "look_for"
                send({"answer": (_look_for if looks else _about_tracking)(execution, request)})
            except BatonError as error:
                send({"error": error.message, "hint": error.hint})


def _about_tracking(execution: Execution, request: dict[str, Any]) -> str:
    match request["do"]:
        case "begin_tracking":
            return execution.tracking_run.run_id
        case "tracking_page":
            return execution.tracking_run.url
        case _:
            return execution.finish_tracking(good=request["good"])


def _look_for(execution: Execution, request: dict[str, Any]) -> list[bool]:
    """Say in which of the places that are to be shared a note of the asking process is seen."""
    execution.check()
    home = execution.project.home / request["note"]
    return [
        execution.project.store.objects.read_text(request["note"]) == request["text"],
        home.is_file() and home.read_text(encoding="utf-8") == request["text"],
    ]


def _get_ready(execution: Execution, modules: Iterable[str], *, records: bool) -> None:
    """Load what will be needed; what fails here fails again, and is told, when it is needed."""
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    if records and execution.is_tracked:
        with contextlib.suppress(BatonError):
            execution.tracker.get_ready()
            execution.task_run.code_digest()  # a tag of the tracking run: its sources are read by then


def _lines_while_parent_lives(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream; some seconds after its end, end this process, even in mid-task.

    The parent closes the stream when nothing is asked any more, and the system does where the parent
    was killed: then nobody waits for what is being computed.
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
    """Serve on the standard streams; what tasks print goes to standard error, and they read nothing."""
    collect_garbage_seldom()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and closes the stream
    requests, answers = os.fdopen(keep_stdin(), "rb"), os.fdopen(keep_stdout(), "wb")
    code = 0
    try:
        serve(_lines_while_parent_lives(requests), answers)
    except BrokenPipeError:
        pass  # the parent is gone
    except Exception:  # a defect: the parent tells that these are the last words
        traceback.print_exc()
        code = 1
    flush_or_discard(answers.fileno(), answers)
    leave(code)


if __name__ == "__main__":
    main()
