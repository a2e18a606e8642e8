"""The kinds that installed distributions offer: entry points in the group ``baton.kinds``.

An entry point is named for a type, as ``pandas.Series``, and leads to the kind for its values.  Entry points
are read when a type is unknown, when an error is explained, and when a stored artifact's kind is not loaded.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "baton.kinds"
_SECTION = re.compile(rf"^\[\s*{re.escape(GROUP)}\s*\]", re.MULTILINE)


@dataclass
class Hooks:
    """Callbacks for what observes code."""

    unobserved: Callable[[], AbstractContextManager[None]] = nullcontext
    """Returns a context in which nothing counts as read by the user's code."""


hooks = Hooks()


class UnusableKind(Exception):
    """A kind that a distribution offers and that cannot be used, in one sentence."""


@dataclass(frozen=True)
class Offer:
    """A kind that a distribution offers, not loaded yet.

    Parameters
    ----------
    type : str
        The type of its values, as ``"pandas.Series"`` or ``"sklearn.*"``.
    point : importlib.metadata.EntryPoint
        Where the kind is.
    distribution : str
        Name and version of the distribution.
    """

    type: str
    point: EntryPoint
    distribution: str

    def __str__(self) -> str:
        """Name the kind by what is known without loading it."""
        return f"{self.type} with the kind of {self.distribution}"


def all_offers() -> tuple[Offer, ...]:
    """Return the offers of all installed distributions, in the order of the search path.

    Raises
    ------
    UnusableKind
        If those of a distribution cannot be read.
    """
    with hooks.unobserved():
        return _read(tuple(sys.path))


def offers_for(names: Collection[str]) -> tuple[Offer, ...]:
    """Return the offers for a type by its names."""
    return tuple(offer for offer in all_offers() if offer.type in names)


@lru_cache(maxsize=1)
def _read(_search_path: tuple[str, ...]) -> tuple[Offer, ...]:
    from importlib.metadata import distributions

    found: dict[str, list[Offer]] = {}
    for distribution in distributions():
        # Few distributions have the group, and parsing takes longer than a look at the text.
        if not _SECTION.search(distribution.read_text("entry_points.txt") or ""):
            continue
        label = f"{distribution.name} {distribution.version}"
        try:
            points = [point for point in distribution.entry_points if point.group == GROUP]
        except (TypeError, ValueError) as error:
            raise UnusableKind(f"the entry points of {label} cannot be read: {error}") from error
        found.setdefault(distribution.name.lower(), [Offer(point.name, point, label) for point in points])
    return tuple(offer for offers in found.values() for offer in offers)
