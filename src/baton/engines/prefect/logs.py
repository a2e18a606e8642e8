"""Write events to Prefect's logs, and suppress Prefect's own console output."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.events.worker import EventsWorker
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from prefect.logging.handlers import APILogWorker

from baton.core.events import (
    Event,
    Reporter,
    RunNoted,
    TaskFinished,
    TaskLogged,
    TaskRetried,
    TaskStarted,
    one_at_a_time,
)

_SEND_WITHIN_S = 5
_NOTHING = logging.CRITICAL + 1


def logged_in_prefect(report: Reporter) -> Reporter:
    """Return a reporter that also writes to the logs of the current flow run or task run.

    It is thread-safe; `report` gets one event at a time.
    """
    pass_on = one_at_a_time(report)

    def emit(event: Event) -> None:
        pass_on(event)
        level, text = log_line(event)
        if not text:
            return
        try:
            get_run_logger().log(level, text)
        except MissingContextError:
            return  # not in a run: no log

    return emit


def log_line(event: Event) -> tuple[int, str]:
    """Return the level and text of an event for the logs; an empty text for no entry."""
    match event:
        case RunNoted():
            return logging.WARNING, event.message
        case TaskStarted():
            return logging.INFO, f"runs: {event.reason}"
        case TaskLogged():
            return logging.INFO, event.message
        case TaskRetried():
            return logging.WARNING, (
                f"attempt {event.attempt} of {event.attempts} failed: {event.message}; "
                f"retrying in {event.delay_s:g} s"
            )
        case TaskFinished(ended) if ended.failure is not None:
            trace = f"\n{ended.failure.traceback}" if ended.failure.traceback else ""
            return logging.ERROR, f"{ended.task} failed: {ended.failure.message}{trace}"
    return logging.NOTSET, ""  # Prefect logs success itself


def send_logs() -> None:
    """Flush pending logs and task run events to Prefect's server.

    Prefect does so at exit: too late for a long-lived process, and for a server that stops with its run.
    """
    EventsWorker.drain_all(timeout=_SEND_WITHIN_S)
    APILogWorker.drain_all(timeout=_SEND_WITHIN_S)


def drop_thread_warning() -> None:
    """Drop Prefect's warning that a task in a thread cannot be interrupted: ours can."""
    logging.getLogger("prefect.task_runs").addFilter(_is_not_thread_warning)


def _is_not_thread_warning(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Timeout of %s seconds configured for this task")


@contextmanager
def quiet_console() -> Iterator[None]:
    """Keep Prefect from writing to the terminal, but not to its server."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "prefect"]
    handlers = {
        handler: handler.level
        for logger in [logging.root, *(logging.getLogger(name) for name in names)]
        for handler in logger.handlers
        if type(handler).__module__.startswith("prefect.") and isinstance(handler, logging.StreamHandler)
    }
    for handler in handlers:
        handler.setLevel(_NOTHING)
    # If the server is gone, Prefect would also report each lost batch of logs on stderr.
    raises, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = raises
        for handler, level in handlers.items():
            handler.setLevel(level)
