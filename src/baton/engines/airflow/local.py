"""The process of a local run: Airflow's test runner with the DAG.

It reads one request from standard input and answers on standard output, see `baton.engines.protocol`.
Output of tasks goes to standard error, Airflow's own to a file.  `baton.engines.airflow.engine` starts it
with Airflow's variables set, because Airflow reads them on import.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

from baton.engines.airflow.environment import make_database
from baton.engines.airflow.part import LocalPart
from baton.engines.peer import Send, serve_parent
from baton.engines.protocol import RunEnded, RunInAirflow, decode_request
from baton.processes.tied import exit_with_parent
from baton.runs.execution import Execution


def run(requests: IO[bytes], send: Send) -> None:
    """Run the execution in the request, and send its result."""
    request = decode_request(requests.readline())
    assert isinstance(request, RunInAirflow)
    exit_with_parent(lambda: os._exit(1), requests.fileno())
    shown = os.dup(2)
    _write_into(os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    with _writing_into(shown):
        execution = Execution.join(request.spec, send)
    part = LocalPart(execution, keep_going=request.keep_going, user_code=lambda: _writing_into(shown))
    _run_airflow(execution, part, Path(request.home), Path(request.kept))
    ended = part.complete()
    send(RunEnded(tasks=ended.tasks, tracking_run_id=part.tracking_run_id))


def _run_airflow(execution: Execution, part: LocalPart, home: Path, kept: Path) -> None:
    from airflow import settings

    settings.initialize()  # type: ignore[no-untyped-call]  # Airflow's, without types
    make_database(home, kept)

    from baton.engines.airflow.dag import local_dag

    _build_only_the_newest_api()
    project = execution.project
    pipeline = project.configuration.settings.baton.pipeline
    local_dag(project.folder, pipeline, execution.targets, project.elements, part).test()


def _build_only_the_newest_api() -> None:
    """Let the test runner build its API for tasks in the version that it uses, not in all versions.

    It serves that API to itself, always in the newest version.  The others take a third of the time of a
    short run.  If an Airflow is not built like this, it builds all of them.
    """
    with suppress(ImportError, AttributeError):
        from airflow.api_fastapi.execution_api import versions
        from airflow.api_fastapi.execution_api.routes import execution_api_router
        from airflow.sdk.api.datamodels._generated import API_VERSION
        from cadwyn import Version, VersionBundle
        from cadwyn.route_generation import _DELETED_ROUTE_TAG

        if versions.bundle.versions[0].value != API_VERSION:
            return
        newest = VersionBundle(versions.bundle.head_version, Version(API_VERSION))
        routes = execution_api_router.routes
        # Cadwyn refuses routes that only older versions have, if there are no older versions.
        routes[:] = [route for route in routes if _DELETED_ROUTE_TAG not in getattr(route, "tags", ())]
        versions.bundle = newest


@contextmanager
def _writing_into(descriptor: int) -> Iterator[None]:
    """Redirect both output streams of this process, at every level, to a file descriptor."""
    before = os.dup(1)
    _write_into(descriptor)
    try:
        yield
    finally:
        _write_into(before)
        os.close(before)


def _write_into(descriptor: int) -> None:
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        stream.flush()
        os.dup2(descriptor, number)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Serve the parent; Airflow's errors are in the log, whose path the parent reports."""
    signal.signal(signal.SIGINT, _interrupt)
    serve_parent(run)


if __name__ == "__main__":
    main()
