"""Versions of installed packages by import name."""

from __future__ import annotations

import importlib.metadata
from functools import cache


@cache
def version_of(import_name: str) -> str:
    """Return the version of the distribution that provides a top-level module.

    Parameters
    ----------
    import_name : str
        For example ``"sklearn"``.

    Returns
    -------
    str
        For example ``"1.9.1"``; ``"unknown"`` where no distribution claims the module.
    """
    try:
        return importlib.metadata.version(import_name)
    except importlib.metadata.PackageNotFoundError:
        pass  # the distribution has another name than the module
    for distribution in importlib.metadata.distributions():
        provided = (distribution.read_text("top_level.txt") or "").split()
        if import_name in provided:
            return distribution.version
    names = importlib.metadata.packages_distributions().get(import_name, [])
    return importlib.metadata.version(names[0]) if names else "unknown"
