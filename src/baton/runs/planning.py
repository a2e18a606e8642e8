"""What a run that may use the cache would do with each task, and why; nothing runs or is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from baton.core.artifact import Artifact
from baton.core.dag import Dag
from baton.core.execute import describe, unmet
from baton.core.reasons import Cause, CauseKind, by_importance, in_one_line
from baton.core.task import AnyTask
from baton.errors import StoreError
from baton.runs.execution import Execution
from baton.store.key import Work
from baton.store.shown import without_secrets_in


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """What a run would do with one task.

    Parameters
    ----------
    task : str
        Name of the task.
    would_run : bool
        False if the run would use a cached result, or skip the task.
    reason : str
        Why, in one line.
    causes : tuple of Cause
        The separate causes for running, most important first.
    would_skip : bool
        Whether the run would skip the task, as far as that is known before it.
    """

    task: str
    would_run: bool
    reason: str
    causes: tuple[Cause, ...] = ()
    would_skip: bool = False

    @property
    def verb(self) -> str:
        """What the run would do with the task: ``"run"``, ``"skip"`` or ``"cached"``."""
        return "run" if self.would_run else "skip" if self.would_skip else "cached"


def plan(execution: Execution) -> tuple[PlannedTask, ...]:
    """Return what an execution would do with each task, in its order; see `baton.api.plan`."""
    return tuple(one.planned for one in forecast(execution, execution.dag.order).values())


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known about a task before a run."""

    planned: PlannedTask
    work: Work | None
    inputs: Mapping[str, Artifact]
    outputs: Mapping[str, Artifact] = field(default_factory=dict)


def forecast(execution: Execution, order: Sequence[AnyTask]) -> dict[str, Forecast]:
    """Return the forecast of each task in `order`, which must be topological."""
    found: dict[str, Forecast] = {}
    known: dict[str, Artifact] = {}
    store = execution.project.store
    for task in order:
        try:
            with store.code.without_writing():
                found[task.name] = _forecast_one(execution, task, found, known)
        except StoreError:
            raise  # not caused by the task
        except Exception as error:  # raised by the task's own version function
            found[task.name] = _would_fail(task, error)
        known.update(found[task.name].outputs)
    return found


def _forecast_one(
    execution: Execution, task: AnyTask, found: Mapping[str, Forecast], known: Mapping[str, Artifact]
) -> Forecast:
    store, dag = execution.project.store, execution.project.dag
    causes = [Cause(CauseKind.FORCED)] if task.name in execution.forced else []
    if not execution.use_cache:
        causes.append(Cause(CauseKind.CACHE_OFF))
    inputs = {name: known[name] for name in task.inputs if name in known}
    skipped = _would_skip(execution, task, inputs, found)
    if skipped is not None:
        return Forecast(skipped, None, inputs)
    unknown = tuple(name for name in task.inputs if name not in known)
    scope = execution.effect_scope
    if task.effect and not scope.skips_done:
        return _would_run(task, [*causes, Cause(CauseKind.EFFECT)], inputs=inputs)
    seen = execution.task_run.seen_by(task)
    if unknown:
        makers = dict.fromkeys(dag.producers[name].name for name in unknown)
        causes += [Cause(CauseKind.UPSTREAM, name) for name in makers]
        work = store.work(task, inputs, seen, scope)
        changes = store.changes(task, work, unknown_inputs=unknown, scope=scope)
        causes += _from_upstream(changes, dag, found)
        return _would_run(task, causes, work, inputs)
    decision = store.decide(task, inputs, seen, use=True, scope=scope)
    causes += _from_upstream(decision.causes, dag, found)
    if causes or decision.entry is None:
        expected = _would_run(task, causes, store.work_of(decision), inputs)
        read = store.external_artifact(task, seen) if task.external is not None else None
        return expected if read is None else replace(expected, outputs={read.name: read})
    planned = PlannedTask(task.name, would_run=False, reason=decision.reason)
    return Forecast(planned, store.work_of(decision), inputs, decision.entry.outputs)


def _would_skip(
    execution: Execution, task: AnyTask, inputs: Mapping[str, Artifact], found: Mapping[str, Forecast]
) -> PlannedTask | None:
    """Return the plan for a task that would be skipped, if that is known, else None."""
    for upstream in execution.dag.upstream_of(task):
        if found[upstream.name].planned.would_skip:
            reason = f"'{upstream.name}' would be skipped"
            return PlannedTask(task.name, would_run=False, reason=reason, would_skip=True)
    if task.when is None or inputs.keys() != task.inputs.keys():
        return None
    report = unmet(task, inputs, execution.task_run)
    if report is None:
        return None
    return PlannedTask(task.name, would_run=False, reason=report.reason, would_skip=True)


def _would_run(
    task: AnyTask,
    causes: Iterable[Cause],
    work: Work | None = None,
    inputs: Mapping[str, Artifact] | None = None,
) -> Forecast:
    ordered = by_importance(causes)
    planned = PlannedTask(task.name, would_run=True, reason=in_one_line(ordered), causes=ordered)
    return Forecast(planned, work, inputs or {})


def _would_fail(task: AnyTask, error: Exception) -> Forecast:
    return _would_run(task, [Cause(CauseKind.FAILS, without_secrets_in(describe(error).message))])


def _from_upstream(causes: Iterable[Cause], dag: Dag, found: Mapping[str, Forecast]) -> Iterator[Cause]:
    """Add to each changed input which task makes it, and why its value is known."""
    for cause in causes:
        maker = dag.producers.get(cause.subject) if cause.kind is CauseKind.INPUT else None
        if maker is None or maker.name not in found:
            yield cause
        else:
            yield replace(cause, note=f"from '{maker.name}', cached: {found[maker.name].planned.reason}")
