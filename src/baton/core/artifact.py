"""Artifacts: what travels between tasks, and what a kind of value must be able to do.

The kinds themselves stand in `baton.kinds`, one module for each library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


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
        Number of stored bytes; for ``files``, of all the members together.
    code : str
        Digest of the code that the bytes name and do not hold, see `Kind.code`; empty where there is none.
    """

    name: str
    kind: str
    digest: str
    size: int
    code: str = ""

    @property
    def identity(self) -> str:
        """What tells the value from others in a cache key: its bytes, and the code that they name."""
        return hashlib.sha256(f"{self.digest} {self.code}".encode()).hexdigest() if self.code else self.digest

    def as_dict(self) -> dict[str, Any]:
        """Return the reference as plain JSON values, well under 1 KB."""
        fields = {"name": self.name, "kind": self.kind, "digest": self.digest, "size": self.size}
        return {**fields, "code": self.code} if self.code else fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Artifact:
        """Build a reference from what `as_dict` returned."""
        return cls(fields["name"], fields["kind"], fields["digest"], fields["size"], fields.get("code", ""))


class Kind:
    """How values of one kind become a file and come back; subclass to add a kind.

    The same value must always give the same bytes: digests of artifacts are part of cache keys.
    """

    name: ClassVar[str]
    suffix: ClassVar[str] = ""
    module: ClassVar[str] = ""
    """What reading a value imports, so that a worker can load it early."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Packages whose values these are: a task works with them even where it imports none."""

    @classmethod
    def write(cls, value: Any, path: Path) -> None:
        """Write `value` to the new file `path`; raise TypeError if it is not of this kind."""
        raise NotImplementedError(f"kind {cls.__name__} does not say how to write a value")

    @classmethod
    def read(cls, path: Path) -> Any:
        """Return the value that `write` put into `path`."""
        raise NotImplementedError(f"kind {cls.__name__} does not say how to read a value")

    @classmethod
    def code(cls, value: Any) -> Iterable[Callable[..., Any]]:  # noqa: ARG003
        """Return the functions and classes of your own that the bytes of `value` name and do not hold.

        A pickle is such a case: it holds the name of a function, so that its bytes are the same after the
        function changed.  What takes the value runs again when code changes that is named here.
        """
        return ()


def mismatch(expected: str, value: object) -> str:
    """Return what is said of a value that is not of its kind."""
    return f"expected {expected}, got {type(value).__module__}.{type(value).__qualname__}"
