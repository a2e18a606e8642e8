"""An argument of a task that takes artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from baton.core.artifact import Kind
from baton.core.external import External


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a task that takes artifacts.

    Parameters
    ----------
    kind : type
        Kind of the artifact, or of each of several.
    artifact : str
        Name of the artifact; of that of a task with ``over`` if it takes all elements; else empty.
    elements : mapping of str to str, optional
        Names of the artifacts that it takes, by their keys in the mapping that the function receives; None
        if it takes one artifact, empty if it takes all elements of a task with ``over``.
    externals : mapping of str to External
        The external inputs among the artifacts whose address it has, by the name of the artifact.
    """

    kind: type[Kind]
    artifact: str = ""
    elements: Mapping[str, str] | None = None
    externals: Mapping[str, External] = field(default_factory=dict)

    @property
    def artifacts(self) -> tuple[str, ...]:
        """Names of all artifacts that it takes, in order."""
        return tuple(self.elements.values()) if self.elements else (self.artifact,)

    @property
    def source(self) -> str | list[list[str]]:
        """The artifact's name, or the pairs of key and name: plain JSON values for keys and records."""
        return self.artifact if self.elements is None else [list(pair) for pair in self.elements.items()]
