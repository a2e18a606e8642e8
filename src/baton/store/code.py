"""The code that a task can reach: its function and every first-party definition reached from it.

Names are resolved from sources, without running anything.  Where a name cannot be resolved the
whole module counts, and the finding is named so that ``explain`` can say it.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib.machinery
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from baton.store.packages import version_of
from baton.store.source import SUMMARY_VERSION, ModuleSummary, summarise

WHOLE = "*"
"""Stands for the name of a definition where the whole module counts."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a function can reach.

    Parameters
    ----------
    parts : dict of str to str
        Digest of each definition, by ``"package.module:name"``.
    packages : dict of str to str
        Version of each third-party package imported on the way, by import name.
    unresolved : tuple of str
        What could not be followed, each with the module that counts whole because of it.
    """

    parts: dict[str, str]
    packages: dict[str, str]
    unresolved: tuple[str, ...]


class CodeReader:
    """Follows references through sources, remembering what it parsed.

    Parameters
    ----------
    memory : Path or None
        Folder in which summaries are remembered by content; None to remember nothing.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._summaries: dict[str, ModuleSummary | None] = {}
        self._reached: dict[str, Reach] = {}

    def reach(self, function: Callable[..., Any]) -> Reach:
        """Return what `function`, defined at the top of its module, can reach."""
        name = function.__qualname__.split(".")[0]
        label = f"{function.__module__}:{name}"
        if label not in self._reached:
            walk = _Walk(self, function.__module__)
            walk.enter(function.__module__, name)
            self._reached[label] = walk.result()
        return self._reached[label]

    def summary(self, module: str) -> ModuleSummary | None:
        """Return the summary of a module, or None where it has no readable source."""
        if module not in self._summaries:
            self._summaries[module] = self._read(module)
        return self._summaries[module]

    def _read(self, module: str) -> ModuleSummary | None:
        path = source_path(module)
        if path is None:
            return None
        try:
            source = path.read_bytes()
        except OSError:
            return None
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        label = f"{SUMMARY_VERSION}\0{sys.version_info[:2]}\0{package}\0".encode()
        remembered = self._memory / hashlib.sha256(label + source).hexdigest()[:40] if self._memory else None
        if remembered is not None:
            try:
                return msgspec.json.decode(remembered.read_bytes(), type=ModuleSummary)
            except (OSError, msgspec.MsgspecError):
                pass  # not remembered, or torn: parse it again
        try:
            summary = summarise(source.decode("utf-8"), package)
        except (SyntaxError, UnicodeDecodeError):
            return None
        if remembered is not None:
            _remember(remembered, msgspec.json.encode(summary))
        return summary


class _Walk:
    """One walk over definitions, breadth first."""

    def __init__(self, reader: CodeReader, home_module: str) -> None:
        self._reader = reader
        self._home = home_module.partition(".")[0]
        self._parts: dict[str, str] = {}
        self._packages: dict[str, str] = {}
        self._unresolved: set[str] = set()

    def result(self) -> Reach:
        return Reach(
            dict(sorted(self._parts.items())),
            dict(sorted(self._packages.items())),
            tuple(sorted(self._unresolved)),
        )

    def enter(self, module: str, name: str, rest: tuple[str, ...] = ()) -> None:
        """Take in the definition `name` of a first-party `module`; `rest` are attributes after it."""
        label = f"{module}:{name}"
        if label in self._parts:
            return
        summary = self._reader.summary(module)
        if summary is None:
            self._parts[label] = "no source"
            self._unresolved.add(f"{module} has no readable source")
            return
        definition = summary.definitions.get(name)
        if definition is not None:
            self._parts[label] = definition.digest
            if definition.dynamic:
                used = ", ".join(definition.dynamic)
                self.take_whole(module, f"{label} uses {used}")
            for ref in definition.refs:
                self.follow(module, ref)
        elif name in summary.imports:
            self.follow_import(summary.imports[name], rest)
        elif source_path(f"{module}.{name}") is not None:
            self.enter_module(f"{module}.{name}", rest)
        elif summary.stars:
            self._enter_star(module, summary, name, rest)
        elif not hasattr(builtins, name) and name not in ("__file__", "__name__", "__doc__"):
            self.take_whole(module, f"{label} is not defined in the source")

    def follow(self, module: str, ref: str) -> None:
        if ref.startswith("@"):
            self._follow_dotted(tuple(ref[1:].split(".")))
            return
        name, *rest = ref.split(".")
        self.enter(module, name, tuple(rest))

    def follow_import(self, target: str, rest: tuple[str, ...]) -> None:
        module, _, name = target.partition(":")
        if not module:
            return
        if not self._is_first_party(module):
            self._take_package(module)
        elif name:
            self.enter_module(module, (name, *rest))
        else:
            self.enter_module(module, rest)

    def enter_module(self, module: str, names: tuple[str, ...]) -> None:
        """Take in ``module.names``; a module used as a value counts whole."""
        if names and source_path(f"{module}.{names[0]}") is not None and not self._defines(module, names[0]):
            self.enter_module(f"{module}.{names[0]}", names[1:])
        elif names:
            self.enter(module, names[0], names[1:])
        else:
            self.take_whole(module, f"{module} is used as a value")

    def take_whole(self, module: str, why: str) -> None:
        label = f"{module}:{WHOLE}"
        if label in self._parts:
            return
        self._unresolved.add(f"{why}: all of {module} counts")
        summary = self._reader.summary(module)
        if summary is None:
            self._parts[label] = "no source"
            return
        digests = sorted(f"{name}={part.digest}" for name, part in summary.definitions.items())
        self._parts[label] = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:32]
        for name in summary.definitions:
            self.enter(module, name)
        for target in summary.imports.values():
            imported, _, attribute = target.partition(":")
            if not imported:
                continue
            if not self._is_first_party(imported):
                self._take_package(imported)
            elif attribute:
                self.enter_module(imported, (attribute,))

    def _enter_star(self, module: str, summary: ModuleSummary, name: str, rest: tuple[str, ...]) -> None:
        for star in summary.stars:
            if not self._is_first_party(star):
                self._take_package(star)
            elif self._defines(star, name):
                self.enter(star, name, rest)

    def _follow_dotted(self, dotted: tuple[str, ...]) -> None:
        top = dotted[0]
        if not self._is_first_party(top):
            self._take_package(top)
            return
        module, names = top, dotted[1:]
        while names and not self._defines(module, names[0]) and source_path(f"{module}.{names[0]}") is not None:
            module, names = f"{module}.{names[0]}", names[1:]
        self.enter_module(module, names)

    def _defines(self, module: str, name: str) -> bool:
        summary = self._reader.summary(module)
        return summary is not None and (name in summary.definitions or name in summary.imports)

    def _is_first_party(self, module: str) -> bool:
        top = module.partition(".")[0]
        return top == self._home or is_first_party(top)

    def _take_package(self, module: str) -> None:
        top = module.partition(".")[0]
        if top and top not in sys.stdlib_module_names and top not in self._packages:
            self._packages[top] = version_of(top)


@cache
def source_path(module: str) -> Path | None:
    """Return where the source of a module lies, without importing it; None where there is none."""
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if isinstance(file, str) and file.endswith(".py"):
        return Path(file)
    parent, _, _ = module.rpartition(".")
    search: list[str] | None = None
    if parent:
        parent_path = source_path(parent)
        if parent_path is None or parent_path.name != "__init__.py":
            return None
        search = [str(parent_path.parent)]
    spec = importlib.machinery.PathFinder.find_spec(module, search)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


@cache
def is_first_party(top: str) -> bool:
    """Whether a top-level module is the user's own: neither installed, nor Python's, nor baton."""
    if top == "baton" or top in sys.stdlib_module_names:
        return False
    path = source_path(top)
    if path is None:
        return False
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")]
    return not any(path.resolve().is_relative_to(folder) for folder in installed)


def _remember(path: Path, content: bytes) -> None:
    from baton.core.files import write_atomically

    try:
        write_atomically(path, content)
    except OSError:
        return  # a read-only folder: the summary is made again next time
