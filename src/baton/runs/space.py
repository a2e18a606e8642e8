"""What a sweep varies: the values that its trials may give to each parameter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from baton.core.parameters import Leaf
from baton.core.values import as_text, is_list, typed
from baton.errors import UsageError

_HOW = (
    "write values as 4,8,16, a range as 0.05:0.3, "
    "with a step as 0.05:0.3:0.05, or on a log scale as 0.01:1:log"
)
_MOST_COMBINATIONS = 100_000


@dataclass(frozen=True, slots=True)
class Space:
    """The values of one parameter: a list, or a range of numbers.

    Parameters
    ----------
    leaf : Leaf
        The parameter.
    values : tuple
        The values, typed; empty for a range without a step.
    low, high : int or float
        The ends of a range, inclusive.
    log : bool
        Whether equal ratios in the range are equally probable.
    """

    leaf: Leaf
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def __str__(self) -> str:
        """Return the space as it is written."""
        if self.values:
            return ",".join(map(as_text, self.values))
        return f"{as_text(self.low)}:{as_text(self.high)}{':log' if self.log else ''}"


def space_of(leaf: Leaf, text: str) -> Space | None:
    """Return what a text says that a parameter varies over; None if it is a single value.

    Parameters
    ----------
    leaf : Leaf
        The parameter.
    text : str
        Values such as ``"4,8,16"``; or ``"LOW:HIGH"``, optionally with ``:STEP`` or ``:log``.

    Raises
    ------
    UsageError
        If it is neither a value of the parameter nor several.

    Examples
    --------
    >>> depth = Leaf(("depth",), int, 6, "")
    >>> str(space_of(depth, "4, 8")), str(space_of(depth, "4:16:4")), space_of(depth, "4")
    ('4,8', '4,8,12,16', None)
    """
    try:
        typed(leaf.type, text, from_text=True)
    except ValueError as error:
        problem = str(error)
    else:
        return None
    option = f"--{leaf.name.replace('_', '-')}"
    if is_list(leaf.type):
        raise UsageError(f"{option} cannot be {text!r}: {problem}", "a parameter that is a list is not swept")
    parts = [part.strip() for part in text.split(":")]
    is_range = len(parts) in (2, 3) and "," not in text
    try:
        if not is_range:
            values = tuple(
                _distinct(typed(leaf.type, one.strip(), from_text=True) for one in text.split(","))
            )
            return Space(leaf, values)
        low, high = (typed(leaf.type, part, from_text=True) for part in parts[:2])
    except ValueError as error:
        raise UsageError(f"{option} cannot be {text!r}: {error}", _HOW) from error
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (low, high))
    if not numbers or not low < high:
        raise UsageError(f"{option} cannot be {text!r}: no range of numbers from low to high", _HOW)
    scale = parts[2] if len(parts) == 3 else ""
    if scale == "log" and low <= 0:
        raise UsageError(f"{option} cannot be {text!r}: a log scale begins above 0", _HOW)
    if scale in ("", "log"):
        return Space(leaf, (), low, high, scale == "log")
    try:
        step = float(scale)
    except ValueError:
        step = 0.0
    if not (math.isfinite(step) and step > 0 and (high - low) / step < _MOST_COMBINATIONS):
        raise UsageError(f"{option} cannot be {text!r}: {scale!r} is no step", _HOW)
    count = math.floor((high - low) / step * (1 + 1e-12)) + 1
    exact = [low + number * step for number in range(count)]
    whole = isinstance(low, int) and isinstance(high, int)
    stepped = [round(value) if whole else round(value, 12) for value in exact]
    return Space(leaf, tuple(_distinct(typed(leaf.type, one, from_text=False) for one in stepped)))


def _distinct(values: Iterator[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def combinations(spaces: Sequence[Space]) -> list[dict[str, Any]]:
    """Return every combination of values, the last parameter varying fastest.

    Raises
    ------
    UsageError
        If a parameter has a range without a step, or there are too many.
    """
    for space in spaces:
        if not space.values:
            option = f"--{space.leaf.name.replace('_', '-')}"
            raise UsageError(
                f"the grid needs values, but {option} is the range {space}",
                f"add a step: {option} {space.low}:{space.high}:STEP, or use another --sampler",
            )
    count = math.prod(len(space.values) for space in spaces)
    if count > _MOST_COMBINATIONS:
        raise UsageError(f"the grid has {count:,} combinations", "use another --sampler, with --trials")
    names = [space.leaf.name for space in spaces]
    return [
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(space.values for space in spaces))
    ]


def spaces_in(leaves: Sequence[Leaf], texts: Mapping[str, str]) -> dict[str, Space]:
    """Return the spaces among texts given for parameters, by the parameter's name."""
    found = {}
    for leaf in leaves:
        if leaf.name in texts and (space := space_of(leaf, texts[leaf.name])) is not None:
            found[leaf.name] = space
    return found
