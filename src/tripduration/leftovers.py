"""What interrupted runs leave behind."""

from __future__ import annotations

import shutil
from pathlib import Path

UNFINISHED = ("*.part", "*.part.json", "*.tmp")
"""Names of files that a download makes and takes away again."""


def remove_leftovers(data_dir: Path, scratch: Path, *, keep: Path) -> int:
    """Delete unfinished downloads and the scratch folders of ended task runs.

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
            path.unlink(missing_ok=True)
            removed += 1
    for folder in scratch.iterdir() if scratch.is_dir() else ():
        if folder != keep and folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed
