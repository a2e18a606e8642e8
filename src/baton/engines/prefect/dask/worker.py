"""The Dask worker's side: it joins a run and attempts tasks.

The Dask worker loads neither the pipeline nor its libraries: it starts processes for the attempts, so that
they read the current code, can be killed in mid-task, and exit with it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from distributed import Worker, get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from baton.core.events import Event, Reporter, TaskRetried
from baton.core.outcome import TaskReport
from baton.engines.pool import Pool
from baton.engines.prefect.environment import require_server
from baton.engines.prefect.logs import drop_thread_warning, logged_in_prefect, send_logs
from baton.engines.prefect.tasks import lost
from baton.engines.protocol import Attempt, encode
from baton.errors import BatonError

_FOLDER = "a worker's machine needs the project's folder at the same path, or at its BATON_PROJECT"

_REST_S = 30.0
"""How long a process waits for its next task: if the flow is killed, nothing else stops it."""


@dataclass(frozen=True, slots=True)
class DescribedExecution:
    """An execution as described by its flow, see `baton.engines.pool.ExecutionDescription`."""

    fields: Mapping[str, Any]
    report: Reporter

    def spec(self) -> Mapping[str, Any]:
        """Return the description, with the project's folder on this machine."""
        return {**self.fields, "folder": os.environ.get("BATON_PROJECT") or self.fields["folder"]}


class Participation(WorkerPlugin):
    """A Dask worker's part in one run: Dask installs it on every worker, including later ones.

    Parameters
    ----------
    name : str
        Name of the plugin, and topic of its events.
    spec : mapping
        As returned by `baton.runs.execution.Execution.spec`.
    """

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        self.name = name
        self._spec = dict(spec)

    def setup(self, worker: Worker) -> None:
        """Prepare the worker; called by Dask."""

        def send(event: Event) -> None:
            worker.log_event(self.name, encode(event))

        drop_thread_warning()
        self._worker = worker
        self._timer: threading.Timer | None = None
        self.pool = Pool(DescribedExecution(self._spec, logged_in_prefect(send)))
        self.pool.start_worker()
        self._end_rest()

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002  # Dask's signature
        """Stop running tasks and send pending events; called by Dask at the end of the run."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.to_thread(self.pool.close)
        await asyncio.to_thread(send_logs)

    def attempt(self, request: Attempt, *, is_tracked: bool) -> TaskReport:
        """Make one attempt in a process of this worker, as long as Dask wants the task."""
        try:
            return self.pool.attempt(request, is_tracked=is_tracked, is_wanted=self.is_wanted())
        finally:
            self._end_rest()

    def is_wanted(self) -> Callable[[], bool]:
        """Return a check whether Dask still wants this thread's task: not once its flow is gone."""
        key = self._worker.get_current_task()

        def wanted() -> bool:
            task = self._worker.state.tasks.get(key)
            return task is not None and task.state not in ("cancelled", "released", "forgotten")

        return wanted

    def _end_rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(_REST_S, self.pool.end_idle)
        self._timer.daemon = True
        self._timer.start()


@dataclass(frozen=True, slots=True)
class AttemptsOnDask:
    """Implements `baton.engines.prefect.tasks.Attempts` with the `Participation` of its Dask worker."""

    run: str

    def attempt(self, request: Attempt, *, is_tracked: bool) -> TaskReport:
        """Make one attempt."""
        part = self._part()
        if part is None:
            return lost(request.task, "the run was stopped", request.number)
        return part.attempt(request, is_tracked=is_tracked)

    def may_retry(self, retried: TaskRetried) -> bool:
        """Whether another attempt is still wanted; if so, report it."""
        part = self._part()
        return part is not None and part.is_wanted()() and part.pool.may_retry(retried)

    def _part(self) -> Participation | None:
        found = get_worker().plugins.get(self.run)
        return found if isinstance(found, Participation) else None


async def check_worker(
    run: str, note: str, text: str, api_url: str, *, dask_worker: Worker
) -> dict[str, Any]:
    """Return whether this Dask worker can take part in a run, and what it shares with the flow.

    Parameters
    ----------
    run : str
        Name of the participation.
    note, text : str
        See `baton.engines.protocol.LookFor`.
    api_url : str
        Address of Prefect's API to check; empty for none.
    dask_worker : Worker
        This Dask worker, provided by Dask.
    """
    part = dask_worker.plugins.get(run)
    assert isinstance(part, Participation)
    answer: dict[str, Any] = {"machine": platform.node()}
    try:
        if api_url:
            await asyncio.to_thread(require_server, api_url)
    except BatonError as error:
        hint = "set PREFECT_API_URL to an address of Prefect's server that the workers can reach"
        return {**answer, "error": error.message, "hint": hint}
    try:
        seen = await asyncio.to_thread(part.pool.look_for, note, text)
    except BatonError as error:
        return {
            **answer,
            "error": error.message,
            "hint": f"{error.hint}; {_FOLDER}" if error.hint else _FOLDER,
        }
    return {**answer, "in_store": seen.in_store, "in_home": seen.in_home}
