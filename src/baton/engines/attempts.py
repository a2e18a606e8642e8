"""Retries and timeouts for the engines that run tasks themselves."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

from baton.core.artifact import Artifact
from baton.core.events import TaskRetried
from baton.core.execute import TaskRun, execute_task
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.core.task import Task
from baton.errors import BatonError


class TaskTimedOut(BatonError):
    """An attempt that took longer than its task allows."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(
            f"it took longer than its timeout of {timeout_s:g} s", "raise timeout_s, or look why it is slow"
        )


def run_with_retries(task: Task[..., Any], inputs: Mapping[str, Artifact], run: TaskRun) -> TaskReport:
    """Attempt a task until it is good or its retries are used up; return the last report."""
    delays_s = (*task.retry.delays_s, None)
    for attempt, delay_s in enumerate(delays_s, start=1):
        report = _attempt_in_time(task, inputs, run, attempt)
        if report.failure is None or report.failure.is_final or delay_s is None:
            break
        run.report(TaskRetried(task.name, attempt, len(delays_s), delay_s, report.failure.message))
        time.sleep(delay_s)
    return report


def _attempt_in_time(
    task: Task[..., Any], inputs: Mapping[str, Artifact], run: TaskRun, attempt: int
) -> TaskReport:
    if task.timeout_s is None:
        return execute_task(task, inputs, run, attempt=attempt)
    began = time.perf_counter()
    with _alarm_after(task.timeout_s):
        report = execute_task(task, inputs, run, attempt=attempt)
    late = time.perf_counter() - began > task.timeout_s
    if late and report.outcome is Outcome.SUCCEEDED:
        error = TaskTimedOut(task.timeout_s)
        return replace(report, outcome=Outcome.FAILED, outputs={}, failure=Failure(error.message, error.hint))
    return report


@contextmanager
def _alarm_after(timeout_s: float) -> Iterator[None]:
    """Raise `TaskTimedOut` in the running code after `timeout_s`.

    Works in the main thread of a POSIX system; elsewhere the caller notices afterwards.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_alarm(_signal: int, _frame: FrameType | None) -> None:
        raise TaskTimedOut(timeout_s)

    previous = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
