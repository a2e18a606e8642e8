"""Tasks that run once for each of several elements, which are known when a run begins.

`Dag.expanded` replaces such a task with one copy for each element, so that engines, plans and records see an
ordinary DAG.  An element's name is part of its copy's name, and so of its key.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from baton.core.addresses import address_of
from baton.core.argument import Argument
from baton.core.artifact import Kind
from baton.core.external import External
from baton.core.parameters import value_of
from baton.core.values import as_plain, as_text, typed
from baton.errors import BatonError, UsageError

if TYPE_CHECKING:
    import msgspec

    from baton.core.task import AnyTask

Elements = dict[str, Any]
"""The value of each element by its name: plain JSON values, to be passed between processes."""

_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Over:
    """What a task runs over: elements of its own, or those of another task.

    Parameters
    ----------
    argument : str
        The argument that takes an element's value; empty if it runs over the elements of another task.
    source : str or callable
        The other task; or a list parameter; or an `InputFolder` parameter, whose files are the elements; or a
        function of parameters that returns a list of values, or a mapping from names to values.
    type : Any
        The argument's type, for values.
    kind : type or None
        The argument's kind, for files of a folder.
    """

    argument: str
    source: str | Callable[..., Any]
    type: Any = None
    kind: type[Kind] | None = None

    @property
    def source_name(self) -> str:
        """The source for people."""
        return self.source if isinstance(self.source, str) else f"{self.source.__name__}()"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that its own elements come from."""
        if not self.argument:
            return ()
        return (
            (self.source,)
            if isinstance(self.source, str)
            else tuple(inspect.signature(self.source).parameters)
        )


def over_of(given: Any) -> Over | None:
    """Return what ``over=`` of a task says; raise ValueError if it says nothing known."""
    if given is None:
        return None
    if isinstance(given, str):
        return Over("", given)
    if hasattr(given, "outputs"):
        return Over("", given.name)
    if isinstance(given, Mapping) and len(given) == 1:
        ((argument, source),) = given.items()
        if isinstance(argument, str) and (isinstance(source, str) or inspect.isfunction(source)):
            return Over(argument, source)
    raise ValueError(
        "over= takes a task, or one argument with what gives its values: a parameter's name or a function"
    )


def elements_of(
    task: AnyTask, parameters: msgspec.Struct, files_of: Callable[[str], Iterable[str]]
) -> Elements:
    """Return the elements of a task that has its own.

    Parameters
    ----------
    task : Task
        The task.
    parameters : msgspec.Struct
        The run's parameters.
    files_of : callable
        Returns the names of the files in a folder, given as a path or URL.

    Raises
    ------
    UsageError
        If they cannot be found, there are none, or two have one name.
    """
    over = task.over
    assert over is not None
    if isinstance(over.source, str):
        given = value_of(parameters, over.source)
        if over.kind is not None:
            folder = address_of(given)
            pairs = [(name, f"{folder.rstrip('/')}/{name}") for name in files_of(folder)]
        else:
            pairs = _named(task, given)
    else:
        try:
            pairs = _named(
                task, over.source(**{name: value_of(parameters, name) for name in over.parameters})
            )
        except BatonError:
            raise
        except Exception as error:  # the user's function
            if isinstance(hint := getattr(error, "hint", None), str):  # explained, see `baton.errors`
                raise UsageError(
                    f"the elements of task '{task.name}' cannot be found: {error}", hint
                ) from error
            raise UsageError(
                f"over= of task '{task.name}' fails: {type(error).__name__}: {error}",
                f"see {over.source.__module__}:{over.source.__qualname__}",
            ) from error
    found: Elements = {}
    for text, value in pairs:
        name = re.sub(r"\W+", "_", text).strip("_")
        if name in found:
            raise UsageError(
                f"task '{task.name}' runs over two elements called '{name}'", f"look at {over.source_name}"
            )
        if not name or len(f"{task.name}_{name}") > _LONGEST_NAME:
            raise UsageError(
                f"task '{task.name}': an element is called {text!r:.100}",
                f"names have letters, digits and '_', at most {_LONGEST_NAME} with the task's: "
                "return a mapping from names to values",
            )
        found[name] = as_plain(value)
    if not found:
        raise UsageError(f"task '{task.name}' has no elements: {over.source_name} gives none")
    return found


def _named(task: AnyTask, given: Any) -> list[tuple[str, Any]]:
    if isinstance(given, Mapping):
        return [(str(name), value) for name, value in given.items()]
    if isinstance(given, str) or not isinstance(given, Iterable):
        over = task.over
        assert over is not None
        raise UsageError(
            f"over= of task '{task.name}': {over.source_name} is a {type(given).__name__}, no list or mapping"
        )
    return [(as_text(value), value) for value in given]


def copy_for(task: AnyTask, name: str, value: Any, inputs: Mapping[str, Argument]) -> AnyTask:
    """Return the copy of a task for one element.

    Parameters
    ----------
    task : Task
        A task with ``over``.
    name : str
        The element's name.
    value : Any
        The element's plain value; ignored if the task takes the elements of another task.
    inputs : mapping of str to Argument
        The copy's arguments that take artifacts of other tasks.

    Raises
    ------
    UsageError
        If the value is not of the argument's type.
    """
    over = task.over
    assert over is not None
    fixed = task.fixed
    if over.kind is not None:
        external = External("file", str(value))
        artifact = f"{task.name}_{name}_{over.argument}"
        inputs = {**inputs, over.argument: Argument(over.kind, artifact, externals={artifact: external})}
    elif over.argument:
        try:
            fixed = {**fixed, over.argument: typed(over.type, value, from_text=False)}
        except ValueError as error:
            raise UsageError(
                f"task '{task.name}': element '{name}' is {value!r:.100}: {error}",
                f"look at {over.source_name}",
            ) from error
    return replace(
        task,
        name=f"{task.name}_{name}",
        arguments=inputs,
        fixed=fixed,
        outputs={f"{output}_{name}": one for output, one in task.outputs.items()},
        over=None,
        copy_of=task.name,
    )
