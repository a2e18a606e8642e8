"""Versions of installed packages by import name."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

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
    named = _installed().get(_normalised(_DISTRIBUTIONS.get(import_name, import_name)))
    if named is not None:
        return named
    import importlib.metadata  # the distribution has another name than the module

    starts = (f"{import_name}/", f"{import_name}.py,", f"{import_name}.cpython-", f"{import_name}.abi3.")
    versions = {
        f"{distribution.name} {distribution.version}"
        for distribution in importlib.metadata.distributions()
        if any(line.startswith(starts) for line in (distribution.read_text("RECORD") or "").splitlines())
    }
    if len(versions) == 1:
        return versions.pop().rpartition(" ")[2]
    return ", ".join(sorted(versions)) or "unknown"


@cache
def _installed() -> dict[str, str]:
    """Return versions by normalised distribution name, read off the names of their folders.

    Those are ``NAME-VERSION.dist-info`` (https://packaging.python.org/en/latest/specifications/
    recording-installed-packages/).  The standard library would parse each one's metadata instead.
    """
    found: dict[str, str] = {}
    for place in sys.path:
        try:
            names = [path.name for path in Path(place or ".").iterdir() if path.suffix == ".dist-info"]
        except OSError:
            continue
        for name in names:
            distribution, _, version = name.removesuffix(".dist-info").rpartition("-")
            found.setdefault(_normalised(distribution), version)  # the first on the path is imported
    return found


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
