"""Run a DAG in a Prefect flow run: submit tasks that may start, wait for one to end, repeat."""

from __future__ import annotations

import queue
import re
from collections.abc import Callable
from typing import Any

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas import State
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from baton.core.dag import Dag
from baton.core.events import RunKnownAs
from baton.core.outcome import Outcome, RunReport, TaskReport
from baton.core.task import AnyTask
from baton.engines.prefect.logs import drop_thread_warning
from baton.engines.prefect.runner import Runner
from baton.engines.prefect.summary import publish_summary
from baton.engines.prefect.tasks import ended_upstream
from baton.engines.protocol import encode_report
from baton.engines.scheduling import Schedule
from baton.runs.execution import Execution

_LOOK_EVERY_S = 1.0
_GENERATED = re.compile(r"[a-z]+-[a-z]+")
"""A name that Prefect makes up, of an adjective and an animal."""


class PipelineFlow(Flow[..., Any]):
    """A flow that task runners may send to other processes, reduced to its name."""

    def __reduce__(self) -> tuple[Callable[[str], Flow[..., Any]], tuple[str]]:
        """Leave out the function, which holds the run."""
        return named_flow, (self.name,)


def named_flow(name: str) -> Flow[..., Any]:
    """Return a flow that does nothing: all that a task knows of its flow is the name."""
    return PipelineFlow(_do_nothing, name=name)


def pipeline_flow(
    function: Callable[..., Any], dag: Dag, *, validate_parameters: bool = True
) -> Flow[..., Any]:
    """Return the flow of a pipeline."""
    runner: Any = ThreadPoolTaskRunner()  # generic over its futures, which Flow does not accept
    return PipelineFlow(
        function,
        name=dag.name,
        description=dag.description or None,
        task_runner=runner,
        persist_result=False,
        validate_parameters=validate_parameters,
    )


def run_in_flow(execution: Execution, runner: Runner, *, keep_going: bool) -> RunReport:
    """Run every task as a task run of the current flow run, and publish a summary.

    Parameters
    ----------
    execution : Execution
        What to run.
    runner : Runner
        Attempts the tasks; it is closed at the end in any case.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    """
    drop_thread_warning()
    try:
        label_flow_run(execution)
        ended = _run_tasks(execution, runner, keep_going=keep_going)
        tracked = runner.finish_tracking(good=ended.is_good)
        ended = ended.tracked(tracked.run_id)
        publish_summary(execution, ended, tracked.page)
        return ended
    finally:
        runner.close()


def flow_state(execution: Execution, report: RunReport) -> State[Any]:
    """Return the final state of an execution's flow run."""
    failed = [task for task in report.tasks if task.failure is not None]
    if failed:
        failure = failed[0].failure
        assert failure is not None
        return Failed(message=f"task '{failed[0].task}' failed: {failure.message}")
    facts = dict(report.facts)
    headline = execution.dag.headline
    if headline in facts:
        return Completed(message=f"{headline}: {facts[headline]}")
    return Completed(message=counted(report))


def counted(report: RunReport) -> str:
    """Return the number of tasks by outcome, for example ``"2 succeeded, 5 cached"``."""
    counts = {outcome: sum(task.outcome is outcome for task in report.tasks) for outcome in Outcome}
    return ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)


def label_flow_run(execution: Execution) -> None:
    """Name the flow run after our run's id, unless somebody has named it, and add tags.

    Only the flow run gets tags: Prefect asks its server for a concurrency limit for each tag of a task
    run.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    execution.report(RunKnownAs("prefect", str(context.flow_run.id)))
    tags = {*context.flow_run.tags, "baton", execution.dag.name}
    name = execution.run_id if _GENERATED.fullmatch(context.flow_run.name) else context.flow_run.name
    with get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, name=name, tags=sorted(tags))


def _run_tasks(execution: Execution, runner: Runner, *, keep_going: bool) -> RunReport:
    dag = execution.dag
    schedule = Schedule(execution, keep_going=keep_going)
    submitted: dict[str, State[Any]] = {}
    running: dict[str, PrefectFuture[Any]] = {}
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()

    def start(task: AnyTask, refused: TaskReport | None) -> None:
        given = {
            "inputs": [made.as_dict() for made in schedule.inputs_of(task).values()],
            "not_run": None if refused is None else encode_report(refused),
        }
        future = runner.submit(task, given, [submitted[up.name] for up in dag.upstream_of(task)])
        submitted[task.name] = ended_upstream(future)
        running[task.name] = future
        future.add_done_callback(lambda _future: ended.put(task.name))

    def wait() -> TaskReport | None:
        try:
            name = ended.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            runner.look()
            return None
        return runner.end_of(dag.task(name), running.pop(name))

    schedule.run(dag.order, start, wait, jobs=runner.jobs)
    return schedule.report()


def _do_nothing() -> None: ...
