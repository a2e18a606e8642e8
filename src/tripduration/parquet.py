"""Whether a file is the Parquet file that its name claims."""

from __future__ import annotations

import os
from pathlib import Path

from tripduration.errors import NotParquet

MAGIC = b"PAR1"
"""The four bytes that open and close every Parquet file (Apache Parquet format, "File Format")."""

_SMALLEST = 12
"""Bytes of the shortest Parquet file: both magics and the footer's length."""

_SHOWN_BYTES = 256
_SHOWN_CHARACTERS = 70


def verify_parquet(path: Path, name: str | None = None) -> dict[str, str]:
    """Refuse a file that is not a whole Parquet file.

    Parameters
    ----------
    path
        The file; its first and last bytes and its footer are read, no rows.
    name
        What to call the file in messages; its file name if None.

    Returns
    -------
    dict of str to str
        The published schema: Arrow's name of each column's type, in the file's order.

    Raises
    ------
    NotParquet
        The file is something else (the message shows what), is cut short, or has no readable
        footer.
    OSError
        The file cannot be opened.
    """
    called = name or path.name
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(_SHOWN_BYTES)
        file.seek(max(0, size - len(MAGIC)))
        tail = file.read()
    trouble = _trouble(head, tail, size)
    if trouble is not None:
        what, hint = trouble
        raise NotParquet(f"{called} is not a Parquet file: {what}", hint=hint)
    return _read_footer(path, called)


def _trouble(head: bytes, tail: bytes, size: int) -> tuple[str, str] | None:
    """Name what the bytes look like and the way out, or None where they may be Parquet."""
    if size == 0:
        return "it is empty (0 bytes)", "download it again"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"version https://git-lfs"):
        return (
            f"it is a Git LFS pointer ({_shown(head)})",
            "run git lfs pull to get the file itself",
        )
    if text.startswith((b"<!doctype html", b"<html")):
        hint = "the address answers with a page: check the URL, or a login page in between"
        return f"it is an HTML page ({_shown(head)})", hint
    if text.startswith(b"<"):
        hint = "the address answers with an error document: check the URL and the month"
        return f"it is an XML document ({_shown(head)})", hint
    if not head.startswith(MAGIC):
        return f"it starts with {_shown(head)}", "check the address or folder it came from"
    if tail != MAGIC or size < _SMALLEST:
        return f"it is cut short after {size:,} bytes (no PAR1 at its end)", "download it again"
    return None


def _shown(head: bytes) -> str:
    """Quote the first characters of a file on one line."""
    text = head.decode("utf-8", errors="replace")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    cut = line[:_SHOWN_CHARACTERS]
    return f"'{cut}...'" if len(line) > len(cut) else f"'{cut}'"


def _read_footer(path: Path, called: str) -> dict[str, str]:
    # pyarrow ships no types.
    import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
    import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        first_line = str(error).partition("\n")[0]
        raise NotParquet(
            f"{called} is not a readable Parquet file: its footer is damaged ({first_line})",
            hint="download it again",
        ) from error
    names = schema.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise NotParquet(
            f"{called} cannot be read: two of its columns are called '{twice}'",
            hint="check how the file was made; published months name each column once",
        )
    return {field.name: str(field.type) for field in schema}
