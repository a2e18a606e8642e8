"""Read and write Universal Binary JSON, as far as XGBoost's models use it.

It is XGBoost's own form of a model: the content of its JSON form, with the arrays of numbers as they
lie in memory.  Both directions take a tenth of the time that text takes.  The form is that of
https://ubjson.org, draft 12; XGBoost's documentation of its models says which parts it uses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Marker of a number's type, and the type; big-endian.
_TYPES: dict[str, np.dtype[Any]] = {
    "i": np.dtype(">i1"),
    "U": np.dtype(">u1"),
    "I": np.dtype(">i2"),
    "l": np.dtype(">i4"),
    "L": np.dtype(">i8"),
    "d": np.dtype(">f4"),
    "D": np.dtype(">f8"),
}
_MARKERS: dict[np.dtype[Any], str] = {kind.newbyteorder("="): marker for marker, kind in _TYPES.items()}


def read_ubjson(content: bytes | bytearray) -> Any:
    """Return the value that the bytes hold.

    Returns
    -------
    dict, list, str, numpy scalar or numpy array
        Arrays of numbers of one type as numpy arrays of shape (n,), in the machine's byte order.

    Raises
    ------
    ValueError
        If the bytes are cut short, or use something that XGBoost's models do not.
    """
    try:
        return _Reader(bytes(content)).value()
    except (IndexError, UnicodeDecodeError) as error:
        message = "the bytes end too early, or are no Universal Binary JSON"
        raise ValueError(message) from error


def write_ubjson(value: Any) -> bytes:
    """Return the bytes of a value as `read_ubjson` returns them; reading and writing changes no byte.

    Raises
    ------
    TypeError
        If there is another kind of value in it.
    """
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def value(self) -> Any:
        match self._marker():
            case "{":
                return self._object()
            case "[":
                return self._array()
            case "S":
                return self._text()
            case marker:
                return self._numbers(marker, 1)[0]

    def _object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._content[self._at] != ord("}"):
            name = self._text()
            found[name] = self.value()
        self._at += 1
        return found

    def _array(self) -> Any:
        marker = self._marker()
        kind = ""
        if marker == "$":
            kind, marker = self._marker(), self._marker()
        if marker != "#":
            message = "an array without its length"
            raise ValueError(message)
        length = self._length()
        return self._numbers(kind, length) if kind else [self.value() for _ in range(length)]

    def _text(self) -> str:
        length = self._length()
        self._at += length
        return self._content[self._at - length : self._at].decode()

    def _length(self) -> int:
        length = int(self._numbers(self._marker(), 1)[0])
        if not 0 <= length <= len(self._content) - self._at:
            message = f"a length of {length} where {len(self._content) - self._at} bytes are left"
            raise ValueError(message)
        return length

    def _numbers(self, marker: str, count: int) -> np.ndarray[Any, Any]:
        if marker not in _TYPES:
            message = f"a value of unknown kind {marker!r}"
            raise ValueError(message)
        kind = _TYPES[marker]
        found = np.frombuffer(self._content, kind, count, self._at)
        self._at += found.nbytes
        return found.astype(kind.newbyteorder("="))

    def _marker(self) -> str:
        self._at += 1
        return chr(self._content[self._at - 1])


def _write(value: Any, parts: list[bytes]) -> None:
    match value:
        case dict():
            parts.append(b"{")
            for name, member in value.items():
                parts.append(_sized(name))
                _write(member, parts)
            parts.append(b"}")
        case list():
            parts.append(b"[#" + _length(len(value)))
            for member in value:
                _write(member, parts)
        case str():
            parts.append(b"S" + _sized(value))
        case np.ndarray():
            kind = _MARKERS[value.dtype]
            parts.append(f"[${kind}#".encode() + _length(len(value)))
            parts.append(value.astype(_TYPES[kind]).tobytes())
        case np.generic():
            kind = _MARKERS[value.dtype]
            parts.append(kind.encode() + value.astype(_TYPES[kind]).tobytes())
        case _:
            message = f"cannot write {type(value).__qualname__}"
            raise TypeError(message)


def _sized(text: str) -> bytes:
    content = text.encode()
    return _length(len(content)) + content


def _length(length: int) -> bytes:
    return b"L" + length.to_bytes(8, "big")
