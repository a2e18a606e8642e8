"""Clean up after interrupted runs.

Other runs may be active in the same folders, so files written within a day are kept.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

UNFINISHED = ("*.part", "*.part.json", "*.tmp")
"""Names of a download's temporary files."""
OLD_AFTER_S = 24 * 3600.0


def remove_leftovers(data_dir: Path, scratch: Path, *, keep: Path) -> int:
    """Delete unfinished downloads and scratch folders that have not changed for a day.

    Parameters
    ----------
    data_dir
        Folder of downloads; complete months stay.
    scratch
        Parent of scratch folders.
    keep
        The caller's scratch folder.

    Returns
    -------
    int
        Number of deleted files and folders.
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
    """Whether a path has not changed for long; false if it has just disappeared."""
    try:
        return time.time() - path.stat().st_mtime > OLD_AFTER_S
    except OSError:
        return False
