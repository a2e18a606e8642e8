"""Atomic writes, so that readers never see half a file, and copies."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, content: bytes, *, durable: bool = False, mode: int | None = None) -> None:
    """Write a temporary file next to `path`, then rename it.

    Parameters
    ----------
    path : Path
        The file; its folder is created if missing.
    content : bytes
        The whole content.
    durable : bool
        Whether to flush to disk before returning, for data that cannot be computed again.
    mode : int, optional
        File permissions; the umask's default unless given.

    Raises
    ------
    OSError
        If the folder cannot be written, or `path` exists and is not a regular file; nothing is
        left behind.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    temporary = path.with_name(f".{path.name[:80]}.{os.urandom(6).hex()}.tmp")
    try:
        with _created(temporary) as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content, without its permissions; file systems that can share it read nothing."""
    with source.open("rb") as given, target.open("wb") as made:
        if hasattr(os, "copy_file_range"):
            with contextlib.suppress(OSError):  # not between these file systems
                while os.copy_file_range(given.fileno(), made.fileno(), _AT_ONCE):
                    pass
        shutil.copyfileobj(given, made, _BLOCK)  # what is left: as a rule nothing


_AT_ONCE = 1 << 30
_BLOCK = 1 << 20


def _created(path: Path) -> BinaryIO:
    """Return a new file, whose folder is made only if that is missing."""
    try:
        return path.open("xb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
