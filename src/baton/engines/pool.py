"""A pool of workers: local processes that run the tasks of one execution.

A process, unlike a thread, can be killed when a task takes too long or the run is stopped, and the run
survives if the system kills it for lack of memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol

import msgspec

from baton.codetrace.observing import original_variables
from baton.core.events import Reporter, TaskRetried
from baton.core.execute import describe
from baton.core.outcome import Outcome, TaskReport
from baton.engines.peer import Peer, always
from baton.engines.protocol import (
    Attempt,
    BeginTracking,
    Ended,
    FinishTracking,
    Join,
    LookFor,
    Seen,
    Tracked,
)
from baton.errors import Unavailable
from baton.runs.execution import Execution


class ExecutionDescription(Protocol):
    """What a pool needs to know of an execution: the execution itself, or its description."""

    @property
    def report(self) -> Reporter:
        """Receives events as they happen."""

    def spec(self) -> Mapping[str, Any]:
        """Return the argument of `baton.runs.execution.Execution.join`."""


def recorder_modules(execution: Execution) -> tuple[str, ...] | None:
    """Return the modules that load the inputs of recording tasks; None if no task records."""
    if not execution.is_tracked:
        return None
    tracked = [task for task in execution.dag.tasks if task.tracking]
    return tuple(sorted({kind.module for task in tracked for kind in task.inputs.values()} - {""}))


class Pool:
    """Starts workers as needed, one per running task, and keeps them for later tasks.

    Tasks that record run in the *recorder* if it is free: a worker that loads the tracker in advance, at
    low priority, while other tasks compute.

    Parameters
    ----------
    execution : Execution or ExecutionDescription
        What the workers take part in; its reporter is called from the threads that request attempts.
    recorder_modules : sequence of str, optional
        Modules for the recorder to import first, from `recorder_modules`; None for no recorder.
    environ : mapping of str to str, optional
        The workers' environment; that of this process unless given.
    """

    def __init__(
        self,
        execution: ExecutionDescription,
        recorder_modules: Sequence[str] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._execution = execution
        self._environ = environ
        self._recorder_modules = recorder_modules
        self._recorder: Peer | None = None
        self._idle: list[Peer] = []
        self._busy: set[Peer] = set()
        self._is_closed = False
        self._lock = threading.Lock()
        self._tracking_run_id = ""
        self._has_recorded = False
        self._tracking_lock = threading.Lock()

    def __enter__(self) -> Pool:
        """Start no worker yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the workers, immediately after an error."""
        self.close(at_once=kind is not None)

    def start_worker(self) -> None:
        """Start a worker that will be needed soon."""
        with self._lock:
            self._idle.append(self._new_worker())

    def start_recorder(self) -> None:
        """Start the recorder, unless it is not needed or already started."""
        with self._lock:
            if self._recorder_modules is not None and self._recorder is None:
                self._recorder = self._new_worker(self._recorder_modules, low_priority=True)
                self._idle.append(self._recorder)

    def attempt(
        self, request: Attempt, *, is_tracked: bool, is_wanted: Callable[[], bool] = always
    ) -> TaskReport:
        """Make one attempt at a task in a worker; if the worker dies, the attempt fails.

        The report includes any error.  An exception that another thread raises in this one, as Prefect
        does at a timeout, kills the worker and propagates.

        Parameters
        ----------
        request : Attempt
            The attempt; without a tracking run's id it uses the pool's tracking run.
        is_tracked : bool
            Whether the task records.
        is_wanted : callable
            Called regularly; the worker is killed when it returns False.
        """
        began = time.perf_counter()
        try:
            if is_tracked and not request.tracking_run_id:
                request = msgspec.structs.replace(request, tracking_run_id=self.open_tracking_run())
            with self._worker(records=is_tracked) as worker:
                return worker.ask(request, Ended, is_wanted).report
        except Exception as error:  # usually because the worker exited
            failure = replace(describe(error), is_final=self._is_closed)
        took_s = time.perf_counter() - began
        return TaskReport(
            request.task, Outcome.FAILED, failure=failure, attempts=request.number, duration_s=took_s
        )

    def may_retry(self, retried: TaskRetried) -> bool:
        """Whether another attempt is still wanted; if so, report it."""
        if self._is_closed:
            return False
        self._execution.report(retried)
        return True

    def look_for(self, note: str, text: str) -> Seen:
        """Have a worker check that it can take part, and look for a note in the shared places.

        Raises
        ------
        Unavailable
            If it cannot take part because of the pipeline, folder, store or tracker.
        """
        with self._worker() as worker:
            return worker.ask(LookFor(note=note, text=text), Seen)

    def continue_tracking(self, run_id: str) -> None:
        """Record into an earlier tracking run from now on, unless this run already has its own."""
        if run_id and not self._has_recorded:
            self._tracking_run_id = run_id

    def open_tracking_run(self) -> str:
        """Return the id of the execution's tracking run, which is created once.

        Raises
        ------
        Unavailable
            If the tracker cannot be used.
        """
        with self._tracking_lock:
            if not self._tracking_run_id:
                with self._worker(records=True) as worker:
                    self._tracking_run_id = worker.ask(BeginTracking(), Tracked).run_id
            self._has_recorded = True
            return self._tracking_run_id

    def finish_tracking(self, *, good: bool) -> Tracked:
        """Close the tracking run if any task recorded; return it and its page."""
        if not self._has_recorded:
            return Tracked(run_id=self._tracking_run_id)
        with self._worker(records=True) as worker:
            return worker.ask(FinishTracking(tracking_run_id=self._tracking_run_id, good=good), Tracked)

    def end_idle(self) -> None:
        """Stop the idle workers."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.dismiss()
        for worker in idle:
            worker.close()

    def close(self, *, at_once: bool = False) -> None:
        """Stop all workers; let idle ones exit cleanly unless `at_once`."""
        with self._lock:
            self._is_closed = True
            ended = [*self._busy, *(self._idle if at_once else ())]
        for worker in ended:
            worker.kill()
        self.end_idle()

    @contextmanager
    def _worker(self, *, records: bool = False) -> Iterator[Peer]:
        """Yield a worker for exclusive use; kill it if it fails to answer."""
        worker = self._acquire(records=records)
        try:
            yield worker
        except BaseException:
            worker.kill()
            worker.close()
            with self._lock:
                self._busy.discard(worker)
            raise
        with self._lock:
            self._busy.discard(worker)
            self._idle.append(worker)

    def _acquire(self, *, records: bool) -> Peer:
        with self._lock:
            if self._is_closed:
                raise Unavailable("the run has ended")
            fitting = [worker for worker in self._idle if records or worker is not self._recorder]
            preferred = self._recorder if records and self._recorder in fitting else None
            if fitting:
                chosen = preferred or fitting[-1]
                self._idle.remove(chosen)
            else:
                chosen = self._new_worker()
            self._busy.add(chosen)
            return chosen

    def _new_worker(self, modules: Sequence[str] = (), *, low_priority: bool = False) -> Peer:
        worker = Peer(
            "baton.engines.worker_process",
            self._execution.report,
            name="a worker process",
            hint="see its output above, and run again",
            environ=self._environ,
        )
        spec = dict(self._execution.spec())
        worker.send(
            Join(
                spec=spec,
                modules=tuple(modules),
                low_priority=low_priority,
                originals=original_variables(),
            )
        )
        return worker
