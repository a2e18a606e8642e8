"""Artifacts: the values that pass between tasks, and what a kind of value must implement.

The kinds themselves are in `baton.kinds`, one module per library.
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
        Number of stored bytes; for ``files``, the sum over all members.
    code : str
        Digest of the code that the bytes refer to but do not contain, see `Kind.code`; empty if none.
    """

    name: str
    kind: str
    digest: str
    size: int
    code: str = ""

    @property
    def identity(self) -> str:
        """What identifies the value in a cache key: its bytes and the code that they refer to."""
        return hashlib.sha256(f"{self.digest} {self.code}".encode()).hexdigest() if self.code else self.digest

    def as_dict(self) -> dict[str, Any]:
        """Return the reference as plain JSON values, well under 1 KB."""
        fields = {"name": self.name, "kind": self.kind, "digest": self.digest, "size": self.size}
        return {**fields, "code": self.code} if self.code else fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Artifact:
        """Build a reference from the result of `as_dict`."""
        return cls(fields["name"], fields["kind"], fields["digest"], fields["size"], fields.get("code", ""))


class Kind:
    """How values of one kind are written to a file and read back; subclass to add a kind.

    The same value must always give the same bytes: digests of artifacts are part of cache keys.
    """

    name: ClassVar[str]
    suffix: ClassVar[str] = ""
    module: ClassVar[str] = ""
    """What reading a value imports, so that a worker can import it early."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Packages that define these values: a task depends on them even if it does not import them."""

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


def mismatch(expected: str, value: object) -> str:
    """Return the message for a value that is not of its kind."""
    return f"expected {expected}, got {type(value).__module__}.{type(value).__qualname__}"
