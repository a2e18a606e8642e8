"""Versions of installed packages by import name and by distribution."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from functools import cache
from pathlib import Path

_DISTRIBUTIONS = {
    "PIL": "pillow",
    "attr": "attrs",
    "baton": "baton-ml",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "pkg_resources": "setuptools",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Avoids a search through all installed packages for common names."""

ABSENT = "absent"
"""The version of a package that is not installed."""


def usual_distribution(import_name: str) -> str:
    """Return the name under which a top-level module that is not installed can probably be installed."""
    return _DISTRIBUTIONS.get(import_name, import_name)


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
        For example ``"1.9.1"``; all versions if several distributions share the name, a digest of the
        files if no distribution claims them, and ``"absent"`` if the module does not exist.
    """
    return version_of_distribution(distribution_of(import_name))


@cache
def distribution_of(import_name: str) -> str:
    """Return the distribution that provides a top-level module.

    Returns
    -------
    str
        Its normalised name; several joined by ``"+"`` if they share the module; ``"module NAME"`` if
        none claims it.
    """
    guess = _normalised(_DISTRIBUTIONS.get(import_name, import_name.lstrip("_")))
    if guess in _installed() and import_name not in _shared_names():
        if not import_name.startswith("_"):
            return guess
        own = [path for path in _metadata_paths() if name_in(path.name) == guess]
        if any(_claims(path, import_name) for path in own):
            return guess
    return "+".join(sorted(_claimed_by(import_name))) or f"module {import_name}"


@cache
def version_of_distribution(name: str) -> str:
    """Return the version for a result of `distribution_of`; ``"absent"`` if no longer installed."""
    if name.startswith("module "):
        return _content_of(name.removeprefix("module "))
    return ", ".join(_installed().get(part, ABSENT) for part in name.split("+"))


@cache
def _installed() -> dict[str, str]:
    """Return versions by normalised distribution name, taken from the folder names.

    These are ``NAME-VERSION.dist-info`` (https://packaging.python.org/en/latest/specifications/
    recording-installed-packages/) or, from older tools, ``NAME-VERSION[-pyX.Y].egg-info``.  The standard
    library would parse the metadata of each instead.
    """
    found: dict[str, str] = {}
    for path in _metadata_paths():
        distribution, _, version = re.sub(r"-py\d.*$", "", path.stem).partition("-")
        if not version:
            version = _version_in(path)
        found.setdefault(_normalised(distribution), version)  # the first on the path wins
    return found


def name_in(folder: str) -> str:
    """Return the distribution whose metadata is in a folder of this name."""
    return _normalised(re.sub(r"-py\d.*$", "", Path(folder).stem).partition("-")[0])


@cache
def entry_points() -> dict[str, str]:
    """Return a digest of the entry points of each distribution that has any."""
    found: dict[str, str] = {}
    for path in _metadata_paths():
        try:
            content = (path / "entry_points.txt").read_bytes()
        except OSError:
            continue
        found.setdefault(name_in(path.name), hashlib.sha256(content).hexdigest()[:12])
    return found


def _metadata_paths() -> list[Path]:
    found = []
    for place in sys.path:
        try:
            names = [name for name in os.listdir(place or ".") if name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        found += [Path(place or ".", name) for name in sorted(names)]
    return found


def _version_in(path: Path) -> str:
    """Return the version in a metadata file or folder."""
    for file in (path / "METADATA", path / "PKG-INFO", path):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        stated = re.search(r"^Version: *(\S+)", text, re.MULTILINE)
        if stated:
            return stated.group(1)
    return ABSENT


@cache
def _claimed_by(import_name: str) -> tuple[str, ...]:
    """Return the distributions that claim a top-level module in their file lists."""
    found = [name_in(path.name) for path in _metadata_paths() if _claims(path, import_name)]
    return tuple(dict.fromkeys(found))


def _claims(metadata: Path, import_name: str) -> bool:
    name = import_name.encode()
    for file, pattern in (
        ("RECORD", rb"^%b(?:/|\.py,|\.cpython-|\.abi3\.)"),
        ("top_level.txt", rb"^%b\r?$"),
        ("installed-files.txt", rb"^(?:\.\./)?%b(?:/|\.py\r?$)"),
    ):
        try:
            content = (metadata / file).read_bytes()
        except OSError:
            continue
        # Nearly all contain no such name at all, which the first test finds ten times as fast.
        return name in content and re.search(pattern % re.escape(name), content, re.MULTILINE) is not None
    return False


@cache
def _shared_names() -> frozenset[str]:
    """Return the namespace packages that several distributions share."""
    found = set()
    for place in sys.path:
        try:
            with os.scandir(place or ".") as entries:
                folders = [e.name for e in entries if e.name.isidentifier() and e.is_dir()]
        except OSError:
            continue
        found |= {f for f in folders if not os.path.exists(os.path.join(place or ".", f, "__init__.py"))}
    return frozenset(found)


def _content_of(import_name: str) -> str:
    """Return a digest of a module's files, if no distribution claims it."""
    from baton.codetrace.modules import locate

    place = locate(import_name)
    if place is None:
        return ABSENT
    files = [place.file] if place.file is not None else []
    files += [p for folder in place.folders for p in sorted(Path(folder).rglob("*.py"))]
    sha = hashlib.sha256()
    for file in files:
        try:
            sha.update(file.read_bytes())
        except OSError:
            return ABSENT
    return f"content {sha.hexdigest()[:12]}"


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
