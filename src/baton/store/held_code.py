"""The code inside stored values: functions and classes that the bytes refer to but do not contain.

A pickled estimator with a function of yours holds only the function's name, so its bytes stay equal
when the function changes.  A kind's `baton.core.artifact.Kind.code` returns what is inside.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from baton.codetrace.modules import is_installed, locate
from baton.codetrace.packages import version_of
from baton.codetrace.reader import CodeReader, NamedCode
from baton.core.artifact import Kind


def code_inside(kind: type[Kind], value: Any, reader: CodeReader) -> dict[str, str]:
    """Return the digest of each function and class inside a value, by ``"module:name"``."""
    return digests_of_code(sorted({_label(one) for one in _unwrapped(kind.code(value))}), reader)


def parts_inside(kind: type[Kind], value: Any, reader: CodeReader) -> set[str]:
    """Return all code, by ``"module:name"``, that functions and classes inside a value are or reach."""
    parts = set()
    for one in _unwrapped(kind.code(value)):
        label = _label(one)
        module, _, name = label.partition(":")
        parts |= {label, *reader.reach(NamedCode(module, name)).parts}
    return parts


def digests_of_code(labels: Iterable[str], reader: CodeReader) -> dict[str, str]:
    """Return the current digests of functions and classes."""
    return {label: _digest_of(label, reader) for label in labels}


def digest_of_all(digests: Mapping[str, str]) -> str:
    """Return one digest for all code inside a value; empty if there is none."""
    if not digests:
        return ""
    listed = "\n".join(f"{label}={digest}" for label, digest in sorted(digests.items()))
    return hashlib.sha256(listed.encode()).hexdigest()[:32]


def _unwrapped(callables: Iterable[Any]) -> Iterable[Any]:
    for one in callables:
        if isinstance(one, functools.partial):
            inside = (one.func, *one.args, *one.keywords.values())
            yield from _unwrapped(part for part in inside if callable(part))
        else:
            yield getattr(one, "__func__", one)  # of a method


def _label(one: Any) -> str:
    named = one if hasattr(one, "__qualname__") and getattr(one, "__module__", None) else type(one)
    return f"{named.__module__}:{named.__qualname__}"


def _digest_of(label: str, reader: CodeReader) -> str:
    module, _, name = label.partition(":")
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return ""  # every key has Python's version
    place = locate(top)
    if place is None or is_installed(place):
        return version_of(top)
    reach = reader.reach(NamedCode(module, name))
    return digest_of_all({**reach.parts, **{f"package {one}": v for one, v in reach.packages.items()}})
