"""A pool of workers: processes of this machine that take tasks from one scheduler."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from baton.core.artifact import Artifact
from baton.core.dag import Dag
from baton.core.events import TaskRetried
from baton.core.execute import describe
from baton.core.outcome import Outcome, TaskReport
from baton.core.task import Task
from baton.engines.worker import Worker, modules_for
from baton.errors import Unavailable
from baton.execution import Execution

AnyTask = Task[..., Any]


class Pool:
    """Starts workers as they are needed, one for each task that runs, and keeps them for the next.

    Tasks that record run in the recorder where it is free: a worker that loads the tracker beforehand.

    Parameters
    ----------
    execution : Execution
        What the workers take part in; its reporter is called from several threads.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._idle: list[Worker] = []
        self._all: list[Worker] = []
        self._recorder: Worker | None = None
        self._tracking_run_id = execution.tracking_run_id
        self._has_recorded = False
        self._closed = False
        self._lock = threading.Lock()
        self._tracking_lock = threading.Lock()

    def __enter__(self) -> Pool:
        """Start nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers, at once where something went wrong."""
        with self._lock:
            self._closed = True
        for worker in self._all:
            worker.close(at_once=kind is not None)

    def expect_tracking(self, dag: Dag) -> None:
        """Start the recorder, unless nothing records or it is there."""
        tracked = [task for task in dag.tasks if task.tracking]
        if tracked and self._recorder is None:
            self._recorder = self._new_worker(modules_for(tracked), steps_back=True)
            self._idle.append(self._recorder)

    def start(
        self,
        task: AnyTask,
        inputs: Mapping[str, Artifact],
        reason: str,
        on_end: Callable[[TaskReport], None],
    ) -> None:
        """Run a task in a worker for a reason; `on_end` is called with its report from another thread."""
        threading.Thread(
            target=lambda: on_end(self._run(task, inputs, reason)), name=task.name, daemon=True
        ).start()

    def continue_tracking(self, run_id: str) -> None:
        """Let what records from now on add to an earlier tracking run, unless this run has its own."""
        if run_id and not self._has_recorded:
            self._tracking_run_id = run_id

    def finish_tracking(self, *, good: bool) -> str:
        """Close the tracking run if any task recorded; return its id, or nothing where there is none."""
        if not self._has_recorded:
            return self._tracking_run_id
        worker = self._take_worker(tracking=True)
        return worker.finish_tracking(self._tracking_run_id, good=good)

    def _run(self, task: AnyTask, inputs: Mapping[str, Artifact], reason: str) -> TaskReport:
        """Run a task; a worker that dies counts as a failed attempt.

        Whatever goes wrong is in the report: the scheduler waits for one from this thread.
        """
        began = time.perf_counter()
        delays_s = (*task.retry.delays_s, None)
        for attempt, delay_s in enumerate(delays_s, start=1):
            try:
                return self._run_once(task, inputs, reason)
            except Exception as error:  # the thread's boundary: mostly a worker that ended
                failure = describe(error)
            if self._closed:
                break
            if delay_s is not None:
                told = TaskRetried(task.name, attempt, len(delays_s), delay_s, failure.message)
                self._execution.report(told)
                time.sleep(delay_s)
        return TaskReport(
            task.name,
            Outcome.FAILED,
            failure=failure,
            attempts=attempt,
            duration_s=time.perf_counter() - began,
        )

    def _run_once(self, task: AnyTask, inputs: Mapping[str, Artifact], reason: str) -> TaskReport:
        worker = self._take_worker(tracking=task.tracking is not None)
        report = worker.run(
            task.name,
            inputs,
            # A pure task looks again: another run may have computed it in the meantime.
            must_run=reason if task.effect else "",
            tracking_run_id=self._tracking_run(worker) if task.tracking else "",
        )
        with self._lock:
            self._idle.append(worker)
        return report

    def _tracking_run(self, worker: Worker) -> str:
        """Return the id of the tracking run, which is made once."""
        with self._tracking_lock:
            if not self._tracking_run_id:
                self._tracking_run_id = worker.begin_tracking()
            self._has_recorded = True
            return self._tracking_run_id

    def _take_worker(self, *, tracking: bool) -> Worker:
        with self._lock:
            if self._closed:
                raise Unavailable("the run is over")
            fitting = [worker for worker in self._idle if tracking or worker is not self._recorder]
            if not fitting:
                return self._new_worker()
            chosen = self._recorder if tracking and self._recorder in fitting else fitting[-1]
            assert chosen is not None
            self._idle.remove(chosen)
            return chosen

    def _new_worker(self, modules: tuple[str, ...] = (), *, steps_back: bool = False) -> Worker:
        worker = Worker(self._execution, modules, steps_back=steps_back)
        self._all.append(worker)
        return worker
