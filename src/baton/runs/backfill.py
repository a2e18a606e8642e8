"""A backfill: one run for each of several periods, in order.

It keeps no state of its own.  What is done is known from the cache and from the records of effects, so an
interrupted backfill continues when it is started again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial

from baton.core.artifact import Artifact
from baton.core.effect_scope import LATER_THAN_ALL_RUNS, InBackfill
from baton.core.execute import look_up
from baton.core.outcome import Outcome, RunReport, TaskReport
from baton.core.period import Period
from baton.errors import UsageError
from baton.runs.execution import Execution
from baton.runs.planning import PlannedTask, forecast
from baton.runs.project import Project
from baton.runs.records import RunRecord, list_runs

_EVERY_RUN = 1_000_000


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """How a backfill ended for one period.

    Parameters
    ----------
    period : str
        The period's name, such as ``"2021-01"``.
    run : RunReport
        How its tasks ended.  If all were done before there was no run, and the run's id is empty.
    stages : mapping of str to tuple of str
        The names of its tasks, by the task as declared: one, or one for each element.
    """

    period: str
    run: RunReport
    stages: Mapping[str, tuple[str, ...]]

    @property
    def did_run(self) -> bool:
        """Whether there was anything to run."""
        return bool(self.run.run_id)


@dataclass(frozen=True, slots=True)
class PeriodPlan:
    """What a backfill would do for one period; as `PeriodReport`, before the run."""

    period: str
    tasks: tuple[PlannedTask, ...]
    stages: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class OnePeriod:
    """A period that is to be run."""

    name: str
    project: Project
    is_last: bool


def periods_of(
    project: Project, first: str, last: str, *, only_failed: bool = False
) -> tuple[OnePeriod, ...]:
    """Return the periods from `first` to `last`, each with a project that has its parameters.

    With `only_failed`, they begin with the first one whose latest run failed, and those that never ran are
    left out.  The later ones that succeeded are not: their effects come after those of the failed one.

    Raises
    ------
    UsageError
        If the pipeline has no period, or a name is not one.
    SettingsError
        If the pipeline does not accept the parameters of one.
    """
    dag = project.declared
    period = dag.period
    if period is None:
        raise UsageError(
            f"pipeline '{dag.name}' has no period, so it cannot be backfilled",
            "declare one: Dag(..., period=Period('month', ('year', 'month')))",
        )
    origins = {leaf.name: project.configuration.origins[leaf.key] for leaf in project.configuration.leaves}
    for name in period.parameters:
        if origins[name].source == "command line":
            raise UsageError(
                f"--{name.replace('_', '-')} contradicts a backfill, which sets it for each period",
                "leave it out",
            )
    earlier = cache(lambda: _latest_runs(project, period))
    wanted = {period.name_of(values): values for values in period.between(first, last)}
    if only_failed:
        ran = [name for name in wanted if name in earlier()]
        begin = next((at for at, name in enumerate(ran) if earlier()[name].state != "succeeded"), len(ran))
        wanted = {name: wanted[name] for name in ran[begin:]}
    return tuple(
        OnePeriod(
            name,
            project.with_parameters(
                values, f"the parameters of period {name}", partial(lambda one: earlier().get(one), name)
            ),
            number == len(wanted),
        )
        for number, (name, values) in enumerate(wanted.items(), start=1)
    )


def _latest_runs(project: Project, period: Period) -> dict[str, RunRecord]:
    """Return the latest run of each period, by the period's name."""
    found: dict[str, RunRecord] = {}
    for record in list_runs(project.home, _EVERY_RUN):
        if record.pipeline == project.declared.name and set(period.parameters) <= record.parameters.keys():
            found.setdefault(period.name_of(record.parameters), record)
    return found


@dataclass
class Order:
    """Keeps the effects of a backfill in the order of the periods.

    Parameters
    ----------
    since : str
        The latest run in which an effect of the periods so far acted.
    """

    since: str = ""

    def place_of(self, one: OnePeriod) -> InBackfill:
        """Return the place of the next period's run."""
        return InBackfill(period=one.name, is_last=one.is_last, since=self.since)

    def follow(self, execution: Execution) -> None:
        """Note when the effects of a period acted last, after its run."""
        records = (
            execution.project.store.effects.of_period(execution.effect_scope, task.name)
            for task in execution.dag.tasks
            if task.effect
        )
        self.since = max([self.since, *(record.run_id for record in records if record is not None)])


def stages_of(execution: Execution) -> dict[str, tuple[str, ...]]:
    """Return the names of an execution's tasks, by the task as declared."""
    found: dict[str, list[str]] = {}
    for task in execution.dag.order:
        found.setdefault(task.copy_of or task.name, []).append(task.name)
    return {name: tuple(tasks) for name, tasks in found.items()}


def done_before(execution: Execution) -> RunReport | None:
    """Return the report of a run in which every task is done already; None if any must run."""
    made: dict[str, Artifact] = {}
    reports: list[TaskReport] = []
    skipped: set[str] = set()
    for task in execution.dag.order:
        if any(one.name in skipped for one in execution.dag.upstream_of(task)):
            report: TaskReport | None = TaskReport(task.name, Outcome.SKIPPED)
        else:
            report, _ = look_up(task, made, execution.task_run)
        if report is None:
            return None
        if report.outcome is Outcome.SKIPPED:
            skipped.add(task.name)
        made.update(report.outputs)
        reports.append(report)
    return RunReport("", tuple(reports))


def planned(order: Order, execution: Execution, known: set[tuple[str, str]]) -> tuple[PlannedTask, ...]:
    """Return what a run would do for one period, after those before it; nothing runs or is written.

    Parameters
    ----------
    order : Order
        The order of the effects.
    execution : Execution
        The period's execution.
    known : set of (str, str)
        The work that the runs of earlier periods would do, by task and key; that of this one is added.
    """
    dag, found = execution.dag, forecast(execution, execution.dag.order)
    done: set[str] = set()
    """Tasks whose work the run of an earlier period would have done."""
    tasks = []
    for name, one in found.items():
        work = (name, one.work.key) if one.work is not None else None
        follows_done = all(
            up.name in done for up in dag.upstream_of(dag.task(name)) if found[up.name].planned.would_run
        )
        if one.planned.would_run and work in known and follows_done:
            done.add(name)
            tasks.append(PlannedTask(name, would_run=False, reason="computed for an earlier period"))
            continue
        if one.planned.would_run and work is not None:
            known.add(work)
        tasks.append(one.planned)
        if one.planned.would_run and dag.task(name).effect:
            order.since = LATER_THAN_ALL_RUNS
    return tuple(tasks)
