"""The functions behind the command line and the menu, also for notebooks and programs.

Nothing here prints or exits: results are return values, events, and exceptions from `baton.errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from baton.core.events import Reporter, ignore_events
from baton.core.outcome import RunReport
from baton.core.reasons import Cause, CauseKind
from baton.engines.engine import EngineOptions
from baton.engines.find import find_engine
from baton.errors import UsageError
from baton.runs.execution import Execution, record_run
from baton.runs.planning import PlannedTask
from baton.runs.planning import plan as plan_execution
from baton.runs.project import Project, open_project
from baton.runs.records import RunRecord, list_runs, read_run

if TYPE_CHECKING:
    from baton.runs.explanation import Explanation
    from baton.runs.logs import LogLine
    from baton.tracking.versions import ModelVersion

__all__ = [
    "Cause",
    "CauseKind",
    "PlannedTask",
    "Project",
    "RunRecord",
    "explain",
    "load",
    "logs",
    "models",
    "open_project",
    "plan",
    "promote",
    "read_run",
    "resume",
    "roll_back",
    "run",
    "status",
]


def run(
    project: Project,
    targets: Sequence[str] = (),
    *,
    engine: str | None = None,
    keep_going: bool = False,
    jobs: int | None = None,
    use_cache: bool | None = None,
    forced: Iterable[str] = (),
    recheck_share: float = 0.0,
    report: Reporter = ignore_events,
) -> RunReport:
    """Run the part of the pipeline that the targets need.

    Parameters
    ----------
    project : Project
        As returned by `open_project`.
    targets : sequence of str
        Groups or tasks; the pipeline's default target if there are none.
    engine : str, optional
        Name of the engine; the configured one unless given.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    jobs : int, optional
        Maximum number of concurrent tasks, at least 1, on engines that run tasks in parallel; the engine
        chooses unless given.
    use_cache : bool, optional
        Whether to use cached results; the engine's default unless given.
    forced : iterable of str
        Tasks that run even if cached.
    recheck_share : float
        Share of the cached pure tasks, 0 to 1, to compute again and compare; if a cached result was wrong,
        the task's report says so, and the new result is used.
    report : callable
        Receives events as they happen.

    Returns
    -------
    RunReport
        How each task ended.

    Raises
    ------
    UsageError
        If a target or the engine does not exist.
    Unavailable
        If the engine, the store or the tracking server cannot be used; then nothing has run.
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
        recheck_share=recheck_share,
        report=report,
    )
    execution.check()
    options = EngineOptions(keep_going=keep_going, jobs=jobs)
    return record_run(execution, lambda: chosen.run(execution, options))


def resume(project: Project, run_id: str, targets: Sequence[str] = ()) -> tuple[Project, tuple[str, ...]]:
    """Return the project and targets that continue an earlier run.

    Parameters
    ----------
    project : Project
        The project from the command line; parameters set there take precedence over the run's.
    run_id : str
        The earlier run, or ``"latest"``.
    targets : sequence of str
        Replace the earlier run's targets.

    Raises
    ------
    UsageError
        If the run does not exist, or belongs to another pipeline.
    """
    record = read_run(project.home, run_id)
    if record.pipeline != project.declared.name:
        raise UsageError(
            f"run {record.run_id} belongs to pipeline '{record.pipeline}', not to '{project.declared.name}'",
            "choose the pipeline with --pipeline",
        )
    return project.with_parameters(record.parameters), tuple(targets) or record.targets


def plan(
    project: Project,
    targets: Sequence[str] = (),
    *,
    engine: str | None = None,
    forced: Iterable[str] = (),
    use_cache: bool | None = True,
) -> tuple[PlannedTask, ...]:
    """Return what a run would do, without doing or writing anything.

    Parameters
    ----------
    project : Project
        As returned by `open_project`.
    targets : sequence of str
        Groups or tasks; the pipeline's default target if there are none.
    engine : str, optional
        Name of the engine, which decides whether effects rerun; the configured one unless given.
    forced : iterable of str
        Targets that would run even if cached.
    use_cache : bool, optional
        Whether the run may use the cache; None means the engine's default.

    Returns
    -------
    tuple of PlannedTask
        In run order.

    Raises
    ------
    UsageError
        If a target, a forced task or the engine does not exist.
    StoreError
        If the store cannot be read.
    """
    return plan_execution(_planned_execution(project, targets, engine, forced, use_cache))


def explain(project: Project, task: str, *, engine: str | None = None) -> Explanation:
    """Explain why a run with the cache would or would not run a task, and what its key consists of.

    Unlike `plan` it compares sources of code, and reads the bytes of cached outputs to find corrupt ones.
    Nothing is written.

    Parameters
    ----------
    project : Project
        As returned by `open_project`.
    task : str
        Name of the task.
    engine : str, optional
        As in `plan`.

    Raises
    ------
    UsageError
        If the task or engine does not exist.
    StoreError
        If the store cannot be read.
    """
    from baton.runs.explanation import explain as explain_task
    from baton.runs.explanation import find_task

    wanted = find_task(project.dag, task)
    usual = _planned_execution(project, (), engine)
    is_usual = wanted.name in {one.name for one in usual.dag.tasks}
    return explain_task(usual if is_usual else _planned_execution(project, (task,), engine), wanted)


def _planned_execution(
    project: Project,
    targets: Sequence[str],
    engine: str | None,
    forced: Iterable[str] = (),
    use_cache: bool | None = True,
) -> Execution:
    """Return the execution that a run would have."""
    chosen = find_engine(engine or project.configuration.settings.baton.engine)
    return Execution.begin(
        project,
        targets,
        chosen.name,
        use_cache=chosen.uses_cache if use_cache is None else use_cache,
        effects_once=chosen.effects_once,
        forced=forced,
    )


def load(project: Project, artifact: str, run: str = "latest") -> Any:
    """Return the value of an artifact, as a task would receive it.

    Parameters
    ----------
    project : Project
        As returned by `open_project`.
    artifact : str
        Name of the artifact.
    run : str
        A run's id; ``"latest"`` is the latest run of the pipeline that has the artifact.

    Raises
    ------
    UsageError
        If there is no such run or artifact.
    StoreError
        If the artifact is no longer in the store, or corrupt.
    """
    from baton.runs.artifacts import find_artifact

    return find_artifact(project, artifact, run).load()


def logs(project: Project, run: str = "latest") -> tuple[LogLine, ...]:
    """Return the lines that the tasks of a run logged so far, in order.

    Parameters
    ----------
    project : Project
        As returned by `open_project`.
    run : str
        A run, or ``"latest"``.

    Raises
    ------
    UsageError
        If the run does not exist.
    """
    from baton.runs.logs import read_lines

    lines, _ = read_lines(project.home, read_run(project.home, run).run_id)
    return tuple(lines)


def status(project: Project, limit: int = 10) -> tuple[RunRecord, ...]:
    """Return the latest runs of the project, newest first."""
    return list_runs(project.home, limit)


def models(project: Project, name: str | None = None) -> tuple[ModelVersion, ...]:
    """Return the versions of the registered model `name`, or of all models, newest first.

    Raises
    ------
    UsageError
        If there is no model with the name.
    Unavailable
        If the tracking server or its store cannot be used.
    """
    from baton.tracking.versions import ModelVersions

    return ModelVersions(project.tracker("models")).all(name)


def promote(project: Project, name: str, version: str, *, alias: str = "champion") -> str:
    """Give an alias to a version of a registered model.

    Returns
    -------
    str
        The version that had the alias; empty if none had.

    Raises
    ------
    UsageError
        If there is no such model or version, or the alias is not valid.
    Unavailable
        If the tracking server or its store cannot be used.
    """
    from baton.tracking.versions import ModelVersions

    return ModelVersions(project.tracker("models")).promote(name, version, alias)


def roll_back(project: Project, name: str, *, alias: str = "champion") -> tuple[str, str]:
    """Give an alias of a registered model back to the version that had it before.

    Returns
    -------
    tuple of str
        The version that has lost the alias, and the one that has it now.

    Raises
    ------
    UsageError
        If there is no such model or alias, or no record of the version that had it before: baton records each
        alias that it moves, and cannot know what others have moved.
    Unavailable
        If the tracking server or its store cannot be used.
    """
    from baton.tracking.versions import ModelVersions

    return ModelVersions(project.tracker("models")).roll_back(name, alias)
