"""Check that a file is a Parquet file."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from tripduration.errors import NotParquet

MAGIC = b"PAR1"
"""The four bytes at the start and end of every Parquet file (Apache Parquet format, "File Format")."""

_SMALLEST = 12
"""Size of the shortest Parquet file in bytes: both magic numbers and the footer's length."""

_CONVERT = "write it as Parquet, with times as timestamps and ids as whole numbers"

_LOOKS = {
    b"PARE": ("it is encrypted", "decrypt it: encrypted Parquet is not read"),
    b"\x1f\x8b": ("it is compressed with gzip", "unpack it with: gunzip"),
    b"PK\x03\x04": ("it is a ZIP archive", "unpack it with: unzip"),
    b"BZh": ("it is compressed with bzip2", "unpack it with: bunzip2"),
    b"\xfd7zXZ": ("it is compressed with xz", "unpack it with: unxz"),
    b"\x28\xb5\x2f\xfd": ("it is compressed with zstd", "unpack it with: unzstd"),
    b"ARROW1": ("it is an Arrow or Feather file", _CONVERT),
    b"ORC": ("it is an ORC file", _CONVERT),
    b"Obj\x01": ("it is an Avro file", _CONVERT),
    b"SQLite format 3": ("it is a SQLite database", _CONVERT),
}
"""What a file's first bytes identify, with a hint."""

_TABLE = re.compile(r"[^\n,;\t]+([,;\t])[^\n]*\1[^\n]*")
"""The first line of a table in text: three cells or more."""

_SHOWN_BYTES = 256
_SHOWN_CHARACTERS = 70


def verify_parquet(path: Path, name: str | None = None) -> dict[str, str]:
    """Reject a file that is not a complete Parquet file.

    Parameters
    ----------
    path
        The file; only its first and last bytes and its footer are read.
    name
        Name for messages; the file name if None.

    Returns
    -------
    dict of str to str
        The published schema: Arrow's type name of each column, in file order.

    Raises
    ------
    NotParquet
        The file is something else (see the message), is truncated, or has no readable footer.
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
    """Return what the bytes look like and a hint, or None if they may be Parquet."""
    if size == 0:
        return "it is empty (0 bytes)", "download it again"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    known = next((looks for magic, looks in _LOOKS.items() if head.startswith(magic)), None)
    if known is not None:
        return known
    if head.startswith(b"version https://git-lfs"):
        return (
            f"it is a Git LFS pointer ({_shown(head)})",
            "run git lfs pull to get the file itself",
        )
    if text.startswith((b"<!doctype html", b"<html")):
        hint = "the address returned a page: check the URL, and for a login page"
        return f"it is an HTML page ({_shown(head)})", hint
    if text.startswith(b"<"):
        hint = "the address returned an error document: check the URL and the month"
        return f"it is an XML document ({_shown(head)})", hint
    if text.startswith(b"{"):
        hint = "the address returned an error document: check the URL and the month"
        return f"it is a JSON document ({_shown(head)})", hint
    if not head.startswith(MAGIC):
        if _is_table(head):
            return f"it is a table in text, CSV or its like ({_shown(head)})", _CONVERT
        return f"it starts with {_shown(head)}", "check the address or folder that it came from"
    if tail != MAGIC or size < _SMALLEST:
        return f"it is cut short after {size:,} bytes (no PAR1 at its end)", "download it again"
    return None


def _is_table(head: bytes) -> bool:
    try:
        text = head.decode("utf-8-sig", errors="strict" if len(head) < _SHOWN_BYTES else "ignore")
    except UnicodeDecodeError:
        return False
    return "\0" not in text and _TABLE.match(text) is not None


def _shown(head: bytes) -> str:
    """Quote the start of a file on one line."""
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


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
