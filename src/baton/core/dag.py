"""A DAG of tasks: what depends on what, in which order, and which part a target needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from baton.core.checks import CHECKS, nearest
from baton.core.parameters import Parameters
from baton.core.task import AnyTask
from baton.errors import InvalidPipeline, UsageError


class Dag:
    """A pipeline: named tasks over one set of parameters, valid by construction.

    Parameters
    ----------
    name : str
        The pipeline's name, for people, tracking and the engines.
    tasks : iterable of Task
        The tasks; their order here breaks ties in `order`.
    parameters : type
        The `Parameters` class that tasks may take values from.
    default : str, optional
        The target where none is named; every task where None.
    description : str
        One line for people.
    experiment : str, optional
        Name under which a tracker keeps its runs; the pipeline's name unless given.
    headline : str, optional
        Label of the fact that says most about a run, such as ``"RMSE"``.
    health : mapping of str to callable, optional
        What ``baton doctor`` tries for this pipeline, by label: each takes parameters by name and
        returns a line, or raises an exception with a ``hint``.

    Raises
    ------
    InvalidPipeline
        If any rule of `baton.core.checks` is broken, with all findings.
    """

    def __init__(
        self,
        name: str,
        tasks: Iterable[AnyTask],
        *,
        parameters: type[Parameters] = Parameters,
        default: str | None = None,
        description: str = "",
        experiment: str | None = None,
        headline: str | None = None,
        health: Mapping[str, Callable[..., str]] | None = None,
    ) -> None:
        self.name = name
        self.tasks: tuple[AnyTask, ...] = tuple(tasks)
        self.parameters = parameters
        self.default = default
        self.description = description
        self.experiment = experiment or name
        self.headline = headline
        self.health = dict(health or {})
        problems = [problem for check in CHECKS for problem in check(self)]
        if not self.tasks:
            problems.append("it has no task")
        if problems:
            raise InvalidPipeline(name, problems)

    def __repr__(self) -> str:
        """Show the name and the tasks in topological order."""
        return f"<Dag {self.name}: {', '.join(task.name for task in self.order)}>"

    @cached_property
    def _by_name(self) -> Mapping[str, AnyTask]:
        return {task.name: task for task in self.tasks}

    @cached_property
    def producers(self) -> Mapping[str, AnyTask]:
        """The task that makes each artifact, by artifact name."""
        return {output: task for task in self.tasks for output in task.outputs}

    @cached_property
    def groups(self) -> Mapping[str, tuple[AnyTask, ...]]:
        """The tasks of each group, in the order declared."""
        found: dict[str, list[AnyTask]] = {}
        for task in self.tasks:
            found.setdefault(task.group, []).append(task)
        return {name: tuple(members) for name, members in found.items()}

    @property
    def target_names(self) -> tuple[str, ...]:
        """Everything that can be named as a target: groups, then tasks."""
        return tuple(dict.fromkeys([*self.groups, *self._by_name]))

    def task(self, name: str) -> AnyTask:
        """Return the task called `name`.

        Raises
        ------
        UsageError
            If there is none, with the nearest name.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UsageError(
                f"pipeline '{self.name}' has no task '{name}'{nearest(name, self._by_name)}",
                "list them with: baton list",
            ) from None

    def upstream_of(self, task: AnyTask) -> tuple[AnyTask, ...]:
        """Return the tasks that must be good before `task` runs, each once."""
        names = [self.producers[name].name for name in task.inputs if name in self.producers]
        names += [name for name in task.after if name in self._by_name]
        return tuple(self._by_name[name] for name in dict.fromkeys(names))

    @cached_property
    def order(self) -> tuple[AnyTask, ...]:
        """The tasks in topological order; ``first`` ones before, ``last`` ones after the others."""
        placed: dict[str, AnyTask] = {}

        def place(task: AnyTask) -> None:
            if task.name not in placed:
                for upstream in self.upstream_of(task):
                    place(upstream)
                placed[task.name] = task

        rank = {"first": 0, None: 1, "last": 2}
        for task in sorted(self.tasks, key=lambda task: rank[task.position]):
            place(task)
        return tuple(placed.values())

    def ancestors(self, names: Iterable[str]) -> frozenset[str]:
        """Return the tasks called `names` and all that they need."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(upstream.name for upstream in self.upstream_of(self.task(name)))
        return frozenset(found)

    def descendants(self, name: str) -> frozenset[str]:
        """Return the tasks that need the task called `name`, itself not included."""
        found = {name}
        for task in self.order:
            if any(upstream.name in found for upstream in self.upstream_of(task)):
                found.add(task.name)
        return frozenset(found - {name})

    def members(self, target: str) -> tuple[AnyTask, ...]:
        """Return the tasks that `target` names: a group's members, or one task.

        Raises
        ------
        UsageError
            If it names neither, with the nearest name.
        """
        if target in self.groups:
            return self.groups[target]
        if target in self._by_name:
            return (self._by_name[target],)
        raise UsageError(
            f"pipeline '{self.name}' has no target '{target}'{nearest(target, self.target_names)}",
            f"targets are {', '.join(self.target_names)}",
        )

    def targets_or_default(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Return `targets`, or the default target where there is none."""
        if targets:
            return tuple(targets)
        return (self.default,) if self.default is not None else tuple(self.groups)

    def subset(self, targets: Sequence[str] = ()) -> Dag:
        """Return the part of the DAG that `targets` need; the default target where there is none.

        Raises
        ------
        UsageError
            If a target does not exist.
        """
        wanted = [task.name for target in self.targets_or_default(targets) for task in self.members(target)]
        kept = self.ancestors(wanted)
        chosen = (task for task in self.tasks if task.name in kept)
        return Dag(
            self.name,
            chosen,
            parameters=self.parameters,
            description=self.description,
            experiment=self.experiment,
            headline=self.headline,
            health=self.health,
        )
