"""Artifacts: the values that pass between tasks, and what a kind of value must implement.

The kinds themselves are in `baton.kinds`, one module per library.
"""

from __future__ import annotations

import hashlib
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal


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
        For ``file``, the suffix of the file's name; empty if none.
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
    """Return the names of the loaded kinds whose values are of a type, or an empty text."""
    found = typing.get_origin(annotation) or annotation
    if not isinstance(found, type):
        return ""
    name = _short_name(found)
    names = {name, f"{name.partition('.')[0]}.*"}
    return " or ".join(
        kind.__name__.strip("_").removesuffix("Kind") for kind in _typed if names & set(kind.types)
    )


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


def _short_name(found: type) -> str:
    """Return a type's name with its library's, such as ``"pandas.DataFrame"``."""
    return f"{found.__module__.partition('.')[0]}.{found.__qualname__}"
