"""What the command line, the menu, notebooks and programs call.

Nothing here prints or exits; everything is told through return values, events and exceptions of
`baton.errors`.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from baton.core.artifact import Artifact
from baton.core.dag import Dag
from baton.core.engine import EngineOptions
from baton.core.events import Reporter, RunFinished, RunStarted, ignore_events
from baton.core.execute import TaskRun
from baton.core.outcome import RunReport
from baton.core.parameters import flatten, value_of
from baton.engines.find import find_engine
from baton.errors import Unavailable, UsageError
from baton.project import Project, open_project
from baton.runs import RunRecord, list_runs, read_run, write_run
from baton.tracking.mlflow import MlflowRun

__all__ = ["PlannedTask", "Project", "RunRecord", "open_project", "plan", "read_run", "resume", "run", "status"]


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
    use_cache: bool = False,
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
    use_cache : bool
        Whether a remembered result may be used instead of running.
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
    dag = project.dag.subset(targets)
    chosen = find_engine(engine or project.configuration.settings.baton.engine)
    chosen.check()
    project.require_writable()
    tracking = _Tracking(project, dag, chosen.name)
    names = project.dag.targets_or_default(targets)
    run_id = _new_run_id()
    task_run = TaskRun(
        run_id=run_id,
        pipeline=dag.name,
        engine=chosen.name,
        parameters=project.configuration.parameters,
        store=project.store,
        folders=project.folders,
        use_cache=use_cache,
        forced=frozenset(task.name for target in forced for task in dag.members(target)),
        tracking=lambda: tracking.run_for(run_id),
        report=report,
        code_digest=lambda: project.store.code_digest(dag.tasks),
        parameters_by_name=flatten(project.configuration.parameters),
    )
    record = RunRecord.begin(task_run, names)
    write_run(project.home, record)
    report(RunStarted(run_id, dag.name, chosen.name, names, tuple(task.name for task in dag.order)))
    good = False
    try:
        ended = chosen.run(dag, task_run, EngineOptions(keep_going=keep_going))
        good = ended.is_good
    except BaseException:
        write_run(project.home, record.interrupted())
        raise
    finally:
        tracking.finish(good=good)
    ended = replace(ended, tracking_run_id=tracking.run_id)
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
        decision = project.store.decide(task, own, seen, use=True)
        planned[task.name] = PlannedTask(task.name, would_run=decision.entry is None, reason=decision.reason)
        if decision.entry is not None:
            known.update(decision.entry.outputs)
    return tuple(planned.values())


def status(project: Project, limit: int = 10) -> tuple[RunRecord, ...]:
    """Return the latest runs of the project, newest first."""
    return list_runs(project.home, limit)


class _Tracking:
    """The tracking run of one execution: checked before the run, made when first needed."""

    def __init__(self, project: Project, dag: Dag, engine: str) -> None:
        self._run: MlflowRun | None = None
        self._dag = dag
        self._engine = engine
        self._needed = any(task.effect and task.context for task in dag.tasks)
        self._tracker = project.tracker(engine)
        if self._needed:
            self._tracker.check()

    def run_for(self, run_id: str) -> MlflowRun:
        if self._run is None:
            tags = {"baton.engine": self._engine, "baton.pipeline": self._dag.name, "baton.run_id": run_id}
            self._run = self._tracker.start(name=run_id, tags=tags)
        return self._run

    @property
    def run_id(self) -> str:
        return self._run.run_id if self._run is not None and self._run.started else ""

    def finish(self, *, good: bool) -> None:
        if self._run is None:
            return
        try:
            self._run.finish(good=good)
        except Unavailable:
            if good:
                raise


def _new_run_id() -> str:
    """Return an id that sorts by time: UTC date and time, then four random digits."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


