"""Run an execution and keep its record, on whichever way it was started."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from baton.core.events import RunFinished, RunStarted
from baton.core.outcome import RunReport
from baton.errors import Unavailable
from baton.runs.execution import Execution
from baton.runs.records import RunRecord, running, write_run


def record_run(execution: Execution, run: Callable[[], RunReport]) -> RunReport:
    """Run an execution and keep its record: running, then how it ended, was given up or interrupted."""
    home = execution.project.home
    record = RunRecord.begin(execution.task_run, execution.targets)
    with running(home, record):
        names = tuple(task.name for task in execution.dag.order)
        execution.report(
            RunStarted(execution.run_id, execution.dag.name, execution.engine, execution.targets, names)
        )
        try:
            ended = run()
        except BaseException as error:
            with contextlib.suppress(Unavailable):  # what ended the run is what is told
                write_run(home, record.given_up() if isinstance(error, Exception) else record.interrupted())
            raise
        write_run(home, record.ended(ended))
        execution.report(RunFinished(ended))
        return ended
