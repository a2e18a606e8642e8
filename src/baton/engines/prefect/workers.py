"""The worker processes of one execution: tasks are attempted there, and Prefect's threads wait.

A process can be ended when a task takes too long, when the run is cancelled, or by the system when
memory runs out, and the flow goes on; a thread cannot.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from baton.core.artifact import Artifact
from baton.core.events import TaskRetried
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.core.task import Task
from baton.engines.worker import Worker, modules_for
from baton.errors import Unavailable
from baton.execution import Execution

LOOK_EVERY_S = 0.1
"""How soon a waiting thread notices that Prefect ended its task."""

_MOST_WORKERS = 256

AnyTask = Task[..., Any]


class Workers:
    """Starts worker processes as they are needed, and keeps them for the next task.

    Tasks that take the tracking run have a worker of their own, which loads the tracker from the
    start, at low priority, while other tasks compute.

    Parameters
    ----------
    execution : Execution
        What they take part in; its reporter is called from several threads.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._lock = threading.Lock()
        self._tracking_lock = threading.Lock()
        self._idle: list[Worker] = []
        self._tracked: list[Worker] = []
        self._busy: set[Worker] = set()
        self._threads = ThreadPoolExecutor(_MOST_WORKERS, thread_name_prefix="baton-worker")
        self._stopping = False
        self._tracking_run_id = ""

    def get_ready(self) -> None:
        """Start the first workers."""
        self._idle.append(Worker(self._execution))
        if self._execution.is_tracked:
            self._tracked.append(self._start_tracked())

    def attempt(self, task: AnyTask, inputs: Mapping[str, Artifact], number: int) -> TaskReport:
        """Make one attempt in a worker; whatever goes wrong is in the report.

        An exception that Prefect raises in this thread, at a timeout, ends the worker and passes.
        """
        if self._stopping:
            return _lost(task, "the run is being stopped", number)
        try:
            if task.tracking is not None:
                self.open_tracking_run()
            worker = self._take(self._tracked if task.tracking is not None else self._idle)
            return self._attempt_in(worker, task, inputs, number)
        except Unavailable as error:
            return _lost(task, error.message, number, error.hint)

    def may_retry(self, retried: TaskRetried) -> bool:
        """Whether another attempt is still wanted; tell that it follows."""
        if self._stopping:
            return False
        self._execution.report(retried)
        return True

    def open_tracking_run(self) -> str:
        """Return the id of the execution's tracking run, which is made once.

        Raises
        ------
        Unavailable
            If the tracker cannot be used.
        """
        with self._tracking_lock:
            if not self._tracking_run_id:
                worker = self._take(self._tracked)
                self._tracking_run_id = worker.begin_tracking()
                self._execution = self._execution.in_tracking_run(self._tracking_run_id)
                self._give_back(worker, self._tracked)
            return self._tracking_run_id

    def finish_tracking(self, *, good: bool) -> tuple[str, str]:
        """Close the tracking run; return its id and page, or nothing where none was made."""
        if not self._tracking_run_id:
            return "", ""
        worker = self._take(self._tracked)
        worker.finish_tracking(self._tracking_run_id, good=good)
        page = worker.tracking_page()
        self._give_back(worker, self._tracked)
        return self._tracking_run_id, page

    def close(self) -> None:
        """End all workers: those at rest as they wish, those at work by force."""
        self._stopping = True
        with self._lock:
            for worker in self._busy:
                worker.kill()
            resting = [*self._idle, *self._tracked]
            self._idle.clear()
            self._tracked.clear()
        for worker in resting:
            worker.close()
        self._threads.shutdown()

    def _attempt_in(
        self, worker: Worker, task: AnyTask, inputs: Mapping[str, Artifact], number: int
    ) -> TaskReport:
        own = {name: inputs[name] for name in task.inputs} if task.context is None else inputs
        # Events are told within Prefect's context of this task run.
        context = contextvars.copy_context()
        try:
            answer = self._threads.submit(context.run, worker.attempt, task.name, own, number)
            while not wait([answer], timeout=LOOK_EVERY_S).done:
                pass  # between two looks an exception can reach this thread
            report = answer.result()
        except BaseException:
            worker.kill()
            with self._lock:
                self._busy.discard(worker)
            self._threads.submit(worker.close)
            raise
        self._give_back(worker, self._tracked if task.tracking is not None else self._idle)
        return report

    def _take(self, resting: list[Worker]) -> Worker:
        with self._lock:
            if resting:
                worker = resting.pop()
            elif resting is self._tracked:
                worker = self._start_tracked()
            else:
                worker = Worker(self._execution)
            self._busy.add(worker)
        return worker

    def _give_back(self, worker: Worker, resting: list[Worker]) -> None:
        with self._lock:
            self._busy.discard(worker)
            resting.append(worker)

    def _start_tracked(self) -> Worker:
        tracked = [task for task in self._execution.dag.tasks if task.tracking]
        return Worker(self._execution, modules_for(tracked), steps_back=True)


def _lost(task: AnyTask, message: str, number: int, hint: str = "") -> TaskReport:
    return TaskReport(task.name, Outcome.FAILED, failure=Failure(message, hint), attempts=number)
