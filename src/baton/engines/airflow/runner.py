"""The process of a local run: Airflow's own test runner over the DAG.

It takes one request on its standard input and answers in JSON lines on its standard output; what
Airflow and tasks print goes to standard error.  Started by `baton.engines.airflow.engine`, with
Airflow's variables set: Airflow reads them when it is imported.
"""

from __future__ import annotations

import json
import os
import signal
import traceback
from pathlib import Path
from types import FrameType
from typing import IO, Any

from baton.core.events import Event
from baton.engines.airflow.ends import Ends
from baton.engines.airflow.home import make_database
from baton.engines.airflow.part import LocalPart
from baton.engines.worker import encode_event, encode_report
from baton.execution import Execution
from baton.process import collect_garbage_seldom, keep_stdin, keep_stdout, leave
from baton.tied_process import end_with_starter


def run(request: dict[str, Any], answers: IO[bytes]) -> None:
    """Run the execution that the request describes, and answer with how it ended."""

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()

    def report(event: Event) -> None:
        name, fields = encode_event(event)
        send({"event": name, "fields": fields})

    execution = Execution.join(request["spec"], report)
    ends = Ends(execution, keep_going=request["keep_going"])
    part = LocalPart(execution, ends)
    _run_airflow(execution, part, Path(request["home"]), Path(request["kept"]))
    ended = ends.complete()
    send({"answer": [encode_report(one) for one in ended.tasks], "tracking_run_id": part.tracking_run_id})


def _run_airflow(execution: Execution, part: LocalPart, home: Path, kept: Path) -> None:
    from airflow import settings

    settings.initialize()  # type: ignore[no-untyped-call]  # Airflow's, without types
    make_database(home, kept)

    from baton.engines.airflow.dag import local_dag

    pipeline = execution.project.configuration.settings.baton.pipeline
    local_dag(execution.project.folder, pipeline, execution.targets, part).test()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Serve one request."""
    collect_garbage_seldom()
    signal.signal(signal.SIGINT, _interrupt)
    requests, answers = os.fdopen(keep_stdin(), "rb"), os.fdopen(keep_stdout(), "wb")
    request = json.loads(requests.readline())
    end_with_starter(lambda: os._exit(1), requests.fileno())
    code = 0
    try:
        run(request, answers)
    except Exception:  # whatever Airflow raises: the log has it, and the command tells where the log is
        traceback.print_exc()
        code = 1
    leave(code)


if __name__ == "__main__":
    main()
