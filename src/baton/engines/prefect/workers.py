"""The worker processes of one execution: tasks are attempted there, and Prefect's threads wait.

A process can be ended when a task takes too long, when the run is cancelled, or by the system when
memory runs out, and the flow goes on; a thread cannot.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from baton.core.artifact import Artifact
from baton.core.events import TaskRetried
from baton.core.outcome import TaskReport
from baton.engines.prefect.tasks import DeclaredTask, lost
from baton.engines.worker import Described, Worker
from baton.errors import Unavailable

LOOK_EVERY_S = 0.1
"""How soon a waiting thread notices that Prefect ended its task, or that nobody wants it any more."""

_MOST_WORKERS = 256


def always() -> bool:
    """Say that a task is wanted to its end."""
    return True


class Workers:
    """Starts worker processes as they are needed, and keeps them for the next task.

    Tasks that take the tracking run can have a worker of their own, which loads the tracker from the
    start, at low priority, while other tasks compute.

    Parameters
    ----------
    execution : Execution or what describes one
        What they take part in; its reporter is called from several threads.
    recorder_modules : sequence of str, optional
        What a worker of the tasks that record imports at once; None where these have no worker of their own.
    """

    def __init__(self, execution: Described, recorder_modules: Sequence[str] | None = None) -> None:
        self._execution = execution
        self._recorder_modules = recorder_modules
        self._lock = threading.Lock()
        self._tracking_lock = threading.Lock()
        self._idle: list[Worker] = []
        self._recorders: list[Worker] = self._idle if recorder_modules is None else []
        self._busy: set[Worker] = set()
        self._threads = ThreadPoolExecutor(_MOST_WORKERS, thread_name_prefix="baton-worker")
        self._stopping = False
        self._tracking_run_id = ""

    def get_ready(self, *, attempts: bool = True, records: bool = True) -> None:
        """Start the first worker for attempts, and the first one that records."""
        if attempts:
            self._idle.append(Worker(self._execution))
        if records and self._recorders is not self._idle:
            self._recorders.append(self._start_recorder())

    def look_for(self, note: str, text: str) -> tuple[bool, bool]:
        """Let a worker make sure that it can take part, and look, as `Worker.look_for`.

        Raises
        ------
        Unavailable
            If it cannot.
        """
        worker = self._take(self._idle)
        try:
            return worker.look_for(note, text)
        finally:
            self._give_back(worker, self._idle)

    def end_resting(self) -> None:
        """End the workers that have nothing to do."""
        with self._lock:
            resting = {*self._idle, *self._recorders}
            self._idle.clear()
            self._recorders.clear()
        for worker in resting:
            worker.close()

    def attempt(
        self,
        task: DeclaredTask,
        inputs: Mapping[str, Artifact],
        number: int,
        tracking_run_id: str = "",
        is_wanted: Callable[[], bool] = always,
    ) -> TaskReport:
        """Make one attempt in a worker; whatever goes wrong is in the report.

        An exception that Prefect raises in this thread, at a timeout, ends the worker and passes.

        Parameters
        ----------
        task : DeclaredTask
            The task.
        inputs : mapping of str to Artifact
            What it takes.
        number : int
            The attempt's number, from 1.
        tracking_run_id : str
            The execution's tracking run, where it was made elsewhere.
        is_wanted : callable
            Asked now and then; when it says no, the worker is ended.
        """
        if self._stopping:
            return lost(task, "the run is being stopped", number)
        try:
            if task.is_tracked:
                tracking_run_id = tracking_run_id or self.open_tracking_run()
            resting = self._recorders if task.is_tracked else self._idle
            worker = self._take(resting)
            try:
                report = self._attempt_in(worker, task, inputs, number, tracking_run_id, is_wanted)
            except BaseException:
                worker.kill()
                with self._lock:
                    self._busy.discard(worker)
                self._threads.submit(worker.close)
                raise
            self._give_back(worker, resting)
            return report
        except Unavailable as error:
            return lost(task, error.message, number, error.hint)

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
                worker = self._take(self._recorders)
                self._tracking_run_id = worker.begin_tracking()
                self._give_back(worker, self._recorders)
            return self._tracking_run_id

    def finish_tracking(self, *, good: bool) -> tuple[str, str]:
        """Close the tracking run; return its id and page, or nothing where none was made."""
        if not self._tracking_run_id:
            return "", ""
        worker = self._take(self._recorders)
        worker.finish_tracking(self._tracking_run_id, good=good)
        page = worker.tracking_page()
        self._give_back(worker, self._recorders)
        return self._tracking_run_id, page

    def close(self) -> None:
        """End all workers: those at rest as they wish, those at work by force."""
        self._stopping = True
        with self._lock:
            for worker in self._busy:
                worker.kill()
        self.end_resting()
        self._threads.shutdown()

    def _attempt_in(
        self,
        worker: Worker,
        task: DeclaredTask,
        inputs: Mapping[str, Artifact],
        number: int,
        tracking_run_id: str,
        is_wanted: Callable[[], bool],
    ) -> TaskReport:
        # Events are told within Prefect's context of this task run.
        context = contextvars.copy_context()
        answer = self._threads.submit(context.run, worker.attempt, task.name, inputs, number, tracking_run_id)
        while not wait([answer], timeout=LOOK_EVERY_S).done:
            # Between two looks an exception can reach this thread.
            if not is_wanted():
                raise Unavailable("the run was stopped")
        return answer.result()

    def _take(self, resting: list[Worker]) -> Worker:
        with self._lock:
            if resting:
                worker = resting.pop()
            elif resting is self._idle:
                worker = Worker(self._execution)
            else:
                worker = self._start_recorder()
            self._busy.add(worker)
        return worker

    def _give_back(self, worker: Worker, resting: list[Worker]) -> None:
        with self._lock:
            self._busy.discard(worker)
            resting.append(worker)

    def _start_recorder(self) -> Worker:
        return Worker(self._execution, self._recorder_modules or (), steps_back=True)
