"""Read small JSON records that may be truncated, malformed or written by someone else."""

from __future__ import annotations

from typing import TypeVar

import msgspec

Record = TypeVar("Record")


def decode_record(content: str | bytes, kind: type[Record]) -> Record | None:
    """Return a record, or None if the content is anything else."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
