"""Write events to the log of the Airflow task."""

from __future__ import annotations

import logging

from baton.core.events import Event, RunNoted, TaskFinished, TaskLogged, TaskRetried, TaskStarted
from baton.core.outcome import TaskReport

_log = logging.getLogger("baton")


def logged_in_airflow(event: Event) -> None:
    """Write an event to the log of the Airflow task."""
    match event:
        case RunNoted():
            _log.warning("%s", event.message)
        case TaskStarted():
            _log.info("%s: started: %s", event.task, event.reason)
        case TaskLogged():
            _log.info("%s: %s", event.task, event.message)
        case TaskRetried():
            _log.warning(
                "%s: attempt %d of %d failed: %s", event.task, event.attempt, event.attempts, event.message
            )
        case TaskFinished():
            _log.info("%s", report_line(event.report))


def report_line(report: TaskReport) -> str:
    """Return one line about how a task ended."""
    reason = f" ({report.reason})" if report.reason else ""
    facts = "".join(f"; {label}: {value}" for label, value in report.facts)
    failure = f": {report.failure.message}" if report.failure else ""
    return f"{report.task}: {report.outcome.value}{failure}{reason}, {report.duration_s:.2f} s{facts}"
