"""A task: a plain typed function with its name, inputs, outputs and settings.

A task's arguments declare what it needs: an argument annotated with a kind (``Table``, ``Json``...)
takes the artifact of that name, ``TaskContext`` the context, ``TrackingRun`` the tracker's record of
the execution, and any other the parameter of that name.  The output has the task's name unless
``outputs`` is given.
"""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from baton.core.artifact import Kind
from baton.core.context import TaskContext
from baton.core.tracker import ModelRegistry, TrackingRun

P = ParamSpec("P")
R = TypeVar("R")
Position = Literal["first", "last"]


@dataclass(frozen=True, slots=True)
class Retry:
    """When to retry a failed attempt.

    Parameters
    ----------
    retries : int
        Attempts after the first, at least 0.
    delay_s : float
        Seconds before the second attempt, at least 0.
    backoff : float
        Factor between consecutive delays, at least 1.
    """

    retries: int = 0
    delay_s: float = 1.0
    backoff: float = 2.0

    @property
    def delays_s(self) -> tuple[float, ...]:
        """The delay before each attempt after the first, in seconds."""
        return tuple(self.delay_s * self.backoff**attempt for attempt in range(self.retries))


@dataclass(frozen=True, eq=False)
class Task(Generic[P, R]):
    """A declared task; calling it calls the function directly.

    Parameters
    ----------
    name : str
        Unique in the DAG; the function's name unless given.
    function : callable
        A plain function at the top level of a module.
    inputs : mapping of str to type
        Kind by argument; the argument's name is the artifact's name.
    parameters : mapping of str to Any
        Annotation by argument; the argument's name is the parameter's or group's name.
    context : str or None
        Name of the argument for the `TaskContext`.
    tracking : str or None
        Name of an effect's argument for the `TrackingRun` of the execution.
    outputs : mapping of str to type
        Kind by artifact name, in the order of the returned tuple.
    effect : bool
        Whether it has side effects; an effect must be safe to repeat.
    retry : Retry
        What happens after a failed attempt.
    timeout_s : float or None
        Time limit of an attempt in seconds.
    pool : str or None
        A limited resource that it takes one slot of while it runs, such as ``"gpu"``; for engines
        whose orchestrator has pools.
    group : str
        The group it belongs to; its own name unless given.
    after : tuple of str
        Tasks that must succeed before it runs, without passing anything.
    position : "first", "last" or None
        ``first`` runs before, ``last`` after every other selected task, whatever their outcomes.
    version : callable or None
        Returns, from the task's own parameters, the state of the world that the task reads (for
        example the digest of a local file).  The result is part of a pure task's cache key; an
        effect is up to date while the result equals that of its last success.  For an effect it may also
        take the `baton.core.tracker.ModelRegistry`.
    problems : tuple of str
        Problems of the declaration, which the DAG that holds the task reports.
    """

    name: str
    function: Callable[P, R]
    inputs: Mapping[str, type[Kind]]
    parameters: Mapping[str, Any]
    context: str | None
    tracking: str | None
    outputs: Mapping[str, type[Kind]]
    effect: bool
    retry: Retry
    timeout_s: float | None
    pool: str | None
    group: str
    after: tuple[str, ...]
    position: Position | None
    version: Callable[..., str] | None
    problems: tuple[str, ...]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function directly: no store, no cache, no events."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        """Show the name, the inputs and outputs, and the function's location."""
        takes = ", ".join(self.inputs)
        gives = ", ".join(self.outputs)
        return f"<Task {self.name}: {takes or '-'} -> {gives or '-'} ({self.reference})>"

    @property
    def reference(self) -> str:
        """Module and qualified name of the function."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @cached_property
    def version_arguments(self) -> Mapping[str, bool]:
        """The arguments of ``version``, and whether each takes the model registry."""
        if self.version is None:
            return {}
        try:
            hints = typing.get_type_hints(self.version)
        except (NameError, AttributeError, TypeError, SyntaxError):
            hints = {}
        return {name: hints.get(name) is ModelRegistry for name in inspect.signature(self.version).parameters}

    @property
    def description(self) -> str:
        """First line of the function's docstring, or empty."""
        return (inspect.getdoc(self.function) or "").split("\n", 1)[0]


AnyTask = Task[..., Any]
"""A task with any arguments and result."""


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    outputs: tuple[str, ...] | str | None = None,
    effect: bool = False,
    retries: int = 0,
    retry_delay_s: float = 1.0,
    retry_backoff: float = 2.0,
    timeout_s: float | None = None,
    pool: str | None = None,
    group: str | None = None,
    after: tuple[str, ...] | str = (),
    position: Position | None = None,
    version: Callable[..., str] | None = None,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    outputs: tuple[str, ...] | str | None = None,
    effect: bool = False,
    retries: int = 0,
    retry_delay_s: float = 1.0,
    retry_backoff: float = 2.0,
    timeout_s: float | None = None,
    pool: str | None = None,
    group: str | None = None,
    after: tuple[str, ...] | str = (),
    position: Position | None = None,
    version: Callable[..., str] | None = None,
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Declare a plain typed function as a task.

    Parameters
    ----------
    function : callable, optional
        The function, if the decorator is used without arguments.
    name, outputs, effect, timeout_s, pool, group, after, position, version
        As in `Task`; a single output may be given as a string.
    retries, retry_delay_s, retry_backoff
        As in `Retry`.

    Returns
    -------
    Task
        Callable like the function.

    Examples
    --------
    >>> from baton import Json
    >>> @task(retries=2)
    ... def doubled(numbers: Json, factor: int) -> Json:
    ...     return [factor * number for number in numbers]
    >>> doubled([1, 2], factor=2)
    [2, 4]
    >>> list(doubled.inputs), list(doubled.parameters)
    (['numbers'], ['factor'])
    """

    def declare(target: Callable[P, R]) -> Task[P, R]:
        task_name = name or target.__name__
        named = (outputs,) if isinstance(outputs, str) else outputs
        problems: list[str] = []
        hints = _annotations(target, problems)
        arguments = _arguments(target, hints, problems)
        if arguments.tracking is not None and not effect:
            problems.append("it takes the tracking run, so it must set effect=True")
        kinds = _outputs(task_name, named, hints.get("return"), problems)
        if retries < 0 or not (0 <= retry_delay_s < math.inf and 1 <= retry_backoff < math.inf):
            problems.append("retries and retry_delay_s must be at least 0, retry_backoff at least 1")
        if timeout_s is not None and not 0 < timeout_s < math.inf:
            problems.append("timeout_s must be more than 0 and finite")
        return Task(
            name=task_name,
            function=target,
            inputs=arguments.inputs,
            parameters=arguments.parameters,
            context=arguments.context,
            tracking=arguments.tracking,
            outputs=kinds,
            effect=effect,
            retry=Retry(retries, retry_delay_s, retry_backoff),
            timeout_s=timeout_s,
            pool=pool,
            group=group or task_name,
            after=(after,) if isinstance(after, str) else tuple(after),
            position=position,
            version=version,
            problems=tuple(problems),
        )

    return declare if function is None else declare(function)


def as_kind(annotation: Any) -> type[Kind] | None:
    """Return the kind that an annotation is, or has in ``Annotated``; None if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, Kind):
        return annotation
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, type) and issubclass(extra, Kind):
            return extra
    return None


def _annotations(function: Callable[..., Any], problems: list[str]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        problems.append(f"its annotations cannot be read: {error}")
        return {}


@dataclass
class _Arguments:
    """A function's arguments by what they ask for."""

    inputs: dict[str, type[Kind]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    context: str | None = None
    tracking: str | None = None


def _arguments(function: Callable[..., Any], hints: Mapping[str, Any], problems: list[str]) -> _Arguments:
    found = _Arguments()
    for argument in inspect.signature(function).parameters.values():
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            problems.append(f"argument '*{argument.name}' is neither an artifact nor a parameter")
            continue
        if argument.kind is argument.POSITIONAL_ONLY:
            problems.append(f"argument '{argument.name}' cannot be passed by name")
        if argument.default is not argument.empty:
            problems.append(
                f"argument '{argument.name}' has a default, which is never used: "
                "defaults belong in the pipeline's parameters"
            )
        if argument.annotation is argument.empty:
            problems.append(f"argument '{argument.name}' has no type")
            continue
        annotation = hints.get(argument.name)
        kind = as_kind(annotation)
        if kind is not None:
            found.inputs[argument.name] = kind
        elif annotation is TaskContext:
            found.context = argument.name
        elif annotation is TrackingRun:
            found.tracking = argument.name
        else:
            found.parameters[argument.name] = annotation
    return found


def _outputs(
    name: str, named: tuple[str, ...] | None, annotation: Any, problems: list[str]
) -> dict[str, type[Kind]]:
    if annotation is None or annotation is type(None):
        if named:
            problems.append(f"it names outputs ({', '.join(named)}) but returns None")
        return {}
    parts = typing.get_args(annotation) if typing.get_origin(annotation) is tuple else (annotation,)
    kinds = [as_kind(part) for part in parts]
    if any(kind is None for kind in kinds):
        problems.append(
            "its return type is not a kind (Table, Matrix, Booster, Json, File, Files), "
            "a tuple of them, or None"
        )
        return {}
    if named is None and len(parts) > 1:
        problems.append(f"it returns {len(parts)} values: name them with outputs=(...)")
        return {}
    names = named or (name,)
    if len(names) != len(parts):
        problems.append(f"it names {len(names)} outputs and returns {len(parts)}")
        return {}
    return {output: kind for output, kind in zip(names, kinds, strict=True) if kind is not None}
