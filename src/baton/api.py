"""What the command line, the menu, notebooks and programs call.

Nothing here prints or exits; everything is told through return values, events and exceptions of
`baton.errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

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

__all__ = [
    "Cause",
    "CauseKind",
    "PlannedTask",
    "Project",
    "RunRecord",
    "explain",
    "open_project",
    "plan",
    "read_run",
    "resume",
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
        As `open_project` returns it.
    targets : sequence of str
        Groups or tasks; the pipeline's default target where there is none.
    engine : str, optional
        Name of the engine; the configured one unless given.
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    jobs : int, optional
        How many tasks may run at once, at least 1, on engines that run tasks side by side; the engine
        chooses unless given.
    use_cache : bool, optional
        Whether a remembered result may be used instead of running; as the engine does unless given.
    forced : iterable of str
        Tasks that run whatever is remembered.
    recheck_share : float
        Share of the pure tasks, 0 to 1, whose remembered results are computed again and compared; one that
        was wrong is told in its report, and the new result is used.
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
        recheck_share=recheck_share,
        report=report,
    )
    execution.check()
    options = EngineOptions(keep_going=keep_going, jobs=jobs)
    return record_run(execution, lambda: chosen.run(execution, options))


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


def plan(
    project: Project,
    targets: Sequence[str] = (),
    *,
    engine: str | None = None,
    forced: Iterable[str] = (),
    use_cache: bool | None = True,
) -> tuple[PlannedTask, ...]:
    """Say what a run would do, without doing or writing anything.

    Parameters
    ----------
    project : Project
        As `open_project` returns it.
    targets : sequence of str
        Groups or tasks; the pipeline's default target where there is none.
    engine : str, optional
        Name of the engine, which says whether effects are repeated; the configured one unless given.
    forced : iterable of str
        Targets that would run whatever is remembered.
    use_cache : bool, optional
        Whether the run may use the cache; as the engine does where None.

    Returns
    -------
    tuple of PlannedTask
        In the order of a run.

    Raises
    ------
    UsageError
        If a target, a forced task or the engine does not exist.
    StoreError
        If the store cannot be read.
    """
    return plan_execution(_imagined(project, targets, engine, forced, use_cache))


def explain(project: Project, task: str, *, engine: str | None = None) -> Explanation:
    """Say why a run that may use the cache would run a task, or need not, and what its key is made of.

    Unlike `plan` it compares the texts of code, and reads the bytes of remembered outputs to find
    those that are corrupt.  Nothing is written.

    Parameters
    ----------
    project : Project
        As `open_project` returns it.
    task : str
        Name of the task.
    engine : str, optional
        As in `plan`.

    Raises
    ------
    UsageError
        If there is no such task or engine.
    StoreError
        If the store cannot be read.
    """
    from baton.runs.explanation import explain as explain_task
    from baton.runs.explanation import find_task

    wanted = find_task(project.dag, task)
    usual = _imagined(project, (), engine)
    is_usual = wanted.name in {one.name for one in usual.dag.tasks}
    return explain_task(usual if is_usual else _imagined(project, (task,), engine), wanted)


def _imagined(
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


def status(project: Project, limit: int = 10) -> tuple[RunRecord, ...]:
    """Return the latest runs of the project, newest first."""
    return list_runs(project.home, limit)
