"""A DAG of tasks: dependencies, order, the part that a target needs, and validation.

Each validation rule is one function; a DAG reports all problems at once.
"""

from __future__ import annotations

import copy
import inspect
import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import msgspec

from baton.core.argument import Argument
from baton.core.artifact import are_compatible, kind_for
from baton.core.elements import Elements, copy_for, elements_of
from baton.core.external import External, external_of
from baton.core.parameters import Parameters, groups, joined, leaves
from baton.core.period import Period
from baton.core.task import AnyTask, Task, as_kind, external_task
from baton.core.tracebacks import shown_place
from baton.core.values import as_text, is_list, spelled, typed, why_unusable, without_bounds
from baton.errors import InvalidPipeline, UsageError, listed, nearest


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
        parts = _parts(name, tasks)
        inner = [part for part in parts if isinstance(part, Dag)]
        problems: list[str] = []
        self.parameters: type[Parameters] = _parameters_of(
            [parameters, *(dag.parameters for dag in inner)], problems
        )
        self.tasks: tuple[AnyTask, ...] = _with_external_inputs(
            dict.fromkeys(
                task for part in parts for task in (part.tasks if isinstance(part, Dag) else (part,))
            ),
            self.parameters,
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
        external = {task.name for task in self.tasks if task.external is not None}

        def renamed(name: str) -> str:
            return name if name in external else f"{prefix}_{name}"

        def under_prefix(task: AnyTask) -> AnyTask:
            if task.over is not None and not task.over.argument:
                task = replace(task, over=replace(task.over, source=renamed(str(task.over.source))))
            return task.bind(
                renamed(task.name),
                outputs=tuple(map(renamed, task.outputs)),
                group=renamed(task.group),
                after=tuple(map(renamed, task.after)),
                **{
                    name: renamed(one.artifact)
                    if not one.elements
                    else {key: renamed(artifact) for key, artifact in one.elements.items()}
                    for name, one in task.arguments.items()
                },
            )

        return Dag(
            self.name,
            [task if task.external is not None else under_prefix(task) for task in self.tasks],
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
                f"list them with: baton list; {_other_pipeline(name)}",
            ) from None

    def upstream_of(self, task: AnyTask) -> tuple[AnyTask, ...]:
        """Return the tasks that must succeed before `task` runs, without duplicates."""
        return self._upstream[task.name]

    @cached_property
    def _upstream(self) -> Mapping[str, tuple[AnyTask, ...]]:
        found = {}
        for task in self.tasks:
            names = [self.producers[name].name for name in task.inputs if name in self.producers]
            names += [name for name in task.after if name in self._by_name]
            found[task.name] = tuple(self._by_name[name] for name in dict.fromkeys(names))
        return found

    @cached_property
    def dependents(self) -> Mapping[str, tuple[AnyTask, ...]]:
        """The tasks for which each task must succeed before they run, by its name."""
        found: dict[str, list[AnyTask]] = {task.name: [] for task in self.tasks}
        for task in self.tasks:
            for upstream in self.upstream_of(task):
                found[upstream.name].append(task)
        return {name: tuple(tasks) for name, tasks in found.items()}

    @cached_property
    def copies(self) -> Mapping[str, tuple[AnyTask, ...]]:
        """The copies for the elements of each task with ``over``, by the task's name; see `expanded`."""
        found: dict[str, list[AnyTask]] = {}
        for task in self.tasks:
            if task.copy_of:
                found.setdefault(task.copy_of, []).append(task)
        return {name: tuple(tasks) for name, tasks in found.items()}

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
        found: set[str] = set()
        waiting = [name]
        while waiting:
            new = [task.name for task in self.dependents[waiting.pop()] if task.name not in found]
            found.update(new)
            waiting += new
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
            f"targets are {listed(self.target_names)}; {_other_pipeline(target)}",
        )

    def targets_or_default(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Return `targets`, or the default target if there are none."""
        if targets:
            return tuple(targets)
        return (self.default,) if self.default is not None else tuple(self.groups)

    @cached_property
    def elements_from(self) -> Mapping[str, str]:
        """The task whose elements each task with ``over`` runs over, by that task's name."""
        found: dict[str, str] = {}
        for task in self.tasks:
            one, passed = task, {task.name}
            while one.over is not None and not one.over.argument:
                source = str(one.over.source)
                one = self.producers.get(source) or self._by_name.get(source) or one
                if one.name in passed:
                    break
                passed.add(one.name)
            if task.over is not None and one.over is not None and one.over.argument:
                found[task.name] = one.name
        return found

    def elements(
        self, parameters: msgspec.Struct, files_of: Callable[[str], Iterable[str]]
    ) -> dict[str, Elements]:
        """Return the elements of each task that has its own, see `baton.core.elements.elements_of`."""
        return {
            task.name: elements_of(task, parameters, files_of)
            for task in self.tasks
            if task.over is not None and task.over.argument
        }

    def expanded(self, elements: Mapping[str, Elements]) -> Dag:
        """Return the DAG with a copy for each element in place of each task with ``over``.

        Parameters
        ----------
        elements : mapping of str to dict
            As returned by `elements`.
        """
        if not self.elements_from:
            return self
        names = {task: tuple(elements[root]) for task, root in self.elements_from.items()}
        tasks: list[AnyTask] = []
        for task in self.tasks:
            if task.over is None:
                tasks.append(self._for_element(task, names, ""))
                continue
            for name, value in elements[self.elements_from[task.name]].items():
                whole = self._for_element(task, names, name)
                tasks.append(copy_for(whole, name, value, whole.arguments))
        return self._with(tasks, self.default)

    def _for_element(self, task: AnyTask, names: Mapping[str, tuple[str, ...]], element: str) -> AnyTask:
        """Return a task that takes artifacts of copies in place of those of tasks with ``over``."""
        root = self.elements_from.get(task.name)
        takes: dict[str, Argument] = {}
        for argument, one in task.arguments.items():
            maker = self.producers.get(one.artifact)
            if maker is None or maker.name not in names:
                continue
            if one.elements is not None:
                all_of_them = {name: f"{one.artifact}_{name}" for name in names[maker.name]}
                takes[argument] = replace(one, artifact="", elements=all_of_them)
            else:
                takes[argument] = replace(one, artifact=f"{one.artifact}_{element}")
        after = [
            copy
            for name in task.after
            for copy in (
                [name]
                if name not in names
                else [f"{name}_{element}"]
                if root is not None and self.elements_from[name] == root
                else [f"{name}_{one}" for one in names[name]]
            )
        ]
        if not takes and tuple(after) == task.after:
            return task
        return replace(task, arguments={**task.arguments, **takes}, after=tuple(after))

    def _with(self, tasks: Iterable[AnyTask], default: str | None = None) -> Dag:
        """Return a DAG of other tasks and another default target, the same in everything else."""
        return Dag(
            self.name,
            tasks,
            parameters=self.parameters,
            default=default,
            description=self.description,
            experiment=self.experiment,
            headline=self.headline,
            health=self.health,
            period=self.period,
        )

    def subset(self, targets: Sequence[str] = ()) -> Dag:
        """Return the part of the DAG that `targets` need; the default target if there are none.

        Raises
        ------
        UsageError
            If a target does not exist.
        """
        wanted = [task.name for target in self.targets_or_default(targets) for task in self.members(target)]
        kept = self.ancestors(wanted)
        part = copy.copy(self)  # a part of a valid DAG is valid: its rules need not be tried again
        for name, attribute in vars(Dag).items():
            if isinstance(attribute, cached_property):
                vars(part).pop(name, None)
        part.tasks = tuple(task for task in self.tasks if task.name in kept)
        part.default = None
        return part


def _with_external_inputs(tasks: Iterable[AnyTask], parameters: type[Parameters]) -> tuple[AnyTask, ...]:
    """Return tasks after those that bring their external inputs into the store."""
    listed = list(tasks)
    found = {task.name: task for task in listed if task.external is not None}
    taken: set[str] = set()
    for task in listed:
        for argument in task.arguments.values():
            taken.update(argument.artifacts)
            for name, external in argument.externals.items():
                group = "" if external.what == "model" else task.group
                found.setdefault(name, external_task(name, external, argument.kind, group=group))
    for leaf in leaves(parameters):
        declared = external_of(leaf.type)
        kind = as_kind(leaf.type)
        if declared is not None and kind is not None and leaf.name in taken:
            found.setdefault(leaf.name, external_task(leaf.name, declared, kind, annotation=leaf.type))
    return (*found.values(), *(task for task in listed if task.external is None))


def _other_pipeline(target: str) -> str:
    """Return how to name another pipeline than this one; `target` may be its file or reference."""
    module, _, name = target.partition(":")
    if name or module.endswith(".py"):
        return f"to choose a pipeline write: --pipeline {target}"
    return "another pipeline's need --pipeline MODULE:OBJECT"


def _parts(name: str, tasks: Any) -> list[AnyTask | Dag]:
    """Return what a DAG is made of; raise `InvalidPipeline` for anything but tasks and DAGs."""
    if isinstance(tasks, (Task, Dag, str)) or not isinstance(tasks, Iterable):
        raise InvalidPipeline(name, [f"its tasks must be a list, not a {type(tasks).__name__}"])
    parts = list(tasks)
    wrong = [_why_no_task(part) for part in parts if not isinstance(part, (Task, Dag))]
    if wrong:
        raise InvalidPipeline(name, wrong)
    return parts


def _why_no_task(part: Any) -> str:
    if inspect.isfunction(part):
        place = shown_place(part.__code__.co_filename, part.__code__.co_firstlineno)
        return f"'{part.__name__}' at {place} is a plain function: write @task above it"
    if isinstance(part, (list, tuple)):
        return "one of its tasks is a list: write * before it, as in [first, *others]"
    return f"one of its tasks is a {type(part).__name__}, not a task"


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
            makers = [made[name] for name in taken.artifacts if name in made]
            if any(maker.over is not None for maker in makers):
                yield from _wrong_elements(dag, task, argument, makers)
            elif taken.elements == {}:
                yield (
                    f"task '{task.name}': argument '{argument}' takes several artifacts: "
                    f"say which with {task.function.__name__}.bind(..., {argument}=[...])"
                )
        gathers = {one.artifact for one in task.arguments.values() if one.elements == {}}
        for name, kind in task.inputs.items():
            if name not in made and name in gathers:
                continue
            if name not in made:
                advice = nearest(name, made)
                if kind.external and not advice:
                    advice = f", and no parameter '{name}' is an Input{kind.external.title()}"
                yield f"task '{task.name}': no task makes its input '{name}'{advice}"
                continue
            produced = made[name].outputs[name]
            if not are_compatible(kind, produced):
                yield (
                    f"task '{task.name}' takes '{name}' as {kind.name}, "
                    f"but '{made[name].name}' makes it as {produced.name}"
                )


def _wrong_elements(dag: Dag, task: AnyTask, argument: str, makers: Sequence[AnyTask]) -> Iterator[str]:
    """Yield what is wrong with an argument that takes artifacts of tasks with ``over``."""
    taken = task.arguments[argument]
    maker = makers[0]
    if taken.elements:
        yield f"task '{task.name}': bind argument '{argument}' to '{maker.name}' alone, which is all of it"
    elif taken.elements is None and (
        task.over is None or dag.elements_from.get(task.name) != dag.elements_from.get(maker.name)
    ):
        yield (
            f"task '{task.name}': '{taken.artifact}' is one artifact for each element of '{maker.name}': "
            f"annotate '{argument}' Mapping[str, ...], or run the task over '{maker.name}', too"
        )


def elements_are_known(dag: Dag) -> Iterator[str]:
    """Each task with ``over`` runs over a parameter, what a function gives, or another task's elements."""
    declared = {leaf.name: leaf for leaf in leaves(dag.parameters)}
    for task in dag.tasks:
        over = task.over
        if over is None:
            continue
        if not over.argument and task.name not in dag.elements_from:
            yield (
                f"task '{task.name}': over= names '{over.source}', which is no task with elements of its own"
                f"{nearest(str(over.source), [*dag.elements_from, *dag.producers])}"
            )
        for name in over.parameters:
            if name not in declared and name not in groups(dag.parameters):
                close = nearest(name, declared)
                yield f"task '{task.name}': over= takes '{name}', which is not a parameter{close}"
            elif over.kind is not None and external_of(declared[name].type) != External("folder"):
                yield f"task '{task.name}': over= reads the files of '{name}', which is not an InputFolder"
            elif isinstance(over.source, str) and over.kind is None and not is_list(declared[name].type):
                yield f"task '{task.name}': over= takes the values of '{name}', which is not a list"
        if task.position is not None:
            yield f"task '{task.name}' is {task.position}: it cannot run over elements"


def external_inputs_are_clear(dag: Dag) -> Iterator[str]:
    """Each external input has a name of its own."""
    for task in dag.tasks:
        for argument in task.arguments.values():
            for name, external in argument.externals.items():
                made = dag.producers[name].external if name in dag.producers else None
                if made != external:
                    yield f"task '{task.name}': input '{name}' has the name of another artifact"


def parameters_are_known(dag: Dag) -> Iterator[str]:
    """Each parameter of a task is declared, with the same type."""
    declared = {leaf.name: leaf.plain_type for leaf in leaves(dag.parameters)}
    external = {leaf.name for leaf in leaves(dag.parameters) if external_of(leaf.type) is not None}
    grouped = groups(dag.parameters)
    for task in dag.tasks:
        for name, annotation in task.parameters.items():
            if name in external and task.external is None:
                yield (
                    f"task '{task.name}': parameter '{name}' is an input from outside: "
                    "annotate the argument as the parameter, so that the content is part of the key"
                )
            elif name in declared:
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


def _element_of(task: AnyTask) -> str:
    """Return the argument that takes an element's value; empty if there is none."""
    return task.over.argument if task.over is not None and task.over.kind is None else ""


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
            elif name not in task.parameters and name not in task.fixed and name != _element_of(task):
                yield (
                    f"task '{task.name}': version= takes '{name}', which is not a parameter of the task"
                    f"{nearest(name, task.parameters)}"
                )


def conditions_take_what_is_known(dag: Dag) -> Iterator[str]:
    """Let ``when`` take parameters and JSON inputs of its task."""
    for task in dag.tasks:
        known = [*task.parameters, *task.fixed, *task.arguments, *filter(None, [_element_of(task)])]
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
    elements_are_known,
    external_inputs_are_clear,
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
