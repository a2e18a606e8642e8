"""What interrupted runs leave behind.

Other runs may be at work in the same folders: what was written to within a day is theirs.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

UNFINISHED = ("*.part", "*.part.json", "*.tmp")
"""Names of files that a download makes and takes away again."""
OLD_AFTER_S = 24 * 3600.0


def remove_leftovers(data_dir: Path, scratch: Path, *, keep: Path) -> int:
    """Delete unfinished downloads and scratch folders that nobody has written to for a day.

    Parameters
    ----------
    data_dir
        Folder of downloads; whole months stay.
    scratch
        Parent of scratch folders.
    keep
        The scratch folder of the caller.

    Returns
    -------
    int
        How many files and folders were deleted.
    """
    removed = 0
    for pattern in UNFINISHED:
        for path in data_dir.rglob(pattern):
            if _is_old(path):
                path.unlink(missing_ok=True)
                removed += 1
    for folder in scratch.iterdir() if scratch.is_dir() else ():
        if folder != keep and folder.is_dir() and all(map(_is_old, (folder, *folder.rglob("*")))):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _is_old(path: Path) -> bool:
    """Whether a path was last written to long ago; what is gone meanwhile was somebody's."""
    try:
        return time.time() - path.stat().st_mtime > OLD_AFTER_S
    except OSError:
        return False
