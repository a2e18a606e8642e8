"""Import the user's modules so that the code that runs is the code that was read, and record lookups.

Python checks the age of compiled code by the source's size and its time in whole seconds, so after two
edits of equal length within a second it runs the old code.  This loader compares the content instead, and
keeps the source that it ran.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from baton.codetrace.modules import Location, installed_prefixes, is_installed


@dataclass(frozen=True, slots=True)
class LoadedSource:
    """What one module was loaded from.

    Parameters
    ----------
    file : str
        Its source file.
    content : bytes
        The source that was compiled.
    code : types.CodeType
        The compiled module.
    """

    file: str
    content: bytes
    code: types.CodeType


LOADED: dict[str, LoadedSource] = {}
"""The user's modules that this process imported, by name."""

BATONS_OWN: set[str] = set()
"""The top-level modules loaded before any pipeline: those that baton itself uses."""

_homes: set[str] = set()
_search_path: set[str] = set()
"""The search path for modules before any task runs."""


def follow_imports(home_module: str) -> None:
    """From now on, import the user's modules with this module's loader.

    Parameters
    ----------
    home_module : str
        A module that is always the user's own, with its whole top-level package unless that is baton.
    """
    top = home_module.partition(".")[0]
    if top != "baton":
        _homes.add(top)
    if not any(isinstance(finder, OwnFinder) for finder in sys.meta_path):
        # Asked for the first time it imports a module of its own, which would come back to the finder.
        installed_prefixes()
        BATONS_OWN.update(name.partition(".")[0] for name in sys.modules)
        sys.meta_path.insert(0, OwnFinder())
        importlib.invalidate_caches()


def keep_search_path() -> None:
    """Record the search path after loading the pipeline; other processes lack what tasks add to it."""
    _search_path.update(str(Path(entry or ".").resolve()) for entry in sys.path)


def is_findable(module: str) -> bool:
    """Whether another process that loads the pipeline can import a module by name."""
    top = module.partition(".")[0]
    if is_home(top):
        return True
    loaded = sys.modules.get(top)
    places = [getattr(loaded, "__file__", None) or "", *getattr(loaded, "__path__", ())]
    folders = [Path(place).parent for place in places if place]
    if getattr(loaded, "__path__", None) is not None and getattr(loaded, "__file__", None):
        folders = [Path(str(loaded.__file__)).parent.parent]  # type: ignore[union-attr]
    named_so = Path(str(getattr(loaded, "__file__", "") or f"{top}.py")).stem in (top, "__init__")
    return named_so and any(str(folder.resolve()) in _search_path for folder in folders)


def is_surely_installed(file: str) -> bool:
    """Whether a file is installed and no home's, going by its name alone; False says nothing."""
    return file.startswith(installed_prefixes()) and not any(f"{os.sep}{home}" in file for home in _homes)


def is_home(top: str) -> bool:
    """Whether a top-level module belongs to a pipeline that this process loaded."""
    return top in _homes


class OwnLoader(importlib.machinery.SourceFileLoader):
    """Loads a source file; reuses compiled code only for the same content."""

    def __init__(self, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._content: bytes | None = None

    def path_stats(self, path: str) -> dict[str, Any]:
        """Return a digest of the content instead of the file's time."""
        self._content = super().get_data(path)
        return {"mtime": zlib.crc32(self._content), "size": len(self._content)}

    def get_data(self, path: str) -> bytes:
        """Return a file's content; for the source, the content that `path_stats` read."""
        if path == self.path and self._content is not None:
            return self._content
        return super().get_data(path)

    def get_code(self, fullname: str) -> types.CodeType | None:
        """Return the module's code, and keep it with its source."""
        code = super().get_code(fullname)
        if code is not None and self._content is not None:
            LOADED[fullname] = LoadedSource(str(self.path), self._content, code)
        return code

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the module and observe it."""
        with hooks.while_imported(module.__name__):
            super().exec_module(module)


class OwnFinder:
    """Asks the other finders, and loads the user's own source files with `OwnLoader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the first result of the other finders."""
        found = None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            found = finder.find_spec(fullname, path, target)
            if found is not None:
                break
        hooks.looked_up(fullname, found)
        if found is not None and type(found.loader) is importlib.machinery.SourceFileLoader:
            if fullname in hooks.wrapped_modules:
                found.loader = cast("importlib.abc.Loader", _WrappingLoader(found.loader))
            elif _is_own(fullname, found):
                found.loader = OwnLoader(found.loader.name, str(found.loader.path))
        return found

    def find_distributions(self, _context: Any = None) -> list[Any]:
        """Return nothing: other finders know the installed distributions."""
        return []


class _WrappingLoader:
    """Loads a library that reads files in native code, and observes its calls."""

    def __init__(self, loader: importlib.machinery.SourceFileLoader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        """Leave this to the library's own loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the library's module, then wrap its functions."""
        self._loader.exec_module(module)
        hooks.wrap(module)


@dataclass
class Hooks:
    """Callbacks of `baton.codetrace.observing` for imports; no-ops until it is in use."""

    while_imported: Callable[[str], AbstractContextManager[None]] = lambda _name: nullcontext()
    looked_up: Callable[[str, importlib.machinery.ModuleSpec | None], None] = lambda _name, _spec: None
    wrapped_modules: frozenset[str] = frozenset()
    wrap: Callable[[types.ModuleType], None] = lambda _module: None


hooks = Hooks()


def _is_own(fullname: str, spec: importlib.machinery.ModuleSpec) -> bool:
    top = fullname.partition(".")[0]
    if top == "baton" or spec.origin is None:
        return False
    if is_home(top):
        return True
    return not is_surely_installed(spec.origin) and not is_installed(Location(Path(spec.origin), (), ""))
