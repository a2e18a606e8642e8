"""Digests of values for cache keys: typed, exact, and only for known types."""

from __future__ import annotations

import datetime
import enum
import hashlib
import struct
from collections.abc import Mapping, Sequence, Set
from pathlib import PurePath
from typing import Any

import msgspec

from baton.core.secret import Secret
from baton.errors import UsageError


def fingerprint(value: Any) -> str:
    """Return a digest of a value; equal values of equal types have equal digests everywhere.

    ``1``, ``1.0``, ``True`` and ``"1"`` differ; the order of a dict or set does not matter; floats
    count to the last bit.

    Parameters
    ----------
    value : Any
        None, bool, int, float, str, bytes, a date or time, an enum, a path, a `Parameters` struct,
        or a list, tuple, set or dict of these; or a `Secret`, all of which are alike.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    UsageError
        If the value holds anything else; a ``repr`` is never digested.

    Examples
    --------
    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    >>> fingerprint(1) == fingerprint(1.0)
    False
    """
    try:
        return hashlib.sha256(_encode(value)).hexdigest()
    except RecursionError:
        raise UsageError("a value that contains itself cannot be part of a cache key") from None


def _encode(value: Any) -> bytes:
    match value:
        case None:
            return _tagged(b"none", b"")
        case enum.Enum():
            return _tagged(b"enum", _encode([type(value).__qualname__, value.name, value.value]))
        case bool():
            return _tagged(b"bool", b"1" if value else b"0")
        case int():
            return _tagged(b"int", f"{value:x}".encode())
        case float():
            return _tagged(b"float", b"nan" if value != value else struct.pack(">d", value))
        case str():
            return _tagged(b"str", value.encode("utf-8", "surrogatepass"))
        case bytes():
            return _tagged(b"bytes", value)
        case datetime.datetime() | datetime.date() | datetime.time():
            return _tagged(type(value).__name__.encode(), value.isoformat().encode())
        case Secret():
            return _tagged(b"secret", b"")  # neither the secret nor its place counts
        case PurePath():
            return _tagged(b"path", value.as_posix().encode("utf-8", "surrogatepass"))
        case msgspec.Struct():
            fields = {name: getattr(value, name) for name in value.__struct_fields__}
            return _tagged(b"struct", _encode([type(value).__qualname__, fields]))
        case Mapping():
            pairs = sorted(_encode(key) + _encode(item) for key, item in value.items())
            return _tagged(b"dict", b"".join(pairs))
        case Set():
            return _tagged(b"set", b"".join(sorted(_encode(item) for item in value)))
        case tuple() if hasattr(value, "_fields"):
            return _tagged(b"named", _encode([type(value).__qualname__, list(value._fields), list(value)]))
        case tuple():
            return _tagged(b"tuple", b"".join(_encode(item) for item in value))
        case Sequence():
            return _tagged(b"list", b"".join(_encode(item) for item in value))
    raise UsageError(
        f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot be part of a cache key",
        "pass numbers, texts, dates, lists and dicts, or make it an artifact",
    )


def _tagged(tag: bytes, content: bytes) -> bytes:
    """Prefix with type and length, so that no two different values give the same bytes."""
    return b"%s:%d:%s" % (tag, len(content), content)
