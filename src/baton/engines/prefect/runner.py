"""Prefect's task runners, adapted to our tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from prefect.client.schemas import State
from prefect.futures import PrefectFuture

from baton.core.outcome import TaskReport
from baton.core.task import AnyTask
from baton.engines.pool import Pool, recorder_modules
from baton.engines.prefect.settings import PrefectSettings
from baton.engines.prefect.tasks import DeclaredTask, as_prefect_task, from_state
from baton.engines.protocol import Tracked
from baton.runs.execution import Execution


class Runner(Protocol):
    """Submits tasks to one of Prefect's task runners."""

    jobs: int
    """Maximum number of concurrent tasks."""

    def submit(
        self, task: AnyTask, given: Mapping[str, Any], upstream: list[State[Any]]
    ) -> PrefectFuture[Any]:
        """Submit a task.

        Parameters
        ----------
        task : Task
            The task.
        given : mapping of str to Any
            ``inputs`` and ``not_run`` of `baton.engines.prefect.tasks.as_prefect_task`.
        upstream : list of State
            The states it waits for.
        """

    def end_of(self, task: AnyTask, future: PrefectFuture[Any]) -> TaskReport:
        """Return the report of a task that has ended."""

    def look(self) -> None:
        """Raise `Unavailable` if submitted tasks will never end; called regularly."""

    def finish_tracking(self, *, good: bool) -> Tracked:
        """Close the tracking run, if there is one; return it and its page."""

    def close(self) -> None:
        """Stop running tasks."""


@contextmanager
def open_runner(execution: Execution, jobs: int | None) -> Iterator[Runner]:
    """Yield the configured runner, ready to use; close it with the context.

    Parameters
    ----------
    execution : Execution
        The execution to run; its reporter is called from several threads.
    jobs : int, optional
        Maximum number of concurrent tasks; the number of CPUs unless given.

    Raises
    ------
    Unavailable
        If the runner cannot be used; then nothing has run.
    """
    if execution.project.configuration.of_engine(PrefectSettings).task_runner == "dask":
        from baton.engines.prefect.dask.runner import open_dask_runner

        with open_dask_runner(execution, jobs, workers=jobs or processors()) as on_dask:
            yield on_dask
        return
    here = ThreadRunner(execution, jobs or processors())
    try:
        here.get_ready()
        yield here
    finally:
        here.close()


def processors() -> int:
    """Return a good number of concurrent tasks for this machine."""
    return max(os.cpu_count() or 1, 2)


class ThreadRunner:
    """Prefect's default task runner: its threads wait for local worker processes.

    Parameters
    ----------
    execution : Execution
        The execution to run.
    jobs : int
        Maximum number of concurrent tasks.
    """

    def __init__(self, execution: Execution, jobs: int) -> None:
        self.jobs = jobs
        self._pool = Pool(execution, recorder_modules(execution))

    def get_ready(self) -> None:
        """Start the first workers."""
        self._pool.start_worker()
        self._pool.start_recorder()

    def submit(
        self, task: AnyTask, given: Mapping[str, Any], upstream: list[State[Any]]
    ) -> PrefectFuture[Any]:
        """Submit to the flow's own task runner."""
        prefect_task = as_prefect_task(DeclaredTask.of(task), self._pool)
        future: PrefectFuture[Any] = prefect_task.submit(**given, wait_for=upstream)
        return future

    def end_of(self, task: AnyTask, future: PrefectFuture[Any]) -> TaskReport:
        """Return the report of a task that has ended."""
        future.wait()
        return from_state(DeclaredTask.of(task), future.state)

    def look(self) -> None:
        """Do nothing: threads always end."""

    def finish_tracking(self, *, good: bool) -> Tracked:
        """Close the tracking run."""
        return self._pool.finish_tracking(good=good)

    def close(self) -> None:
        """Stop the workers."""
        self._pool.close()
