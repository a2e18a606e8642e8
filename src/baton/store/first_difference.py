"""Describe the first difference between two stored values of one kind."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from baton.core.artifact import Kind

_BLOCK = 1 << 20
_SHOWN = 60


def first_difference(kind: type[Kind], one: Path, other: Path) -> str:
    """Describe the first difference between two files written by a kind.

    Tables are compared by column and row, arrays by member and position, JSON by path, the rest by byte.
    Values of user-defined kinds are read by their `suffix`.
    """
    readers = {".parquet": _in_tables, ".npz": _in_arrays, ".json": _in_json}
    if kind.suffix in readers:
        try:
            found = readers[kind.suffix](one, other)
        except Exception:  # not what its suffix says, or incomparable values
            return _in_bytes(one, other)
        return found or f"equal values with different bytes: {_in_bytes(one, other)}"
    return _in_bytes(one, other)


def _in_tables(one: Path, other: Path) -> str:
    import polars as pl

    left, right = (pl.read_parquet(path, memory_map=False, glob=False) for path in (one, other))
    if left.columns != right.columns:
        return f"columns {', '.join(left.columns)} and {', '.join(right.columns)}"
    for column in left.columns:
        if left[column].dtype != right[column].dtype:
            return f"column '{column}' is of type {left[column].dtype} and {right[column].dtype}"
    rows = min(left.height, right.height)
    firsts = {
        column: row
        for column in left.columns
        if (row := left[column][:rows].ne_missing(right[column][:rows]).arg_max()) is not None
        and _differ(left[column][row], right[column][row])
    }
    if firsts:
        column = min(firsts, key=lambda name: firsts[name])
        row = firsts[column]
        return f"column '{column}', row {row}: {_shown(left[column][row])} and {_shown(right[column][row])}"
    return f"{left.height} and {right.height} rows" if left.height != right.height else ""


def _in_arrays(one: Path, other: Path) -> str:
    import numpy as np

    with np.load(one, allow_pickle=False) as left, np.load(other, allow_pickle=False) as right:
        if left.files != right.files:
            return f"members {', '.join(left.files)} and {', '.join(right.files)}"
        for name in left.files:
            a, b = left[name], right[name]
            if (a.dtype, a.shape) != (b.dtype, b.shape):
                return f"'{name}' is {a.dtype} of shape {a.shape} and {b.dtype} of shape {b.shape}"
            same = (a == b) | ((a != a) & (b != b))
            if not same.all():
                place = tuple(int(number) for number in np.argwhere(~same)[0])
                position = ", ".join(map(str, place))
                return f"'{name}' at [{position}]: {_shown(a[place].item())} and {_shown(b[place].item())}"
    return ""


def _in_json(one: Path, other: Path) -> str:
    return _between(json.loads(one.read_bytes()), json.loads(other.read_bytes()), "$")


def _between(one: Any, other: Any, path: str) -> str:
    """Return the first difference of two JSON values, with its path; empty if they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted({*one, *other}):
            if name not in one or name not in other:
                return f"{path}.{name} is only in the {'second' if name in other else 'first'}"
            if found := _between(one[name], other[name], f"{path}.{name}"):
                return found
        return ""
    if isinstance(one, list) and isinstance(other, list):
        for number, (left, right) in enumerate(zip(one, other, strict=False)):
            if found := _between(left, right, f"{path}[{number}]"):
                return found
        return f"{path} has {len(one)} and {len(other)} items" if len(one) != len(other) else ""
    return f"{path}: {_shown(one)} and {_shown(other)}" if _differ(one, other) else ""


def _differ(one: Any, other: Any) -> bool:
    """Whether two values differ: ``1``, ``1.0`` and ``True`` do; nan equals nan."""
    return type(one) is not type(other) or (one != other and not (one != one and other != other))


def _in_bytes(one: Path, other: Path) -> str:
    offset = 0
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            left, right = first.read(_BLOCK), second.read(_BLOCK)
            if left != right:
                pairs = itertools.zip_longest(left, right)
                offset += next(number for number, (a, b) in enumerate(pairs) if a != b)
                return f"byte {offset} of {one.stat().st_size} and {other.stat().st_size}"
            if not left:
                return "no byte"
            offset += len(left)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
