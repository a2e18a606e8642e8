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
        For example ``"1.9.1"``; every version where several distributions share the name, and
        ``"unknown"`` where none claims it.
    """
    try:
        return importlib.metadata.version(_DISTRIBUTIONS.get(import_name, import_name))
    except importlib.metadata.PackageNotFoundError:
        pass  # the distribution has another name than the module
    starts = (f"{import_name}/", f"{import_name}.py,", f"{import_name}.cpython-", f"{import_name}.abi3.")
    versions = {
        f"{distribution.name} {distribution.version}"
        for distribution in importlib.metadata.distributions()
        if any(line.startswith(starts) for line in (distribution.read_text("RECORD") or "").splitlines())
    }
    if len(versions) == 1:
        return versions.pop().rpartition(" ")[2]
    return ", ".join(sorted(versions)) or "unknown"
