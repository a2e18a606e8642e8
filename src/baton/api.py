"""What the command line, the menu, notebooks and programs call.

Nothing here prints or exits; everything is told through return values, events and exceptions of
`baton.errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from baton.core.artifact import Artifact
from baton.core.events import Reporter, RunFinished, RunStarted, ignore_events
from baton.core.execute import describe
from baton.core.outcome import RunReport
from baton.core.parameters import value_of
from baton.engines.engine import EngineOptions
from baton.engines.find import find_engine
from baton.errors import UsageError
from baton.execution import Execution
from baton.project import Project, open_project
from baton.runs import RunRecord, list_runs, read_run, write_run

__all__ = [
    "PlannedTask",
    "Project",
    "RunRecord",
    "open_project",
    "plan",
    "read_run",
    "resume",
    "run",
    "status",
]


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """What a run would do with one task.

    Parameters
    ----------
    task : str
        Name of the task.
    would_run : bool
        False where a remembered result would be used.
    reason : str
        Why.
    """

    task: str
    would_run: bool
    reason: str


def run(
    project: Project,
    targets: Sequence[str] = (),
    *,
    engine: str | None = None,
    keep_going: bool = False,
    jobs: int = 1,
    use_cache: bool | None = None,
    forced: Iterable[str] = (),
    report: Reporter = ignore_events,
) -> RunReport:
    """Run the part of the pipeline that the targets need.

    Parameters
    ----------
    project : Project
        As `open_project` returns it.
    targets : sequence of str
        Groups or tasks; the pipeline's default target where there is none.
    engine : str, optional
        Name of the engine; the configured one unless given.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    jobs : int
        How many tasks may run at once, at least 1; for engines that run tasks side by side.
    use_cache : bool, optional
        Whether a remembered result may be used instead of running; as the engine does unless given.
    forced : iterable of str
        Tasks that run whatever is remembered.
    report : callable
        Takes events as they happen.

    Returns
    -------
    RunReport
        How each task ended.

    Raises
    ------
    UsageError
        If a target or the engine does not exist.
    Unavailable
        If the engine, the store or the tracking server cannot be used; nothing was run then.
    """
    chosen = find_engine(engine or project.configuration.settings.baton.engine)
    chosen.check()
    execution = Execution.begin(
        project,
        targets,
        chosen.name,
        use_cache=chosen.uses_cache if use_cache is None else use_cache,
        effects_once=chosen.effects_once,
        forced=forced,
        report=report,
    )
    execution.check()
    record = RunRecord.begin(execution.task_run, execution.targets)
    write_run(project.home, record)
    names = tuple(task.name for task in execution.dag.order)
    report(RunStarted(execution.run_id, execution.dag.name, chosen.name, execution.targets, names))
    try:
        ended = chosen.run(execution, EngineOptions(keep_going=keep_going, jobs=jobs))
    except BaseException:
        write_run(project.home, record.interrupted())
        raise
    write_run(project.home, record.ended(ended))
    report(RunFinished(ended))
    return ended


def resume(project: Project, run_id: str, targets: Sequence[str] = ()) -> tuple[Project, tuple[str, ...]]:
    """Return the project and targets that go on with an earlier run.

    Parameters
    ----------
    project : Project
        The project as the command line names it; parameters set there win over the run's.
    run_id : str
        The earlier run, or ``"latest"``.
    targets : sequence of str
        Targets instead of the earlier run's.

    Raises
    ------
    UsageError
        If there is no such run, or it was one of another pipeline.
    """
    record = read_run(project.home, run_id)
    if record.pipeline != project.dag.name:
        raise UsageError(
            f"run {record.run_id} is one of pipeline '{record.pipeline}', not of '{project.dag.name}'",
            "name the pipeline with --pipeline",
        )
    return project.with_parameters(record.parameters), tuple(targets) or record.targets


def plan(project: Project, targets: Sequence[str] = ()) -> tuple[PlannedTask, ...]:
    """Say what a run that may use the cache would do, without doing or writing anything.

    Raises
    ------
    UsageError
        If a target does not exist.
    """
    dag = project.dag.subset(targets)
    known: dict[str, Artifact] = {}
    planned: dict[str, PlannedTask] = {}
    for task in dag.order:
        waiting = [up.name for up in dag.upstream_of(task) if planned[up.name].would_run]
        if waiting:
            reason = f"after '{waiting[0]}', which would run"
            planned[task.name] = PlannedTask(task.name, would_run=True, reason=reason)
            continue
        if task.effect:
            planned[task.name] = PlannedTask(task.name, would_run=True, reason="an effect always runs")
            continue
        seen = {name: value_of(project.configuration.parameters, name) for name in task.parameters}
        own = {name: known[name] for name in task.inputs}
        try:
            decision = project.store.decide(task, own, seen, use=True)
        except Exception as error:  # the task's own code says which state of the world it reads
            reason = f"it would fail: {describe(error).message}"
            planned[task.name] = PlannedTask(task.name, would_run=True, reason=reason)
            continue
        planned[task.name] = PlannedTask(task.name, would_run=decision.entry is None, reason=decision.reason)
        if decision.entry is not None:
            known.update(decision.entry.outputs)
    return tuple(planned.values())


def status(project: Project, limit: int = 10) -> tuple[RunRecord, ...]:
    """Return the latest runs of the project, newest first."""
    return list_runs(project.home, limit)
