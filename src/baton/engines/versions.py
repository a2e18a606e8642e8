"""The versions of orchestrators that baton supports."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence

from baton.errors import ExtraMissing, Unavailable


def require_version(
    engine: str, module: str, distributions: Sequence[str], oldest: tuple[int, int]
) -> tuple[int, int]:
    """Return the first two numbers of an installed orchestrator's version, without importing it.

    Parameters
    ----------
    engine : str
        The engine's name, which is that of its extra.
    module : str
        The orchestrator's module.
    distributions : sequence of str
        The orchestrator's distributions: the usual one, then one with a part of it.
    oldest : tuple of (int, int)
        The oldest version that baton runs on.

    Raises
    ------
    ExtraMissing
        If it is not installed.
    Unavailable
        If it is older.
    """
    found = ((name, _version_of(name)) for name in distributions)
    name, installed = next((one for one in found if one[1]), ("", ""))
    if not name or importlib.util.find_spec(module) is None:
        raise ExtraMissing(f"engine '{engine}'", engine)
    numbers = [int(part) for part in installed.split(".")[:2] if part.isdecimal()]
    version = (numbers[0], numbers[1]) if len(numbers) == len(oldest) else (0, 0)
    if version < oldest:
        wanted = ".".join(map(str, oldest))
        raise Unavailable(
            f"engine '{engine}' needs {name} {wanted} or later, but {installed} is installed",
            f"upgrade it with: pip install '{name}>={wanted}'",
        )
    return version


def _version_of(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
