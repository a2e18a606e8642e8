"""Versions of installed packages by import name."""

from __future__ import annotations

import importlib.metadata
from functools import cache


_DISTRIBUTIONS = {"baton": "baton-ml", "sklearn": "scikit-learn"}
"""Spares looking through every installed package for the names that this project meets often."""


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
        return importlib.metadata.version(_DISTRIBUTIONS.get(import_name, import_name))
    except importlib.metadata.PackageNotFoundError:
        pass  # the distribution has another name than the module
    for distribution in importlib.metadata.distributions():
        listed = distribution.read_text("RECORD") or ""
        if listed.startswith(f"{import_name}/") or f"\n{import_name}/" in listed or f"\n{import_name}.py," in listed:
            return distribution.version
    return "unknown"
