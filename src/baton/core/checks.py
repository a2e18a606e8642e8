"""The rules of a valid DAG, one function for each; a DAG reports all findings at once."""

from __future__ import annotations

import difflib
import inspect
import keyword
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from baton.core.parameters import groups, leaves
from baton.core.values import as_text, spelled, typed, why_unusable, without_bounds

if TYPE_CHECKING:
    from baton.core.dag import Dag
    from baton.core.task import AnyTask

Check = Callable[["Dag"], Iterator[str]]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name closest to `name`, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def tasks_are_well_declared(dag: Dag) -> Iterator[str]:
    """Every task's own declaration is sound."""
    for task in dag.tasks:
        for problem in task.problems:
            yield f"task '{task.name}': {problem}"


def functions_are_plain(dag: Dag) -> Iterator[str]:
    """Each function is a plain one, so that its code can be found and read."""
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
    """No two tasks share a name, and a group never hides a task outside it."""
    seen: set[str] = set()
    for task in dag.tasks:
        if task.name in seen:
            yield f"two tasks are called '{task.name}'"
        seen.add(task.name)
    for task in dag.tasks:
        if task.group in seen and dag.task(task.group).group != task.group:
            yield f"group '{task.group}' of task '{task.name}' has the name of a task outside it"


def outputs_have_one_producer(dag: Dag) -> Iterator[str]:
    """Each artifact is made by one task."""
    producers: dict[str, str] = {}
    for task in dag.tasks:
        for output in task.outputs:
            if output in producers:
                yield f"artifact '{output}' has two producers: '{producers[output]}' and '{task.name}'"
            producers[output] = task.name


def pure_tasks_make_something(dag: Dag) -> Iterator[str]:
    """Pure tasks make something, as they could never matter otherwise."""
    for task in dag.tasks:
        if not task.effect and not task.outputs and not task.problems:
            yield f"task '{task.name}' returns nothing; if it is run for its effect, say effect=True"


def inputs_are_known(dag: Dag) -> Iterator[str]:
    """Each input is made by some task, as the kind that is asked for."""
    made = dag.producers
    for task in dag.tasks:
        for name, kind in task.inputs.items():
            if name not in made:
                yield f"task '{task.name}': no task makes its input '{name}'{nearest(name, made)}"
                continue
            produced = made[name].outputs[name]
            if produced is not kind:
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
                yield (
                    f"task '{task.name}': argument '{name}' is neither an artifact nor a parameter"
                    f"{nearest(name, [*declared, *grouped])}"
                )


def versions_take_what_is_known(dag: Dag) -> Iterator[str]:
    """Let ``version`` take parameters of its task only; an effect's may take the model registry."""
    for task in dag.tasks:
        for name, takes_registry in task.version_arguments.items():
            if takes_registry:
                if not task.effect:
                    yield (
                        f"task '{task.name}': version= takes the model registry, which only an effect's may: "
                        "a pure task's result must not depend on it"
                    )
            elif name not in task.parameters:
                yield (
                    f"task '{task.name}': version= takes '{name}', which is no parameter of the task"
                    f"{nearest(name, task.parameters)}"
                )


def parameter_names_are_unique(dag: Dag) -> Iterator[str]:
    """No two parameters share the bare name by which they are called."""
    seen: dict[str, str] = {}
    for leaf in leaves(dag.parameters):
        if leaf.name in seen:
            yield f"two parameters are called '{leaf.name}': {seen[leaf.name]} and {leaf.key}"
        seen[leaf.name] = leaf.key
    for name in groups(dag.parameters):
        if name in seen:
            yield f"parameter {seen[name]} has the name of a group"


def parameters_have_defaults(dag: Dag) -> Iterator[str]:
    """Parameters have defaults, so that a run needs nothing but what the user wants to change."""
    for leaf in leaves(dag.parameters):
        if leaf.default is msgspec.NODEFAULT:
            yield f"parameter {leaf.key} has no default"


def parameters_can_be_given(dag: Dag) -> Iterator[str]:
    """Each parameter has a type that every source and engine can give, and a default of that type."""
    for leaf in leaves(dag.parameters):
        problem = why_unusable(leaf.type)
        if problem:
            yield f"parameter {leaf.key}: {problem}"
        elif leaf.default is not msgspec.NODEFAULT:
            try:
                typed(leaf.type, leaf.default, from_text=False)
            except ValueError as error:
                yield f"parameter {leaf.key}: its default cannot be {as_text(leaf.default)!r}: {error}"


def after_is_known(dag: Dag) -> Iterator[str]:
    """Each task named in ``after`` exists."""
    known = {task.name: task for task in dag.tasks}
    for task in dag.tasks:
        for name in task.after:
            if name not in known:
                yield f"task '{task.name}' is to run after '{name}', which is no task{nearest(name, known)}"
            elif known[name].position == "last":
                yield f"task '{task.name}' is to run after '{name}', which is last"


def positioned_tasks_stand_alone(dag: Dag) -> Iterator[str]:
    """Tasks that are first or last are effects without artifacts, as they may run alone."""
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


CHECKS: tuple[Check, ...] = (
    tasks_are_well_declared,
    functions_are_plain,
    names_are_usable,
    names_are_unique,
    outputs_have_one_producer,
    pure_tasks_make_something,
    inputs_are_known,
    parameters_are_known,
    versions_take_what_is_known,
    parameter_names_are_unique,
    parameters_have_defaults,
    parameters_can_be_given,
    after_is_known,
    positioned_tasks_stand_alone,
    default_target_is_known,
    there_is_no_cycle,
)
