"""Reading small JSON records that others may have written, torn or meant ill."""

from __future__ import annotations

from typing import TypeVar

import msgspec

Record = TypeVar("Record")


def decode_record(content: str | bytes, kind: type[Record]) -> Record | None:
    """Return a record, or None where the content is no such record, whatever else it is."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
