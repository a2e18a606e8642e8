"""Retries and timeouts for the engines that run tasks themselves."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from types import FrameType
from typing import Any

from baton.core.artifact import Artifact
from baton.core.events import Event, TaskRetried, TaskStarted
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
    with _Alarm(task.timeout_s) as alarm:

        def report_and_count(event: Event) -> None:
            run.report(event)
            if isinstance(event, TaskStarted):  # waiting for another run's lock is over
                alarm.start()

        report = execute_task(task, inputs, replace(run, report=report_and_count), attempt=attempt)
    if alarm.is_late and report.outcome is Outcome.SUCCEEDED:
        error = TaskTimedOut(task.timeout_s)
        return replace(report, outcome=Outcome.FAILED, outputs={}, failure=Failure(error.message, error.hint))
    return report


class _Alarm:
    """Raises `TaskTimedOut` in the running code, some time after it was started.

    Works in the main thread of a POSIX system; elsewhere the caller notices afterwards.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._began: float | None = None
        self._previous: Any = None
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._can_ring = hasattr(signal, "setitimer") and in_main_thread

    @property
    def is_late(self) -> bool:
        return self._began is not None and time.perf_counter() - self._began > self._timeout_s

    def start(self) -> None:
        self._began = time.perf_counter()
        if self._can_ring:
            signal.setitimer(signal.ITIMER_REAL, self._timeout_s)

    def __enter__(self) -> _Alarm:
        if self._can_ring:
            self._previous = signal.signal(signal.SIGALRM, self._ring)
        return self

    def __exit__(self, *_: object) -> None:
        if self._can_ring:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._previous)

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        raise TaskTimedOut(self._timeout_s)
