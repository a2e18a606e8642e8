"""Locate modules without importing them."""

from __future__ import annotations

import importlib.machinery
import os
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Location:
    """Location of a module.

    Parameters
    ----------
    file : Path or None
        Its source or compiled file; None for a folder without ``__init__.py``.
    folders : tuple of str
        Folders of its submodules; empty unless it is a package.
    package : str
        The base of its relative imports.
    """

    file: Path | None
    folders: tuple[str, ...]
    package: str

    @property
    def is_source(self) -> bool:
        """Whether the file is Python source."""
        return self.file is not None and self.file.suffix == ".py"


def locate(module: str) -> Location | None:
    """Return a module's location, or None if it does not exist or is built into the interpreter."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
        folders = tuple(getattr(loaded, "__path__", ()))
        if isinstance(file, str) or folders:
            package = getattr(loaded, "__package__", None)
            fallback = module if folders else module.rpartition(".")[0]
            return Location(Path(file) if file else None, folders, fallback if package is None else package)
    parent = module.rpartition(".")[0]
    if not parent:
        return _location(module, _find(module, None))
    place = locate(parent)
    if place is None or not place.folders:
        return None
    try:
        spec = importlib.machinery.PathFinder.find_spec(module, list(place.folders))
    except KeyError:
        spec = None  # a folder without ``__init__.py``, which Python finds only in an imported package
    if spec is not None and spec.origin is not None:
        return _location(module, spec)
    own = module.rpartition(".")[2]
    folders = tuple(str(path) for path in (Path(folder, own) for folder in place.folders) if path.is_dir())
    return Location(None, folders, module) if folders else None


def is_installed(place: Location) -> bool:
    """Whether a module belongs to an installed package or to Python rather than to the user."""
    paths = [place.file] if place.file is not None else [Path(folder) for folder in place.folders]
    return any(
        {"site-packages", "dist-packages"} & set(path.parts)
        or any(
            path.is_relative_to(folder) or path.resolve().is_relative_to(folder)
            for folder in installed_folders()
        )
        for path in paths
    )


def is_standard(top: str) -> bool:
    """Whether a top-level module is part of Python and not shadowed by one of the user's modules."""
    place = locate(top)
    if place is None:
        return top in sys.stdlib_module_names
    paths = [place.file] if place.file is not None else [Path(folder) for folder in place.folders]
    return not any({"site-packages", "dist-packages"} & set(path.parts) for path in paths) and all(
        path.is_relative_to(_standard_library()) or path.resolve().is_relative_to(_standard_library())
        for path in paths
    )


def _find(module: str, search: list[str] | None) -> importlib.machinery.ModuleSpec | None:
    spec = importlib.machinery.PathFinder.find_spec(module, search)
    if spec is not None:
        return spec
    for finder in sys.meta_path:  # editable installs add their own finders
        found = finder.find_spec(module, search) if hasattr(finder, "find_spec") else None
        if found is not None:
            return found
    return None


def _location(module: str, spec: importlib.machinery.ModuleSpec | None) -> Location | None:
    if spec is None:
        return None
    folders = tuple(spec.submodule_search_locations or ())
    has_file = spec.origin is not None and spec.has_location
    if not has_file and not folders:
        return None
    package = module if folders else module.rpartition(".")[0]
    return Location(Path(spec.origin) if has_file and spec.origin else None, folders, package)


@cache
def _standard_library() -> Path:
    return Path(sysconfig.get_path("stdlib")).resolve()


@cache
def installed_prefixes() -> tuple[str, ...]:
    """Return how the names of most installed files begin; links may lead to others."""
    named = (sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib"))
    return tuple({f"{folder}{os.sep}" for folder in [*map(str, installed_folders()), *named]})


@cache
def installed_folders() -> tuple[Path, ...]:
    """Return the folders of what is installed, the standard library included."""
    return tuple(Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib"))
