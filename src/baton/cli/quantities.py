"""Sizes and ages in the form that users read and write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


class Quantity(click.ParamType[float]):
    """A number with a unit.

    Parameters
    ----------
    name : str
        Its name for users.
    units : mapping of str to int
        The size of each unit, by its lower-case name.
    example : str
        An example for users.
    """

    def __init__(self, name: str, units: Mapping[str, int], example: str) -> None:
        self.name = name
        self._units = units
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the amount in the smallest unit."""
        if isinstance(value, int | float):
            return float(value)
        written = _WRITTEN.fullmatch(value)
        if written is None or written[2].lower() not in self._units:
            self.fail(f"{value!r} is not a valid {self.name}; write it as {self._example}", param, ctx)
        return float(written[1]) * self._units[written[2].lower()]


SIZE = Quantity(
    "size",
    {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
    | {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40},
    "5GB or 500MB",
)
"""Bytes."""
AGE = Quantity("age", {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}, "30d or 12h")
"""Seconds."""

SHARE = click.FloatRange(0.0, 1.0, min_open=True)
"""A fraction, such as 0.1."""


def size_text(size: int) -> str:
    """Return a number of bytes in a form for users.

    Examples
    --------
    >>> size_text(999), size_text(1_234_567)
    ('999 B', '1.2 MB')
    """
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.95:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
