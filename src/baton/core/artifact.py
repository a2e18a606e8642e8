"""Artifacts: the values that pass between tasks, and what a kind of value must implement.

The kinds themselves are in `baton.kinds`, one module per library.
"""

from __future__ import annotations

import hashlib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from baton.core.offers import Offer, UnusableKind, all_offers, offers_for


@dataclass(frozen=True, slots=True)
class Artifact:
    """A reference to a stored value.

    Parameters
    ----------
    name : str
        Name of the output in its pipeline, for example ``"booster"``.
    kind : str
        Name of the kind, for example ``"table"``.
    digest : str
        SHA-256 of the stored bytes, 64 hexadecimal digits.
    size : int
        Number of stored bytes; for ``files``, the sum over all members.
    code : str
        Digest of the code that the bytes refer to but do not contain, see `Kind.code`; empty if none.
    suffix : str
        The suffix of the file's name if its kind has several, as ``file``; empty if none.
    """

    name: str
    kind: str
    digest: str
    size: int
    code: str = ""
    suffix: str = ""

    @property
    def identity(self) -> str:
        """What identifies the value in a cache key: its bytes, the code that they refer to, its suffix."""
        if not (self.code or self.suffix):
            return self.digest
        return hashlib.sha256(f"{self.digest} {self.code}{self.suffix}".encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Return the reference as plain JSON values, well under 1 KB."""
        fields = {"name": self.name, "kind": self.kind, "digest": self.digest, "size": self.size}
        extra = {"code": self.code, "suffix": self.suffix}
        return fields | {name: value for name, value in extra.items() if value}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Artifact:
        """Build a reference from the result of `as_dict`."""
        return cls(
            fields["name"],
            fields["kind"],
            fields["digest"],
            fields["size"],
            fields.get("code", ""),
            fields.get("suffix", ""),
        )


class Kind:
    """How values of one kind are written to a file and read back; subclass to add a kind.

    The same value must always give the same bytes: digests of artifacts are part of cache keys.
    """

    name: ClassVar[str]
    suffix: ClassVar[str] = ""
    module: ClassVar[str] = ""
    """What reading a value imports, so that a worker can import it early."""
    gives_path: ClassVar[bool] = False
    """Whether a task receives the path of the stored file, which then has the kind's suffix."""
    external: ClassVar[Literal["file", "folder", ""]] = ""
    """What of the user's a value of this kind is a copy of; empty if it is none."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Packages that define these values: a task depends on them even if it does not import them."""
    types: ClassVar[tuple[str, ...]] = ()
    """Types of these values, as ``"pandas.DataFrame"`` or ``"sklearn.*"``, for advice in messages."""
    conversions: ClassVar[Mapping[str, str]] = {}
    """How to convert a value of another type, such as ``{"pandas.DataFrame": "pl.from_pandas(value)"}``."""

    def __init_subclass__(cls) -> None:
        if "types" in vars(cls):
            _typed.append(cls)

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Write `value` to the new file `path`; raise TypeError if it is not of this kind."""
        raise NotImplementedError(f"kind {cls.__name__} does not implement write")

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the value that `write` stored in `path`."""
        raise NotImplementedError(f"kind {cls.__name__} does not implement read")

    @classmethod
    def suffix_of(cls, value: Any) -> str:  # noqa: ARG003
        """Return the suffix of a value's file if it is not `suffix`, for values that tasks take as a path."""
        return ""

    @classmethod
    def code(cls, value: Any) -> Iterable[Callable[..., Any]]:  # noqa: ARG003
        """Return your own functions and classes that the bytes of `value` refer to but do not contain.

        A pickle, for example, holds only the name of a function, so its bytes stay the same when the
        function changes.  Tasks that take the value rerun when the code returned here changes.
        """
        return ()


_typed: list[type[Kind]] = []
"""The loaded kinds that name the types of their values."""


def are_compatible(one: type[Kind], other: type[Kind]) -> bool:
    """Whether a value stored as one kind can be read as the other: one is the other, read in another way."""
    return one.name == other.name and (issubclass(one, other) or issubclass(other, one))


def kind_for(annotation: Any) -> str:
    """Return the names of the loaded kinds whose values are of a type, or an empty text.

    If there are none, return what distributions offer for the type or a class that it derives from.
    """
    found = typing.get_origin(annotation) or annotation
    if not isinstance(found, type):
        return ""
    names = _names_of(found)
    loaded = (
        kind.__name__.strip("_").removesuffix("Kind") for kind in _typed if not names.isdisjoint(kind.types)
    )
    try:
        return " or ".join(loaded) or " or ".join(map(str, offers_for(_names_of(*found.__mro__))))
    except UnusableKind:
        return ""


def offered_kind(annotation: Any) -> type[Kind] | None:
    """Return the kind that an installed distribution offers for a type, or None.

    Raises
    ------
    UnusableKind
        If the kind cannot be loaded, or several distributions offer one.
    """
    found = typing.get_origin(annotation) or annotation
    if not isinstance(found, type):
        return None
    offers = offers_for(_names_of(found))
    if len({offer.point.value for offer in offers}) > 1:
        places = " or ".join(f"{offer.point.value} of {offer.distribution}" for offer in offers)
        raise UnusableKind(
            f"several kinds are offered for {_short_name(found)}: annotate it with {places}, or uninstall one"
        )
    return _loaded(offers[0]) if offers else None


def kind_called(name: str) -> type[Kind] | None:
    """Return the loaded or offered kind that stored values of this kind are read with, or None.

    Raises
    ------
    UnusableKind
        If there is none, but offered kinds that cannot be loaded, which may be it.
    """
    loaded = _with_name(name)
    if loaded is not None:
        return loaded
    broken = []
    for offer in all_offers():
        try:
            _loaded(offer)
        except UnusableKind as error:
            broken.append(str(error))
    loaded = _with_name(name)
    if loaded is None and broken:
        raise UnusableKind("; ".join(dict.fromkeys(broken)))
    return loaded


def _with_name(name: str) -> type[Kind] | None:
    return next((one for one in _below(Kind) if vars(one).get("name") == name), None)


def _below(kind: type[Kind]) -> Iterator[type[Kind]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def _loaded(offer: Offer) -> type[Kind]:
    """Return the kind that is offered; raise UnusableKind if that fails."""
    problem = f"the kind for {offer.type} that {offer.distribution} offers cannot be loaded"
    try:
        kind = offer.point.load()
    except Exception as error:  # another's module may raise anything
        raise UnusableKind(f"{problem}: {type(error).__name__}: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, Kind)):
        raise UnusableKind(f"{problem}: {offer.point.value} is not a subclass of baton.Kind")
    return kind


class WrongKind(TypeError):
    """A value that is not of its kind.

    Parameters
    ----------
    message : str
        What was expected, and what came.
    hint : str
        How to convert it, and the kind that fits; empty if neither is known.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def mismatch(expected: str, value: object, kind: type[Kind]) -> WrongKind:
    """Return the exception for a value that is not of a kind."""
    found = type(value)
    names = map(_short_name, found.__mro__)
    conversion = next((kind.conversions[name] for name in names if name in kind.conversions), "")
    fitting = kind_for(found)
    ways = [f"return {conversion}"] if conversion else []
    ways += [f"annotate it {fitting}"] if fitting else []
    return WrongKind(f"expected {expected}, got {found.__module__}.{found.__qualname__}", ", or ".join(ways))


def _names_of(*found: type) -> set[str]:
    """Return the names under which kinds name types."""
    names = set(map(_short_name, found))
    return names | {f"{name.partition('.')[0]}.*" for name in names}


def _short_name(found: type) -> str:
    """Return a type's name with its library's, such as ``"pandas.DataFrame"``."""
    return f"{found.__module__.partition('.')[0]}.{found.__qualname__}"
