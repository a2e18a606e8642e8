"""A DAG of tasks: dependencies, order, the part that a target needs, and validation.

Each validation rule is one function; a DAG reports all problems at once.
"""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from baton.core.artifact import are_compatible, kind_for
from baton.core.parameters import Parameters, groups, joined, leaves
from baton.core.period import Period
from baton.core.task import AnyTask
from baton.core.values import as_text, spelled, typed, why_unusable, without_bounds
from baton.errors import InvalidPipeline, UsageError, nearest


class Dag:
    """A pipeline: named tasks over one set of parameters, valid by construction.

    Parameters
    ----------
    name : str
        The pipeline's name, for people, tracking and the engines.
    tasks : iterable of Task or Dag
        The tasks; their order here breaks ties in `order`.  A DAG stands for its tasks, and brings its
        parameters, checks and period.
    parameters : type
        The `Parameters` class that provides the tasks' parameters.
    default : str, optional
        The target if none is given; None means every task.
    description : str
        One line for people.
    experiment : str, optional
        The tracker's name for the pipeline's runs; the pipeline's name unless given.
    headline : str, optional
        Label of the most important fact of a run, such as ``"RMSE"``.
    health : mapping of str to callable, optional
        Checks that ``baton doctor`` runs for this pipeline, by label: each takes parameters by name
        and returns a line, or raises an exception with a ``hint``.
    period : Period, optional
        Which parameters hold the year, month or day of a run; schedules set them.

    Raises
    ------
    InvalidPipeline
        If the DAG breaks any of `RULES`; lists all problems.
    """

    def __init__(
        self,
        name: str,
        tasks: Iterable[AnyTask | Dag],
        *,
        parameters: type[Parameters] = Parameters,
        default: str | None = None,
        description: str = "",
        experiment: str | None = None,
        headline: str | None = None,
        health: Mapping[str, Callable[..., str]] | None = None,
        period: Period | None = None,
    ) -> None:
        self.name = name
        parts = list(tasks)
        inner = [part for part in parts if isinstance(part, Dag)]
        problems: list[str] = []
        self.tasks: tuple[AnyTask, ...] = tuple(
            dict.fromkeys(
                task for part in parts for task in (part.tasks if isinstance(part, Dag) else (part,))
            )
        )
        self.parameters: type[Parameters] = _parameters_of(
            [parameters, *(dag.parameters for dag in inner)], problems
        )
        self.default = default
        self.description = description
        self.experiment = experiment or name
        self.headline = headline
        self.health: dict[str, Callable[..., str]] = {}
        for dag in inner:
            self.health.update(dag.health)
        self.health.update(health or {})
        periods = [one for one in [period, *(dag.period for dag in inner)] if one is not None]
        self.period: Period | None = periods[0] if periods else None
        if any(one != self.period for one in periods):
            problems.append(f"its parts have different periods: {', '.join(map(str, periods))}")
        problems += [problem for rule in RULES for problem in rule(self)]
        if not self.tasks:
            problems.append("it has no tasks")
        if problems:
            raise InvalidPipeline(name, problems)

    def __repr__(self) -> str:
        """Show the name and the tasks in topological order."""
        return f"<Dag {self.name}: {', '.join(task.name for task in self.order)}>"

    def __add__(self, other: Dag) -> Dag:
        """Return a DAG of the tasks of both, with the name, experiment and headline of the first."""
        return Dag(
            self.name,
            [self, other],
            description=self.description,
            experiment=self.experiment,
            headline=self.headline or other.headline,
        )

    def under(self, prefix: str) -> Dag:
        """Return a copy in which each task, group and artifact is called ``PREFIX_NAME``.

        So that a DAG can be part of another one more than once: ``north.under("a") + north.under("b")``.
        """

        def renamed(name: str) -> str:
            return f"{prefix}_{name}"

        def under_prefix(task: AnyTask) -> AnyTask:
            return task.bind(
                renamed(task.name),
                outputs=tuple(map(renamed, task.outputs)),
                group=renamed(task.group),
                after=tuple(map(renamed, task.after)),
                **{
                    name: renamed(one.artifact)
                    if one.elements is None
                    else {key: renamed(artifact) for key, artifact in one.elements.items()}
                    for name, one in task.arguments.items()
                },
            )

        return Dag(
            self.name,
            map(under_prefix, self.tasks),
            parameters=self.parameters,
            default=self.default and renamed(self.default),
            description=self.description,
            experiment=self.experiment,
            headline=self.headline,
            health=self.health,
            period=self.period,
        )

    @cached_property
    def _by_name(self) -> Mapping[str, AnyTask]:
        return {task.name: task for task in self.tasks}

    @cached_property
    def producers(self) -> Mapping[str, AnyTask]:
        """The task that makes each artifact, by artifact name."""
        return {output: task for task in self.tasks for output in task.outputs}

    @cached_property
    def groups(self) -> Mapping[str, tuple[AnyTask, ...]]:
        """The tasks of each group, in declaration order."""
        found: dict[str, list[AnyTask]] = {}
        for task in self.tasks:
            found.setdefault(task.group, []).append(task)
        return {name: tuple(members) for name, members in found.items()}

    @property
    def target_names(self) -> tuple[str, ...]:
        """All valid targets: groups, then tasks."""
        return tuple(dict.fromkeys([*self.groups, *self._by_name]))

    def task(self, name: str) -> AnyTask:
        """Return the task called `name`.

        Raises
        ------
        UsageError
            If it does not exist, with the nearest name.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UsageError(
                f"pipeline '{self.name}' has no task '{name}'{nearest(name, self._by_name)}",
                "list them with: baton list",
            ) from None

    def upstream_of(self, task: AnyTask) -> tuple[AnyTask, ...]:
        """Return the tasks that must succeed before `task` runs, without duplicates."""
        names = [self.producers[name].name for name in task.inputs if name in self.producers]
        names += [name for name in task.after if name in self._by_name]
        return tuple(self._by_name[name] for name in dict.fromkeys(names))

    @cached_property
    def order(self) -> tuple[AnyTask, ...]:
        """The tasks in topological order; ``first`` ones before, ``last`` ones after all others."""
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
        """Return the tasks called `names` and everything that they need."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(upstream.name for upstream in self.upstream_of(self.task(name)))
        return frozenset(found)

    def descendants(self, name: str) -> frozenset[str]:
        """Return the tasks that need the task called `name`, excluding itself."""
        found = {name}
        for task in self.order:
            if any(upstream.name in found for upstream in self.upstream_of(task)):
                found.add(task.name)
        return frozenset(found - {name})

    def members(self, target: str) -> tuple[AnyTask, ...]:
        """Return the tasks that `target` names: the members of a group, or one task.

        Raises
        ------
        UsageError
            If there is no such group or task, with the nearest name.
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
        """Return `targets`, or the default target if there are none."""
        if targets:
            return tuple(targets)
        return (self.default,) if self.default is not None else tuple(self.groups)

    def subset(self, targets: Sequence[str] = ()) -> Dag:
        """Return the part of the DAG that `targets` need; the default target if there are none.

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
            period=self.period,
        )


def _parameters_of(classes: Iterable[type[Parameters]], problems: list[str]) -> type[Parameters]:
    found: type[Parameters] = Parameters
    for one in classes:
        try:
            found = joined(found, one)
        except ValueError as error:
            problems.append(str(error))
    return found


def tasks_are_well_declared(dag: Dag) -> Iterator[str]:
    """Every task is well declared."""
    for task in dag.tasks:
        for problem in task.problems:
            yield f"task '{task.name}': {problem}"


def functions_are_plain(dag: Dag) -> Iterator[str]:
    """Every function is a plain function, so that its source can be read."""
    for task in dag.tasks:
        function: Any = task.function
        if not inspect.isfunction(function):
            yield f"task '{task.name}': {type(function).__name__} is not a plain function"
        elif function.__name__ == "<lambda>":
            yield f"task '{task.name}' is a lambda; give it a name with def"
        elif inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            yield f"task '{task.name}' is a generator; return the whole value"
        elif inspect.iscoroutinefunction(function):
            yield f"task '{task.name}' is asynchronous; a task is an ordinary function"
        elif function.__closure__:
            captured = ", ".join(function.__code__.co_freevars)
            yield f"task '{task.name}' is a closure over {captured}; pass it as a parameter"


def names_are_usable(dag: Dag) -> Iterator[str]:
    """Names are Python identifiers, short enough for every engine."""
    for kind, name in [
        *(("task", task.name) for task in dag.tasks),
        *(("group", task.group) for task in dag.tasks),
        *(("output", output) for task in dag.tasks for output in task.outputs),
    ]:
        if not name.isidentifier() or keyword.iskeyword(name) or len(name) > 80:
            yield f"{kind} name {name!r} is not an identifier of at most 80 characters"


def names_are_unique(dag: Dag) -> Iterator[str]:
    """Task names are unique, and no group has the name of a task outside it."""
    seen: set[str] = set()
    for task in dag.tasks:
        if task.name in seen:
            yield f"two tasks are called '{task.name}'"
        seen.add(task.name)
    for task in dag.tasks:
        if task.group in seen and dag.task(task.group).group != task.group:
            yield f"group '{task.group}' of task '{task.name}' has the name of a task outside it"


def outputs_have_one_producer(dag: Dag) -> Iterator[str]:
    """Each artifact has one producer."""
    producers: dict[str, str] = {}
    for task in dag.tasks:
        for output in task.outputs:
            if output in producers:
                yield f"artifact '{output}' has two producers: '{producers[output]}' and '{task.name}'"
            producers[output] = task.name


def pure_tasks_make_something(dag: Dag) -> Iterator[str]:
    """Pure tasks return something; otherwise they would have no use."""
    for task in dag.tasks:
        if not task.effect and not task.outputs and not task.problems:
            yield f"task '{task.name}' returns nothing; if it has side effects, set effect=True"


def inputs_are_known(dag: Dag) -> Iterator[str]:
    """Each input is an output of some task, of the same kind."""
    made = dag.producers
    for task in dag.tasks:
        for argument, taken in task.arguments.items():
            if taken.elements == {}:
                yield (
                    f"task '{task.name}': argument '{argument}' takes several artifacts: "
                    f"say which with {task.function.__name__}.bind(..., {argument}=[...])"
                )
        for name, kind in task.inputs.items():
            if name not in made:
                yield f"task '{task.name}': no task makes its input '{name}'{nearest(name, made)}"
                continue
            produced = made[name].outputs[name]
            if not are_compatible(kind, produced):
                yield (
                    f"task '{task.name}' takes '{name}' as {kind.name}, "
                    f"but '{made[name].name}' makes it as {produced.name}"
                )


def parameters_are_known(dag: Dag) -> Iterator[str]:
    """Each parameter of a task is declared, with the same type."""
    declared = {leaf.name: leaf.plain_type for leaf in leaves(dag.parameters)}
    grouped = groups(dag.parameters)
    for task in dag.tasks:
        for name, annotation in task.parameters.items():
            if name in declared:
                wanted = without_bounds(annotation)
                if annotation is not None and wanted != declared[name]:
                    yield (
                        f"task '{task.name}' takes parameter '{name}' as {spelled(wanted)}, "
                        f"declared as {spelled(declared[name])}"
                    )
            elif name not in grouped:
                fitting = kind_for(annotation)
                if name not in dag.producers and fitting in ("Json", "File or Folder"):
                    fitting = ""  # more probably a parameter
                advice = f": annotate it {fitting}" if fitting else nearest(name, [*declared, *grouped])
                yield (
                    f"task '{task.name}': argument '{name}' is neither an artifact nor a parameter{advice}"
                )


def versions_take_what_is_known(dag: Dag) -> Iterator[str]:
    """Let ``version`` take parameters of its task and, for an effect, the model registry."""
    for task in dag.tasks:
        for name, takes_registry in task.version_arguments.items():
            if takes_registry:
                if not task.effect:
                    yield (
                        f"task '{task.name}': version= takes the model registry, which only effects can use: "
                        "the result of a pure task must not depend on it"
                    )
            elif name not in task.parameters and name not in task.fixed:
                yield (
                    f"task '{task.name}': version= takes '{name}', which is not a parameter of the task"
                    f"{nearest(name, task.parameters)}"
                )


def conditions_take_what_is_known(dag: Dag) -> Iterator[str]:
    """Let ``when`` take parameters and JSON inputs of its task."""
    for task in dag.tasks:
        known = [*task.parameters, *task.fixed, *task.arguments]
        for name in task.when_arguments:
            if name not in known:
                yield (
                    f"task '{task.name}': when= takes '{name}', which the task does not take"
                    f"{nearest(name, known)}"
                )
            elif name in task.arguments and task.arguments[name].kind.name != "json":
                yield (
                    f"task '{task.name}': when= takes '{name}', a {task.arguments[name].kind.name}: "
                    "it may take parameters and inputs of the kind Json, which any engine reads at once"
                )


def parameter_names_are_unique(dag: Dag) -> Iterator[str]:
    """No two parameters share a short name."""
    seen: dict[str, str] = {}
    for leaf in leaves(dag.parameters):
        if leaf.name in seen:
            yield f"two parameters are called '{leaf.name}': {seen[leaf.name]} and {leaf.key}"
        seen[leaf.name] = leaf.key
    for name in groups(dag.parameters):
        if name in seen:
            yield f"parameter {seen[name]} has the name of a group"


def parameters_have_defaults(dag: Dag) -> Iterator[str]:
    """Parameters have defaults, so that users set only what they want to change."""
    for leaf in leaves(dag.parameters):
        if leaf.default is msgspec.NODEFAULT:
            yield f"parameter {leaf.key} has no default"


def parameters_can_be_given(dag: Dag) -> Iterator[str]:
    """Each parameter has a type that every source and engine supports, and a default of that type."""
    for leaf in leaves(dag.parameters):
        problem = why_unusable(leaf.type)
        if problem:
            yield f"parameter {leaf.key}: {problem}"
        elif leaf.default is not msgspec.NODEFAULT:
            try:
                typed(leaf.type, leaf.default, from_text=False)
            except ValueError as error:
                yield f"parameter {leaf.key}: its default cannot be {as_text(leaf.default)!r}: {error}"


def period_fits_parameters(dag: Dag) -> Iterator[str]:
    """Let the period name only parameters that can hold it."""
    if dag.period is not None:
        yield from dag.period.problems(dag.parameters)


def after_is_known(dag: Dag) -> Iterator[str]:
    """Each task named in ``after`` exists."""
    known = {task.name: task for task in dag.tasks}
    for task in dag.tasks:
        for name in task.after:
            if name not in known:
                yield f"task '{task.name}' runs after '{name}', which is not a task{nearest(name, known)}"
            elif known[name].position == "last":
                yield f"task '{task.name}' runs after '{name}', which is last"


def positioned_tasks_stand_alone(dag: Dag) -> Iterator[str]:
    """Tasks marked first or last are effects without artifacts, because they may run alone."""
    for task in dag.tasks:
        if task.position and (not task.effect or task.inputs or task.outputs or task.after):
            yield (
                f"task '{task.name}' is {task.position}: "
                "it must be an effect without inputs, outputs or after"
            )


def default_target_is_known(dag: Dag) -> Iterator[str]:
    """Refuse a default target that does not exist."""
    if dag.default is not None and dag.default not in dag.target_names:
        yield f"the default target '{dag.default}' does not exist{nearest(dag.default, dag.target_names)}"


def there_is_no_cycle(dag: Dag) -> Iterator[str]:
    """No task depends on itself, directly or through others."""
    finished: set[str] = set()
    for start in dag.tasks:
        path: list[str] = []
        yield from _cycle_from(dag, start, path, finished)


def _cycle_from(dag: Dag, task: AnyTask, path: list[str], finished: set[str]) -> Iterator[str]:
    if task.name in finished:
        return
    if task.name in path:
        loop = [*path[path.index(task.name) :], task.name]
        finished.update(loop)
        yield f"tasks depend on each other in a circle: {' -> '.join(reversed(loop))}"
        return
    path.append(task.name)
    for upstream in dag.upstream_of(task):
        yield from _cycle_from(dag, upstream, path, finished)
    path.pop()
    finished.add(task.name)


RULES: tuple[Callable[[Dag], Iterator[str]], ...] = (
    tasks_are_well_declared,
    functions_are_plain,
    names_are_usable,
    names_are_unique,
    outputs_have_one_producer,
    pure_tasks_make_something,
    inputs_are_known,
    parameters_are_known,
    versions_take_what_is_known,
    conditions_take_what_is_known,
    parameter_names_are_unique,
    parameters_have_defaults,
    parameters_can_be_given,
    period_fits_parameters,
    after_is_known,
    positioned_tasks_stand_alone,
    default_target_is_known,
    there_is_no_cycle,
)
