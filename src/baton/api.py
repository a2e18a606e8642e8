"""The functions behind the command line and the menu, also for notebooks and programs.

Nothing here prints or exits: results are return values, events, and exceptions from `baton.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from baton.core.effect_scope import InBackfill
from baton.core.events import Reporter, ignore_events
from baton.core.outcome import RunReport
from baton.core.reasons import Cause, CauseKind
from baton.engines.engine import Engine, EngineOptions
from baton.engines.find import find_engine
from baton.errors import UsageError
from baton.runs.alerts import send_alerts
from baton.runs.execution import Execution, record_run
from baton.runs.planning import PlannedTask
from baton.runs.planning import plan as plan_execution
from baton.runs.project import Project, open_project
from baton.runs.records import RunRecord, read_run

if TYPE_CHECKING:
    from baton.runs.backfill import OnePeriod, PeriodPlan, PeriodReport
    from baton.runs.explanation import Explanation
    from baton.runs.logs import LogLine
    from baton.runs.sweep import Sampler, Sweep
    from baton.tracking.versions import ModelVersion

__all__ = [
    "Cause",
    "CauseKind",
    "PlannedTask",
    "Project",
    "RunRecord",
    "backfill",
    "explain",
    "load",
    "logs",
    "models",
    "open_project",
    "plan",
    "plan_backfill",
    "promote",
    "find_run",
    "read_run",
    "resume",
    "roll_back",
    "run",
    "status",
    "sweep",
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
    return _run(chosen, execution, EngineOptions(keep_going=keep_going, jobs=jobs))


def _run(engine: Engine, execution: Execution, options: EngineOptions) -> RunReport:
    engine.check()
    execution.check()
    ended = record_run(execution, lambda followed: engine.run(followed, options))
    send_alerts(execution, ended)
    return ended


def backfill(
    project: Project,
    first: str,
    last: str,
    targets: Sequence[str] = (),
    *,
    engine: str | None = None,
    jobs: int | None = None,
    keep_going: bool = False,
    only_failed: bool = False,
    report: Reporter = ignore_events,
) -> Iterator[PeriodReport]:
    """Run the pipeline for each period from `first` to `last`, and yield how each ended.

    What is done is not repeated: pure tasks come from the cache, and effects run for a period that they have
    not run for, and then for all later ones, so that the last period has the last word.  A backfill that was
    interrupted continues when it is called again.

    Parameters
    ----------
    project : Project
        As returned by `open_project`.
    first, last : str
        Names of periods of the pipeline's `Period`, such as ``"2021-01"``.
    targets : sequence of str
        As in `run`.
    engine : str, optional
        As in `run`.
    jobs : int, optional
        As in `run`, for each period.
    keep_going : bool
        Whether to continue after a failure, with tasks that do not depend on it and with later periods.
    only_failed : bool
        Whether to begin with the first period whose latest run failed, and to leave out those that never ran.
    report : callable
        Receives events as they happen.

    Yields
    ------
    PeriodReport
        After each period; nothing follows a failed one unless `keep_going` is set.

    Raises
    ------
    UsageError
        If the pipeline has no period, or a name is not one.
    SettingsError
        If the pipeline does not accept the parameters of a period.
    Unavailable
        As in `run`.
    """
    from baton.runs.backfill import Order, PeriodReport, done_before, periods_of, stages_of

    chosen = find_engine(engine or project.configuration.settings.baton.engine)
    order = Order()
    for one in periods_of(project, first, last, only_failed=only_failed):
        place = order.place_of(one)
        execution = _for_period(one, targets, chosen, place, report=report)
        ended = done_before(execution)
        if ended is None:
            execution = replace(execution, effects_once=chosen.effects_once)
            ended = _run(chosen, execution, EngineOptions(keep_going=keep_going, jobs=jobs))
        order.follow(execution)
        yield PeriodReport(one.name, ended, stages_of(execution))
        if not ended.is_good and not keep_going:
            return


def plan_backfill(
    project: Project, first: str, last: str, targets: Sequence[str] = (), *, engine: str | None = None
) -> tuple[PeriodPlan, ...]:
    """Return what a backfill would do for each period, without doing or writing anything.

    Takes the same parameters and raises the same errors as `backfill`.
    """
    from baton.runs.backfill import Order, PeriodPlan, periods_of, planned, stages_of

    chosen = find_engine(engine or project.configuration.settings.baton.engine)
    order, known = Order(), set[tuple[str, str]]()
    found = []
    for one in periods_of(project, first, last):
        execution = _for_period(one, targets, chosen, order.place_of(one))
        found.append(PeriodPlan(one.name, planned(order, execution, known), stages_of(execution)))
        order.follow(execution)
    return tuple(found)


def _for_period(
    one: OnePeriod,
    targets: Sequence[str],
    engine: Engine,
    place: InBackfill,
    report: Reporter = ignore_events,
) -> Execution:
    """Return the execution of one period of a backfill."""
    return Execution.begin(
        one.project,
        targets,
        engine.name,
        use_cache=True,
        effects_once=True,
        report=report,
        in_backfill=place,
    )


def sweep(
    project: Project,
    spaces: Mapping[str, str],
    objective: str,
    *,
    minimise: bool = True,
    target: str | None = None,
    sampler: Sampler | None = None,
    trials: int | None = None,
    seed: int = 0,
    engine: str | None = None,
    jobs: int = 1,
    prune_after: int | None = None,
    tracked: bool = True,
    report: Reporter = ignore_events,
) -> Sweep:
    """Prepare trials of the pipeline with different parameters; iterate over the result to run them.

    What does not read a varied parameter is computed once.  A sweep that was interrupted continues when it is
    called again: its trials are suggested again, and come from the cache.  Nothing is deployed.

    Parameters
    ----------
    project : Project
        As returned by `open_project`.
    spaces : mapping of str to str
        By parameter: values such as ``"4,8,16"``, or a range of numbers ``"0.05:0.3"``, optionally with a
        step (``"0.05:0.3:0.05"``) or on a log scale (``"0.01:1:log"``).
    objective : str
        A number in a Json artifact, such as ``"evaluation.metrics.rmse"``.
    minimise : bool
        Whether less is better.
    target : str, optional
        What to run for each trial; the task that makes the artifact unless given.
    sampler : str, optional
        ``"grid"`` tries all combinations.  Of Optuna, ``"random"`` draws, and ``"optuna"`` learns from the
        trials before.
        The grid unless given, or Optuna if there is a range or a number of trials.
    trials : int, optional
        Number of trials; all combinations for the grid unless given.
    seed : int
        Seed of the sampler.
    engine : str, optional
        As in `run`.
    jobs : int
        Number of trials to run at once, on the engine ``make``; others get it for the tasks of a trial.
    prune_after : int, optional
        End a trial at this step of its training or later, if it is worse than the median of five or more
        earlier trials at that step; the pipeline reports the steps with `TaskContext.intermediate`.
    tracked : bool
        Whether to record the trials as runs inside one tracking run.
    report : callable
        Receives events as they happen.

    Raises
    ------
    UsageError
        If a parameter, the objective or the target does not exist, or the target needs an effect.
    ExtraMissing
        If Optuna is needed but not installed.
    Unavailable
        As in `run`.
    """
    from baton.core.parameters import leaves
    from baton.runs.space import spaces_in
    from baton.runs.sweep import Objective, Suggestions, Sweep, TrialRunner, new_record, refuse_contradictions

    chosen = find_engine(engine or project.configuration.settings.baton.engine)
    artifact, *path = objective.split(".")
    goal = Objective(artifact, tuple(path), minimise)
    found = spaces_in(leaves(project.declared.parameters), spaces)
    refuse_contradictions(project, spaces, found)
    maker = goal.maker(project.dag)
    execution = Execution.begin(project, [target or maker.name], chosen.name, use_cache=True, report=report)
    goal.require_in(execution.dag)
    if sampler is None:
        sampler = "grid" if trials is None and all(space.values for space in found.values()) else "optuna"
    ordered = list(found.values())
    suggestions = Suggestions(ordered, goal, sampler, trials, seed)
    chosen.check()
    execution.check()
    at_once = jobs if chosen.name == "make" else 1
    # Tasks of trials at once need processes of their own, which make uses for more than one job.
    options = EngineOptions(jobs=(2 if at_once > 1 else jobs) if jobs > 1 else None)
    runner = TrialRunner(execution, lambda one: chosen.run(one, options), goal)
    record = new_record(project, chosen.name, goal, ordered, (sampler, seed)) if tracked else None
    if record is not None:
        record.check()
    return Sweep(suggestions, goal, found, runner, at_once, record, prune_after)


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
    from baton.runs.known import known_lines

    return tuple(known_lines(project, find_run(project, run).run_id))


def status(
    project: Project, limit: int = 10, warn: Callable[[str], object] = lambda _: None
) -> tuple[RunRecord, ...]:
    """Return the latest runs of the project, newest first, also those of machines that share its store.

    Parameters
    ----------
    project : Project
        As returned by `open_project`.
    limit : int
        How many.
    warn : callable
        Receives a message if the runs of other machines cannot be read.
    """
    from baton.runs.known import known_runs

    return known_runs(project, limit, warn)


def find_run(project: Project, run: str = "latest") -> RunRecord:
    """Return the record of a run, also of one on a machine that shares the project's store.

    Parameters
    ----------
    project : Project
        As returned by `open_project`.
    run : str
        The run's id, or its id in Airflow, Prefect or MLflow; ``"latest"`` is this machine's latest run.

    Raises
    ------
    UsageError
        If no such run is known.
    StoreError, Unavailable
        If the runs of other machines cannot be read.
    """
    from baton.runs.known import known_run

    return known_run(project, run)


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
