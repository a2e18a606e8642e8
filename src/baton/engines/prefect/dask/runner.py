"""Prefect's Dask task runner, on a cluster for the run or on an existing one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from distributed import Future, KilledWorker
from prefect.client.schemas import State
from prefect.futures import PrefectFuture
from prefect.settings import PREFECT_API_URL
from prefect_dask.task_runners import DaskTaskRunner

from baton.core.addresses import without_secrets
from baton.core.events import Event
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.core.task import AnyTask
from baton.engines.pool import Pool, recorder_modules
from baton.engines.prefect.dask.availability import CONNECT_WITHIN_S, no_scheduler, quiet_dask
from baton.engines.prefect.dask.cluster import temporary_cluster
from baton.engines.prefect.dask.worker import AttemptsOnDask, Participation, check_worker
from baton.engines.prefect.settings import PrefectSettings
from baton.engines.prefect.tasks import DeclaredTask, as_prefect_task, from_state, lost
from baton.engines.protocol import Tracked, decode_answer, encode_report
from baton.errors import BatonError, Unavailable
from baton.runs.execution import Execution

_WITHOUT_WORKERS_S = 60.0
"""How long a run waits for a worker when all are gone; a nanny restarts one sooner."""

_LOOK_EVERY_S = 2.0


@contextmanager
def open_dask_runner(execution: Execution, jobs: int | None, *, workers: int) -> Iterator[DaskRunner]:
    """Yield a runner on the configured cluster, or on a local one for the run.

    Parameters
    ----------
    execution, jobs
        As for `DaskRunner`.
    workers : int
        Number of worker processes of a cluster for the run.

    Raises
    ------
    Unavailable
        If the cluster, or one of its workers, cannot be used.
    """
    settings = execution.project.configuration.of_engine(PrefectSettings)
    with ExitStack() as stack:
        stack.enter_context(quiet_dask())
        address = settings.dask_address
        if address is None:
            log = execution.project.home / "prefect" / "dask.log"
            address = stack.enter_context(temporary_cluster(workers, log))
        # The client closes after the workers were asked to stop, and before the cluster stops.
        task_runner = stack.enter_context(
            DaskTaskRunner(address=address, client_kwargs={"timeout": CONNECT_WITHIN_S})
        )
        runner = DaskRunner(execution, task_runner, jobs)
        try:
            runner.get_ready()
            yield runner
        finally:
            runner.close()


class DaskRunner:
    """Submits tasks to a Dask cluster and reports their events here.

    Parameters
    ----------
    execution : Execution
        The execution to run.
    task_runner : DaskTaskRunner
        Prefect's task runner, already started.
    jobs : int, optional
        Maximum number of concurrent tasks; what the cluster's workers support unless given.
    """

    def __init__(self, execution: Execution, task_runner: DaskTaskRunner, jobs: int | None) -> None:
        self.jobs = jobs or 1
        self._jobs_given = jobs is not None
        self._execution = execution
        self._task_runner = task_runner
        self._name = f"baton-{execution.run_id}"
        self._recorders = Pool(execution, recorder_modules(execution))
        self._running: dict[str, Future[Any]] = {}
        self._looked_at = self._seen_at = time.monotonic()
        self._takes_part = False

    def get_ready(self) -> None:
        """Connect, let every worker join the run, and check that all see the shared places.

        Raises
        ------
        Unavailable
            If one of them cannot join.
        """
        self._recorders.start_recorder()
        try:
            client = self._task_runner.client
        except Exception as error:  # Dask raises anything for a bad address
            raise no_scheduler(str(self._task_runner.address), error) from error
        client.subscribe_topic(self._name, self._receive)
        threads = self._threads()
        if not threads:
            with contextlib.suppress(TimeoutError):
                client.wait_for_workers(1, timeout=CONNECT_WITHIN_S)
            threads = self._threads()
        if not threads:
            raise Unavailable(
                f"the Dask scheduler at {self._shown_address} has no workers",
                f"start some with: dask worker {self._shown_address}",
            )
        if not self._jobs_given:
            self.jobs = sum(threads.values())
        try:
            self._takes_part = True
            client.register_plugin(Participation(self._name, self._execution.spec()))
        except Exception as error:  # an error of a worker, usually that baton is missing
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise Unavailable(
                f"a Dask worker of {self._shown_address} cannot take part: {lines[0][:200]}",
                "install the same version of baton-ml[dask] on the workers",
            ) from error
        self._require_shared_places()

    def submit(
        self, task: AnyTask, given: Mapping[str, Any], upstream: list[State[Any]]
    ) -> PrefectFuture[Any]:
        """Submit a task to Dask: sends its name and references, but no code."""
        declared = DeclaredTask.of(task)
        parameters: dict[str, Any] = {"not_run": None, "tracking_run_id": "", **given}
        if task.context is None:
            parameters["inputs"] = [made for made in given["inputs"] if made["name"] in task.inputs]
        if declared.is_tracked and parameters["not_run"] is None:
            try:
                parameters["tracking_run_id"] = self._recorders.open_tracking_run()
            except Unavailable as error:
                parameters["not_run"] = encode_report(lost(task.name, error.message, 1, error.hint))
        waits_for: Any = upstream  # typed as Dask's futures, though states do
        future = self._task_runner.submit(
            as_prefect_task(declared, AttemptsOnDask(self._name)), parameters=parameters, wait_for=waits_for
        )
        self._running[task.name] = future.wrapped_future
        return future

    def end_of(self, task: AnyTask, future: PrefectFuture[Any]) -> TaskReport:
        """Return how a task ended, or that Dask gave up on it."""
        declared = DeclaredTask.of(task)
        future.wait()
        # Not kept: Dask would rerun it if the worker that holds its result dies.
        wrapped = self._running.pop(task.name)
        if wrapped.status == "finished":
            return from_state(declared, future.state)
        self.look()
        error = wrapped.exception() if wrapped.status == "error" else None
        if isinstance(error, KilledWorker):
            message = "every Dask worker that ran it died, the last one was " + error.last_worker.address
        else:
            lines = str(error or "").strip().splitlines() or [str(wrapped.status)]
            message = f"Dask gave up on it: {lines[0][:300]}"
        hint = "check the logs of the Dask workers, for example for lack of memory"
        return TaskReport(task.name, Outcome.FAILED, failure=Failure(message, hint))

    def look(self) -> None:
        """Raise `Unavailable` if the scheduler is gone, or all workers are gone for too long."""
        now = time.monotonic()
        client = self._task_runner.client
        if client.status != "running":
            raise Unavailable(
                f"the Dask scheduler at {self._shown_address} is gone", "start it, then resume the run"
            )
        if now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        if self._threads():
            self._seen_at = now
        elif now - self._seen_at > _WITHOUT_WORKERS_S:
            raise Unavailable(
                f"the Dask scheduler at {self._shown_address} has had no workers for "
                f"{_WITHOUT_WORKERS_S:g} s",
                f"start some with: dask worker {self._shown_address}; then resume the run",
            )

    def finish_tracking(self, *, good: bool) -> Tracked:
        """Close the tracking run."""
        return self._recorders.finish_tracking(good=good)

    def close(self) -> None:
        """Stop running tasks, on the workers and here."""
        takes_part, self._takes_part = self._takes_part, False
        if takes_part and self._task_runner.client.status == "running":
            client = self._task_runner.client
            with contextlib.suppress(Exception):  # a cluster that is shutting down, with its processes
                client.cancel(list(self._running.values()))
                client.unregister_worker_plugin(self._name)
        self._recorders.close()

    def _receive(self, message: tuple[float, bytes]) -> None:
        _, line = message
        event = decode_answer(line)
        assert isinstance(event, Event)
        self._execution.report(event)

    def _threads(self) -> dict[str, int]:
        """Return the number of concurrent tasks of each worker, by address."""
        found = self._task_runner.client.scheduler_info(n_workers=-1)["workers"]
        return {address: worker["nthreads"] for address, worker in found.items()}

    @property
    def _shown_address(self) -> str:
        return without_secrets(str(self._task_runner.address))

    def _require_shared_places(self) -> None:
        """Leave a note where all workers must see it, and ask every worker whether it does.

        Raises
        ------
        Unavailable
            If a worker cannot take part or sees other places than this process.
        """
        project, note = self._execution.project, f"{self._name}.note"
        objects, home = project.store.objects, Path(project.home, note)
        objects.write_text(note, self._name)
        home.write_text(self._name, encoding="utf-8")
        try:
            answers = self._task_runner.client.run(
                check_worker, self._name, note, self._name, str(PREFECT_API_URL.value() or "")
            )
        finally:
            with contextlib.suppress(BatonError):
                objects.remove_text(note)
            home.unlink(missing_ok=True)
        for address, answer in answers.items():
            self._require_place(f"the Dask worker {address} on {answer['machine']}", answer)

    def _require_place(self, who: str, answer: Mapping[str, Any]) -> None:
        project = self._execution.project
        if "error" in answer:
            raise Unavailable(f"{who} cannot take part: {answer['error']}", answer["hint"])
        if not answer["in_store"]:
            raise Unavailable(
                f"{who} does not see the store {without_secrets(project.store_url)}",
                "use one that all machines can reach: --store URL, such as s3://bucket/path",
            )
        is_local = not project.tracking_uri.startswith(("http://", "https://"))
        if self._execution.is_tracked and is_local and not answer["in_home"]:
            raise Unavailable(
                f"{who} does not see MLflow's records at {without_secrets(project.tracking_uri)}",
                "use a server that all machines can reach: --tracking-uri http://HOST:5000",
            )
