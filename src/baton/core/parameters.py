"""Typed parameters: the choices of a run, with types, ranges and descriptions.

A pipeline declares its parameters as a `Parameters` class, in groups that mirror the sections of
the configuration file.  A task names single parameters (or a whole group) in its signature and
sees no others.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from baton.core.values import as_plain, choices, without_bounds

Model = typing.TypeVar("Model", bound=msgspec.Struct)


# For type checkers: a subclass is frozen too, without saying so.
@typing.dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a pipeline's parameters and of their groups; every field needs a default."""


def parameter(
    description: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    pattern: str | None = None,
) -> msgspec.Meta:
    """Describe one parameter for forms, ``--help`` and validation.

    Parameters
    ----------
    description : str
        One line for ``--help`` and the reference, including the unit.
    ge, le, gt, lt : float, optional
        Bounds of a number.
    pattern : str, optional
        Regular expression that a text must match.

    Returns
    -------
    msgspec.Meta
        To use in an ``Annotated`` type, next to the field's own type.

    Examples
    --------
    >>> class Chosen(Parameters):
    ...     month: typing.Annotated[int, parameter("calendar month", ge=1, le=12)] = 1
    >>> leaves(Chosen)[0].description
    'calendar month'
    """
    limits: dict[str, Any] = {"ge": ge, "le": le, "gt": gt, "lt": lt, "pattern": pattern}
    meta: msgspec.Meta = msgspec.Meta(description=description, **limits)
    return meta


@dataclass(frozen=True, slots=True)
class Leaf:
    """One parameter or setting: its place in the configuration file, type and default.

    Parameters
    ----------
    path : tuple of str
        Keys from the top of the file, for example ``("model", "params", "seed")``.
    type : Any
        The annotation, with its bounds.
    default : Any
        The value if none is set.
    description : str
        One line for users.
    """

    path: tuple[str, ...]
    type: Any = dataclasses.field(hash=False)
    default: Any = dataclasses.field(hash=False)  # a list has no hash
    description: str

    @property
    def name(self) -> str:
        """The last key: its name in tasks, options and environment variables."""
        return self.path[-1]

    @property
    def key(self) -> str:
        """The dotted path, for example ``"model.params.seed"``."""
        return ".".join(self.path)

    @property
    def plain_type(self) -> Any:
        """The annotation without bounds and description."""
        return without_bounds(self.type)

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed texts if the type is a ``Literal`` or an enum, else nothing."""
        return choices(self.type)


@cache
def leaves(model: type[msgspec.Struct]) -> tuple[Leaf, ...]:
    """Return every leaf of a `Parameters` class, in declaration order."""
    return tuple(_leaves(model, (), None))


def _leaves(
    model: type[msgspec.Struct], prefix: tuple[str, ...], group: msgspec.Struct | None
) -> Iterator[Leaf]:
    """Yield the leaves of a group; `group` is its default instance, if it has one."""
    for field in msgspec.structs.fields(model):
        path = (*prefix, field.name)
        default = _default_of(field) if group is None else getattr(group, field.name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            own = default if isinstance(default, field.type) else None
            yield from _leaves(field.type, path, own)
            continue
        yield Leaf(path, field.type, default, _description_of(field.type))


def _description_of(annotation: Any) -> str:
    """Return the description that `parameter` attached to a type or to one of its parts."""
    for one in getattr(annotation, "__metadata__", ()):
        if isinstance(one, msgspec.Meta) and one.description:
            return one.description
    return next((text for text in map(_description_of, typing.get_args(annotation)) if text), "")


@cache
def groups(model: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """Return the groups of a `Parameters` class by name, including nested ones."""
    found: dict[str, type[msgspec.Struct]] = {}
    for field in msgspec.structs.fields(model):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found[field.name] = field.type
            found.update(groups(field.type))
    return found


def joined(one: type[Parameters], other: type[Parameters]) -> type[Parameters]:
    """Return a class with the parameters of both.

    Raises
    ------
    ValueError
        If both declare a parameter differently.
    """
    if issubclass(one, other):
        return one
    if issubclass(other, one):
        return other
    found = {field.name: field for field in msgspec.structs.fields(one)}
    for field in msgspec.structs.fields(other):
        known = found.setdefault(field.name, field)
        if (known.type, _default_of(known)) != (field.type, _default_of(field)):
            raise ValueError(f"parameter '{field.name}' differs between {one.__name__} and {other.__name__}")
    fields = [(name, field.type, *_declared_default(field)) for name, field in found.items()]
    both: type[Parameters] = msgspec.defstruct(  # type: ignore[assignment]  # a subclass of its bases
        f"{one.__name__}And{other.__name__}", fields, bases=(Parameters,), frozen=True, kw_only=True
    )
    return both


def _declared_default(field: msgspec.structs.FieldInfo) -> tuple[Any, ...]:
    """Return a field's default as `msgspec.defstruct` takes it, nothing if it has none."""
    if field.default_factory is not msgspec.NODEFAULT:
        return (msgspec.field(default_factory=field.default_factory),)
    return () if field.default is msgspec.NODEFAULT else (field.default,)


def value_of(parameters: msgspec.Struct, name: str) -> Any:
    """Return the parameter or group called `name`, at any depth.

    Raises
    ------
    KeyError
        If there is none with that name.
    """
    for field in parameters.__struct_fields__:
        value = getattr(parameters, field)
        if field == name:
            return value
        if isinstance(value, msgspec.Struct):
            try:
                return value_of(value, name)
            except KeyError:
                continue
    raise KeyError(name)


def flatten(parameters: msgspec.Struct) -> dict[str, Any]:
    """Return every leaf's value by its short name, in declaration order."""
    return {leaf.name: value_of(parameters, leaf.name) for leaf in leaves(type(parameters))}


def flatten_plain(parameters: msgspec.Struct) -> dict[str, Any]:
    """Return the same as `flatten`, with values in their JSON form."""
    return {name: as_plain(value) for name, value in flatten(parameters).items()}


def build(model: type[Model], values: Mapping[tuple[str, ...], Any]) -> Model:
    """Build the parameters from typed values by path; all others keep their defaults."""
    nested: dict[str, Any] = {}
    for path, value in values.items():
        place = nested
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
    return msgspec.convert(nested, model, dec_hook=_require_type)


def _require_type(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"expected {kind.__name__}")
    return value


def _default_of(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return msgspec.NODEFAULT
