"""A task: a plain typed function with its name, inputs, outputs and settings.

A task's arguments declare what it needs: an argument annotated with a kind (``Table``, ``Json``...), or
with a type for which an installed distribution offers one, takes the artifact of that name,
``Mapping[str, Table]`` several artifacts by name, ``TaskContext`` the context, ``TrackingRun`` the tracker's
record of the execution, and any other the parameter of that name.  The output has the task's name unless
``outputs`` is given.  `Task.bind` makes a copy under another name whose arguments take other artifacts or
fixed values.
"""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

import msgspec

from baton.core.argument import Argument
from baton.core.artifact import Kind, are_compatible, kind_for, offered_kind
from baton.core.context import TaskContext
from baton.core.elements import Over, over_of
from baton.core.external import External, external_of, fixed_external, name_for
from baton.core.offers import UnusableKind
from baton.core.tracker import ModelRegistry, TrackingRun
from baton.core.values import spelled, typed, why_unusable, without_bounds
from baton.errors import nearest

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
    arguments : mapping of str to Argument
        The arguments that take artifacts; without `bind`, an argument's name is the artifact's name.
    parameters : mapping of str to Any
        Annotation by argument; the argument's name is the parameter's or group's name.
    fixed : mapping of str to Any
        Values that `bind` gave to arguments instead of parameters.
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
    when : callable or None
        Returns, from some of the task's own parameters and inputs of the kind Json, whether it runs; if
        not, it and what needs its outputs is skipped.
    problems : tuple of str
        Problems of the declaration, which the DAG that holds the task reports.
    external : External, optional
        The external input that it brings into the store, see `external_task`.
    over : Over, optional
        The elements for each of which a copy of it runs.
    copy_of : str
        The task of which it is the copy for an element; empty for any other.
    """

    name: str
    function: Callable[P, R]
    arguments: Mapping[str, Argument]
    parameters: Mapping[str, Any]
    fixed: Mapping[str, Any]
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
    when: Callable[..., bool] | None
    problems: tuple[str, ...]
    external: External | None = None
    over: Over | None = None
    copy_of: str = ""

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
    def inputs(self) -> Mapping[str, type[Kind]]:
        """Kind by name of each artifact that it takes."""
        return {name: one.kind for one in self.arguments.values() for name in one.artifacts}

    @cached_property
    def bound(self) -> Mapping[str, str | list[list[str]]]:
        """The source of each argument that takes other artifacts than the one of its own name."""
        return {name: one.source for name, one in self.arguments.items() if one.artifact != name}

    @cached_property
    def readers(self) -> Mapping[str, str]:
        """The kind of each argument that reads its artifact in another way than the kind of that name."""
        return {
            name: f"{one.kind.__module__}:{one.kind.__qualname__}"
            for name, one in self.arguments.items()
            if any(getattr(base, "name", "") == one.kind.name for base in one.kind.__mro__[1:])
        }

    def bind(
        self,
        name: str,
        /,
        *,
        outputs: tuple[str, ...] | str | None = None,
        group: str | None = None,
        after: tuple[str, ...] | str | None = None,
        **arguments: Any,
    ) -> Task[..., R]:
        """Return a copy of the task under another name, with other inputs or fixed values.

        Parameters
        ----------
        name : str
            The copy's name.
        outputs : tuple of str or str, optional
            Names of its outputs.  A single output is called `name`; each of several ``NAME_OUTPUT``.
        group : str, optional
            Its group; that of this task unless given, so that the group's name runs all copies.
        after : tuple of str or str, optional
            As in `Task`; as for this task unless given.
        **arguments : Any
            For an argument that takes an artifact, its name or the task that makes it, or the
            ``pathlib.Path`` of a file or folder to read; for one that takes several, a list of these, or a
            mapping from the keys that the function receives; for any other argument, its value instead of a
            parameter.

        Returns
        -------
        Task
            To be listed in a `baton.Dag`, which reports what is wrong with the arguments.

        Examples
        --------
        >>> from baton import Json
        >>> @task
        ... def power(base: int, exponent: int) -> Json:
        ...     return base**exponent
        >>> @task
        ... def total(numbers: Mapping[str, Json]) -> Json:
        ...     return sum(numbers.values())
        >>> squares = [power.bind(f"square_of_{n}", base=n, exponent=2) for n in (2, 3)]
        >>> total.bind("sum_of_squares", numbers=squares)
        <Task sum_of_squares: square_of_2, square_of_3 -> sum_of_squares (baton.core.task:total)>
        """
        problems = list(self.problems)
        takes, fixed = dict(self.arguments), dict(self.fixed)
        hints = _annotations(self.function, [])
        for argument, given in arguments.items():
            try:
                if argument in takes:
                    takes[argument] = _bound_argument(takes[argument], given, f"{name}_{argument}")
                elif argument in self.parameters or argument in fixed:
                    fixed[argument] = given
                    fixed[argument] = typed(hints.get(argument, Any), given, from_text=False)
                else:
                    known = [*takes, *self.parameters]
                    raise ValueError(f"'{self.name}' has no such argument{nearest(argument, known)}")
            except ValueError as error:
                problems.append(f"bind argument '{argument}': {error}")
        problems += _conflicts(takes)
        named = (outputs,) if isinstance(outputs, str) else outputs
        if named is None:
            named = (name,) if len(self.outputs) == 1 else tuple(f"{name}_{one}" for one in self.outputs)
        if len(named) != len(self.outputs):
            problems.append(f"it names {len(named)} outputs and returns {len(self.outputs)}")
        return replace(
            self,
            name=name,
            arguments=takes,
            parameters={one: kind for one, kind in self.parameters.items() if one not in fixed},
            fixed=fixed,
            outputs=dict(zip(named, self.outputs.values(), strict=False)),
            group=group or self.group,
            after=self.after if after is None else (after,) if isinstance(after, str) else tuple(after),
            problems=tuple(problems),
        )

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

    @cached_property
    def when_arguments(self) -> tuple[str, ...]:
        """The arguments of ``when``."""
        return () if self.when is None else tuple(inspect.signature(self.when).parameters)

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
    when: Callable[..., bool] | None = None,
    over: Task[..., Any] | str | Mapping[str, Any] | None = None,
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
    when: Callable[..., bool] | None = None,
    over: Task[..., Any] | str | Mapping[str, Any] | None = None,
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Declare a plain typed function as a task.

    Parameters
    ----------
    function : callable, optional
        The function, if the decorator is used without arguments.
    name, outputs, effect, timeout_s, pool, group, after, position, version, when
        As in `Task`; a single output may be given as a string.
    retries, retry_delay_s, retry_backoff
        As in `Retry`.
    over : Task, str or mapping, optional
        For one copy of the task for each element: ``{"month": months_of}``, the argument that takes an
        element's value with a function of parameters that returns a list of values or a mapping from names to
        values; or with the name of a list parameter, or, for an argument of the kind File, of an
        `InputFolder` parameter.  Or another such task, whose elements it then shares: it takes those
        artifacts one by one, and ``Mapping[str, ...]`` of all elements in any other task.

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
        elements = _over(over, arguments, hints, problems)
        if arguments.tracking is not None and not effect:
            problems.append("it takes the tracking run, so it must set effect=True")
        if not effect and inspect.signature(target).return_annotation is inspect.Signature.empty:
            problems.append("it has no return annotation: write what it returns, or None")
        kinds = _outputs(task_name, named, hints.get("return"), problems)
        if retries < 0 or not (0 <= retry_delay_s < math.inf and 1 <= retry_backoff < math.inf):
            problems.append("retries and retry_delay_s must be at least 0, retry_backoff at least 1")
        if timeout_s is not None and not 0 < timeout_s < math.inf:
            problems.append("timeout_s must be more than 0 and finite")
        return Task(
            name=task_name,
            function=target,
            arguments=arguments.artifacts,
            parameters=arguments.parameters,
            fixed={},
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
            when=when,
            problems=tuple(problems),
            over=elements,
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


def _kind_of(annotation: Any) -> type[Kind] | None:
    """Return the kind that an annotation is or has, or that a distribution offers for it, or None.

    Raises
    ------
    UnusableKind
        If the offered kind cannot be used.
    """
    return as_kind(annotation) or offered_kind(without_bounds(annotation))


def _kind_of_argument(annotation: Any) -> type[Kind] | None:
    """Return the kind of an argument; None if it takes a parameter, whose types are not looked up."""
    kind = as_kind(annotation)
    if kind is not None or annotation in (None, TaskContext, TrackingRun):
        return kind
    is_group = isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)
    return None if is_group or not why_unusable(annotation) else _kind_of(annotation)


def _values_of_mapping(annotation: Any) -> Any:
    """Return the annotation of the values of a mapping from names to artifacts, or None."""
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) not in (Mapping, dict) or len(parts) != 2 or parts[0] is not str:
        return None
    return parts[1]


def _bound_argument(argument: Argument, given: Any, name: str) -> Argument:
    """Return the argument with the artifacts that were given to it; raise ValueError if they do not fit.

    An external input among them gets a name that begins with `name`.
    """
    kind, externals = argument.kind, {}

    def artifact(one: Any, name: str) -> str:
        external = fixed_external(one, kind)
        if external is None:
            return _artifact(one, kind)
        externals[name] = external
        return name

    if argument.elements is None:
        return replace(argument, artifact=artifact(given, name), externals=externals)
    if isinstance(given, str) or (isinstance(given, Task) and given.over is not None):
        return replace(argument, artifact=_artifact(given, kind), elements={}, externals={})
    if isinstance(given, Mapping):
        pairs = [(key, artifact(one, f"{name}_{place}")) for place, (key, one) in enumerate(given.items())]
    elif isinstance(given, (list, tuple)):
        pairs = [(one, one) for one in (artifact(one, f"{name}_{place}") for place, one in enumerate(given))]
    else:
        raise ValueError("it takes several artifacts: give a list or a mapping of tasks or of their names")
    if not pairs:
        raise ValueError("it must take at least one artifact")
    elements = dict(pairs)
    if len(elements) < len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"two of its elements are called {double!r}")
    if not all(isinstance(key, str) for key in elements):
        raise ValueError("its elements must be named by texts")
    return replace(argument, elements=elements, externals=externals)


def _artifact(given: Any, kind: type[Kind]) -> str:
    if isinstance(given, str):
        return given
    if not isinstance(given, Task):
        fitting = "a task or the name of an artifact" + (
            f", or the Path of a {kind.external}" * bool(kind.external)
        )
        raise ValueError(f"expected {fitting}, got a {type(given).__name__}")
    if len(given.outputs) != 1:
        made = f"makes {', '.join(given.outputs)}" if given.outputs else "makes no artifact"
        raise ValueError(f"task '{given.name}' {made}: give the name of one artifact")
    ((name, made_kind),) = given.outputs.items()
    if not are_compatible(made_kind, kind):
        raise ValueError(f"'{name}' is {made_kind.name}, but it takes {kind.name}")
    return name


def _conflicts(arguments: Mapping[str, Argument]) -> Iterator[str]:
    kinds: dict[str, type[Kind]] = {}
    for name, argument in arguments.items():
        for artifact in argument.artifacts:
            if not are_compatible(kinds.setdefault(artifact, argument.kind), argument.kind):
                yield f"argument '{name}' takes '{artifact}' as another kind than the argument before it"


def _annotations(function: Callable[..., Any], problems: list[str]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        problems.append(f"its annotations cannot be read: {error}")
        return {}


@dataclass
class _Arguments:
    """A function's arguments by what they ask for."""

    artifacts: dict[str, Argument] = field(default_factory=dict)
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
        try:
            several = _kind_of_argument(_values_of_mapping(annotation))
            kind = None if several is not None else _kind_of_argument(annotation)
        except UnusableKind as error:
            problems.append(f"argument '{argument.name}': {error}")
            continue
        external = external_of(annotation)
        if kind is not None and external is not None and external.address:
            name = name_for(external)
            found.artifacts[argument.name] = Argument(kind, name, externals={name: external})
        elif kind is not None:
            found.artifacts[argument.name] = Argument(kind, argument.name)
        elif several is not None:
            found.artifacts[argument.name] = Argument(several, argument.name, elements={})
        elif annotation is TaskContext:
            found.context = argument.name
        elif annotation is TrackingRun:
            found.tracking = argument.name
        else:
            found.parameters[argument.name] = annotation
    return found


def _over(given: Any, arguments: _Arguments, hints: Mapping[str, Any], problems: list[str]) -> Over | None:
    """Return what a task runs over, and take the argument for its elements from the others."""
    try:
        over = over_of(given)
    except ValueError as error:
        problems.append(str(error))
        return None
    if over is None or not over.argument:
        return over
    if over.argument in arguments.parameters:
        return replace(over, type=arguments.parameters.pop(over.argument))
    taken = arguments.artifacts.get(over.argument)
    if taken is not None and taken.kind.external == "file" and taken.elements is None:
        return replace(over, kind=arguments.artifacts.pop(over.argument).kind)
    if taken is not None:
        problems.append(f"over= gives values to '{over.argument}', which takes a {taken.kind.name}")
    else:
        close = nearest(over.argument, hints)
        problems.append(f"over= gives values to '{over.argument}', which the function does not take{close}")
    return None


def _no_kind(wrong: list[Any]) -> str:
    """Return the problem of a return annotation that is not made of kinds."""
    fitting = [f"{kind_for(one)} for {spelled(one)}" for one in wrong if kind_for(one)]
    if fitting:
        return f"its return type is not a kind: use {', '.join(dict.fromkeys(fitting))}"
    return (
        "its return type is not a kind (Table, Frame, Matrix, Estimator, Json, File...), a tuple of "
        "them, or None; for other values write a kind of your own: docs/how-to/own-kinds.md"
    )


def _outputs(
    name: str, named: tuple[str, ...] | None, annotation: Any, problems: list[str]
) -> dict[str, type[Kind]]:
    if annotation is None or annotation is type(None):
        if named:
            problems.append(f"it names outputs ({', '.join(named)}) but returns None")
        return {}
    parts = typing.get_args(annotation) if typing.get_origin(annotation) is tuple else (annotation,)
    try:
        kinds = [_kind_of(part) for part in parts]
    except UnusableKind as error:
        problems.append(f"its return type: {error}")
        return {}
    if any(kind is None for kind in kinds):
        problems.append(_no_kind([part for part, kind in zip(parts, kinds, strict=True) if kind is None]))
        return {}
    if named is None and len(parts) > 1:
        problems.append(f"it returns {len(parts)} values: name them with outputs=(...)")
        return {}
    names = named or (name,)
    if len(names) != len(parts):
        problems.append(f"it names {len(names)} outputs and returns {len(parts)}")
        return {}
    return {output: kind for output, kind in zip(names, kinds, strict=True) if kind is not None}


def external_task(
    name: str, external: External, kind: type[Kind], *, annotation: Any = None, group: str = ""
) -> AnyTask:
    """Return the task that brings an external input into the store.

    Parameters
    ----------
    name : str
        Name of the task, of its artifact, and of the parameter that holds the address, if one does.
    external : External
        What it reads.
    kind : type
        Kind of the artifact.
    annotation : Any
        The parameter's type; None if the address is fixed.
    group : str
        Its group; its own name unless given.
    """
    is_fixed = annotation is None
    return Task(
        name=name,
        function=read_external_input,
        arguments={},
        parameters={} if is_fixed else {name: annotation},
        fixed={"address": external.address} if is_fixed else {},
        context=None,
        tracking=None,
        outputs={name: kind},
        effect=False,
        retry=Retry(),
        timeout_s=None,
        pool=None,
        group=group or name,
        after=(),
        position=None,
        version=None,
        when=None,
        problems=(),
        external=external,
    )


def read_external_input(address: str) -> str:
    """Read an input from outside.

    `baton.core.execute` does it in place of this function.
    """
    return address
