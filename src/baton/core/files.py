"""Atomic writes: readers never see half a file."""

from __future__ import annotations

import errno
import os
from pathlib import Path


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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:80]}.{os.urandom(6).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
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
