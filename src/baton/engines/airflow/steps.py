"""Divide a DAG into Airflow tasks and their dependencies; this does not import Airflow.

A *step* is one Airflow task: one task of ours, the tasks of a group, or the whole run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from baton.core.dag import Dag
from baton.core.task import AnyTask, Position
from baton.errors import InvalidPipeline, UsageError

Granularity = Literal["task", "group", "run"]
GRANULARITIES: tuple[Granularity, ...] = ("task", "group", "run")

START = "start_tracking"
"""The step that creates the tracking run if no task of the pipeline can."""
FINISH = "finish_run"
"""The step that closes the run."""

Upstream = dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Step:
    """One Airflow task.

    Parameters
    ----------
    name : str
        Its id in Airflow.
    tasks : tuple of str
        The tasks that it runs, in order; empty for bookkeeping steps.
    upstream : tuple of str
        The steps that it waits for directly.
    sources : tuple of str
        The steps whose reports it reads.
    before : tuple of str
        All steps that have ended before it starts, to rerun producers of lost inputs.
    position : "first", "last" or None
        As in `baton.core.task.Task`; a last step runs whatever the outcomes of others.
    opens_tracking : bool
        Whether it creates the execution's tracking run.
    root : str
        The task whose elements it runs over, as one mapped Airflow task for each; empty if not mapped.
    finds : str
        The task whose elements it finds, for a step that finds elements.
    mapped : mapping of str to str
        The `root` of each mapped step of the DAG, by name.
    finders : mapping of str to str
        The step that finds the elements of each task, by the task's name.
    """

    name: str
    tasks: tuple[str, ...]
    upstream: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    position: Position | None = None
    opens_tracking: bool = False
    root: str = ""
    finds: str = ""
    mapped: Mapping[str, str] = field(default_factory=dict)
    finders: Mapping[str, str] = field(default_factory=dict)


def divide(dag: Dag, granularity: Granularity) -> tuple[Step, ...]:
    """Return the steps of a DAG in topological order, with the one that closes the run last.

    Raises
    ------
    UsageError
        If the granularity does not exist.
    InvalidPipeline
        If groups depend on each other, so that none can run as one step.
    """
    if granularity not in GRANULARITIES:
        raise UsageError(
            f"granularity '{granularity}' does not exist", f"granularities are {', '.join(GRANULARITIES)}"
        )
    if granularity == "run":
        names = tuple(task.name for task in dag.order)
        return (Step(dag.name, names, opens_tracking=any(task.tracking for task in dag.tasks)),)
    members = _members(dag, granularity)
    reserved = [name for name in (START, FINISH) if name in members]
    if reserved:
        raise InvalidPipeline(dag.name, [f"'{reserved[0]}' is a reserved name of a task that baton adds"])
    upstream = _wait(dag, members)
    steps = [
        Step(
            name,
            tuple(task.name for task in members[name]),
            tuple(sorted(upstream[name])),
            position=members[name][0].position,
            root=dag.elements_from.get(name, "") if granularity == "task" else "",
        )
        for name in _sorted(dag, upstream)
    ]
    steps = _with_finders(steps)
    return _with_sources(dag, _with_bookkeeping(dag, steps), granularity)


def _members(dag: Dag, granularity: Granularity) -> dict[str, list[AnyTask]]:
    """Return the tasks of each step; a task with a position is a separate step."""
    found: dict[str, list[AnyTask]] = {}
    for task in dag.order:
        alone = granularity == "task" or task.position is not None
        found.setdefault(task.name if alone else task.group, []).append(task)
    mixed = [name for name, tasks in found.items() if len({task.position for task in tasks}) > 1]
    if mixed:
        raise InvalidPipeline(
            dag.name, [f"'{mixed[0]}' is both a group and a task that runs first or last"], "rename one"
        )
    return found


def _wait(dag: Dag, members: Mapping[str, list[AnyTask]]) -> Upstream:
    """Return what each step waits for directly."""
    home = {task.name: name for name, tasks in members.items() for task in tasks}
    position = {name: tasks[0].position for name, tasks in members.items()}
    needs: dict[str, set[str]] = {
        name: {home[up.name] for task in tasks for up in dag.upstream_of(task)} - {name}
        for name, tasks in members.items()
    }
    _sorted(dag, needs)
    firsts = {name for name in needs if position[name] == "first"}
    roots = [name for name, waits in needs.items() if position[name] is None and not waits]
    needs |= {name: set(firsts) for name in roots}
    kept = _without_detours({name: waits for name, waits in needs.items() if position[name] != "last"})
    ends = _ends(kept)
    return {name: ends if position[name] == "last" else kept[name] for name in needs}


def _ancestors(upstream: Mapping[str, Iterable[str]], name: str) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(upstream[name])
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(upstream[one])
    return frozenset(found)


def _without_detours(upstream: Mapping[str, Iterable[str]]) -> Upstream:
    """Leave out dependencies that follow from others."""
    implied = {name: _ancestors(upstream, name) for name in upstream}
    return {
        name: frozenset(one for one in waits if not any(one in implied[other] for other in waits))
        for name, waits in upstream.items()
    }


def _ends(upstream: Upstream) -> frozenset[str]:
    """Return the steps after whose end all have ended, whatever their outcome.

    A step ends as soon as one of its dependencies fails, while the others may still run.  So a step can
    only be left out if another step waits for it alone.
    """
    covered = {next(iter(waits)) for waits in upstream.values() if len(waits) == 1}
    return frozenset(upstream) - covered


def _sorted(dag: Dag, upstream: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    try:
        # Sets are ordered differently in each process, and Airflow treats a new order as a new DAG.
        graph = {name: sorted(waits) for name, waits in upstream.items()}
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        names = ", ".join(f"'{name}'" for name in sorted(set(error.args[1])))
        raise InvalidPipeline(
            dag.name,
            [f"the groups {names} depend on each other, so that none can run as one step"],
            "use the granularity 'task', or change the groups",
        ) from error


def _with_bookkeeping(dag: Dag, steps: list[Step]) -> list[Step]:
    """Choose or add the step that creates the tracking run, and add the one that closes the run."""
    upstream = {step.name: frozenset(step.upstream) for step in steps}
    tracked = [step for step in steps if any(dag.task(name).tracking for name in step.tasks)]
    opener = next((one for one in tracked if _leads_to_all(one, tracked, upstream)), None)
    if tracked and opener is None:
        after = tuple(step.name for step in steps if step.position == "first" and step not in tracked)
        steps = [
            replace(step, upstream=(*step.upstream, START)) if step in tracked else step for step in steps
        ]
        steps = [*(s for s in steps if s.name in after), Step(START, (), after, opens_tracking=True)] + [
            step for step in steps if step.name not in after
        ]
    elif opener is not None:
        steps = [replace(step, opens_tracking=True) if step is opener else step for step in steps]
    lasts = tuple(step.name for step in steps if step.position == "last")
    ends = lasts or tuple(sorted(_ends({step.name: frozenset(step.upstream) for step in steps})))
    return [*steps, Step(FINISH, (), ends, position="last")]


def _with_finders(steps: list[Step]) -> list[Step]:
    """Add the steps that find elements, before the mapped ones."""
    finders = _finders(steps)
    firsts = tuple(step.name for step in steps if step.position == "first")
    found = [
        replace(step, upstream=(*step.upstream, finders[step.root])) if step.root == step.name else step
        for step in steps
    ]
    added = [Step(name, (), firsts, finds=root) for root, name in finders.items()]
    place = max((found.index(step) + 1 for step in found if step.position == "first"), default=0)
    return [*found[:place], *added, *found[place:]]


def _finders(steps: Iterable[Step]) -> dict[str, str]:
    return {step.root: f"elements_of_{step.root}" for step in steps if step.root}


def _leads_to_all(one: Step, tracked: list[Step], upstream: Upstream) -> bool:
    return all(one is other or one.name in _ancestors(upstream, other.name) for other in tracked)


def _with_sources(dag: Dag, steps: list[Step], granularity: Granularity) -> tuple[Step, ...]:
    upstream = {step.name: step.upstream for step in steps}
    home = {name: step.name for step in steps for name in step.tasks}
    opener = {step.name for step in steps if step.opens_tracking}

    def sources(step: Step) -> tuple[str, ...]:
        if step.name == FINISH:
            return tuple(other.name for other in steps if other is not step)
        tasks = [dag.task(name) for name in step.tasks]
        before = _ancestors(upstream, step.name)
        if granularity == "group" or any(task.effect and task.context for task in tasks):
            return tuple(other.name for other in steps if other.name in before)  # it has all reports
        wanted = {home[dag.producers[name].name] for task in tasks for name in task.inputs}
        if any(task.tracking for task in tasks):
            wanted |= opener & before
        return tuple(other.name for other in steps if other.name in wanted)

    def before(step: Step) -> tuple[str, ...]:
        found = _ancestors(upstream, step.name)
        return tuple(other.name for other in steps if other.name in found)

    finders = _finders(steps)

    def reporting(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in finders.values())

    return tuple(
        replace(
            step,
            sources=reporting(sources(step)),
            before=reporting(before(step)),
            mapped={other.name: other.root for other in steps if other.root},
            finders=finders,
        )
        for step in steps
    )
