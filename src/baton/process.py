"""What every process of baton does when it begins."""

from __future__ import annotations

import gc

_FEW = (100_000, 20, 100)


def collect_garbage_seldom() -> None:
    """Look for garbage in cycles every 100,000 new objects, not every 700.

    Importing the machine learning libraries makes millions of objects and next to no garbage: the
    looks are a tenth of the time that the imports take, and the process is soon over.
    """
    gc.set_threshold(*_FEW)
