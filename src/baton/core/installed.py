"""Which packages baton needs and which are installed, according to the distribution's metadata."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass

DISTRIBUTION = "baton-ml"
_NOT_FOR_USERS = frozenset({"all", "build", "dev"})
_REQUIREMENT = re.compile(r"^(?P<name>[\w.-]+)[^;]*(?:;.*extra == ['\"](?P<extra>[\w-]+)['\"])?")


@dataclass(frozen=True, slots=True)
class Package:
    """A package that baton needs.

    Parameters
    ----------
    name : str
        The distribution's name.
    extra : str
        The extra that installs it; empty for packages that every installation needs.
    version : str
        The installed version; empty if missing.
    """

    name: str
    extra: str
    version: str


def wanted_packages() -> tuple[Package, ...]:
    """Return what baton needs: itself first, then the packages of each user-facing extra."""
    found = [Package(DISTRIBUTION, "", version_of(DISTRIBUTION))]
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        if match is not None and match["extra"] not in _NOT_FOR_USERS:
            found.append(Package(match["name"], match["extra"] or "", version_of(match["name"])))
    return tuple(sorted(found, key=lambda package: package.extra))


def version_of(distribution: str) -> str:
    """Return the installed version of a distribution, or an empty text if it is missing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
