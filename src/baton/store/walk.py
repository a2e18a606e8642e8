"""The walk from a task's function over every first-party definition reached from it.

Names are resolved from sources, without running anything.  Where a name cannot be resolved the
whole module counts, and the finding is named so that ``explain`` can say it.  What runs when a
module is imported counts too, as far as it does more than bind names.
"""

from __future__ import annotations

import builtins
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from baton.store.modules import Location, is_installed, locate, modules_below
from baton.store.packages import version_of
from baton.store.summary import COMPUTED_IMPORT, EMPTY, READS_FILES, DefinitionText, ModuleSummary

WHOLE = "*"
"""Stands for the name of a definition where the whole module counts."""

ON_IMPORT = "(import)"
"""Stands for the name of a definition where what runs on import counts."""

NEVER_SAME = "no source "
"""Begins the digest of a part that cannot be read: it equals no other, so nothing is remembered."""

_MODULE_NAMES = frozenset(
    [
        "__name__",
        "__doc__",
        "__package__",
        "__spec__",
        "__loader__",
        "__path__",
        "__builtins__",
        "__annotations__",
        "__all__",
        "__class__",
    ]
)
_DATA_LIMIT = 64 << 20
_COUNTS_WHOLE = ": all of {} counts"


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

    @property
    def is_known(self) -> bool:
        """Whether everything could be read, so that a result can be remembered."""
        return not any(digest.startswith(NEVER_SAME) for digest in self.parts.values())


@dataclass(frozen=True, slots=True)
class ReadModule:
    """What was read of one module: its summary, or the digest of what is no Python source.

    `texts` are those of its definitions where it was parsed now, None where its summary was remembered.
    """

    identity: object
    place: Location | None
    summary: ModuleSummary | None
    digest: str = ""
    texts: Mapping[str, DefinitionText] | None = None


class Walk:
    """One walk over definitions.

    Parameters
    ----------
    read : callable
        Returns what can be read of a module.
    home_module : str
        The module where the walk begins; its top-level package is first-party wherever it lies.
    first_party : dict of str to bool
        What is known already of top-level modules, from walks that began in the same package.
    """

    def __init__(
        self, read: Callable[[str], ReadModule], home_module: str, first_party: dict[str, bool]
    ) -> None:
        self._read = read
        self._home = home_module.partition(".")[0]
        self._home_module = home_module
        self._parts: dict[str, str] = {}
        self._state: set[str] = set()
        self._packages: dict[str, str] = {}
        self._unresolved: set[str] = set()
        self._waiting: list[tuple[str, str, tuple[str, ...]]] = []
        self._seen: set[tuple[str, str, tuple[str, ...]]] = set()
        self._loaded: dict[str, ModuleSummary] = {}
        self._finds_subclasses = False
        self._first_party = first_party

    def result(self) -> Reach:
        """Return what the walk has found so far."""
        return Reach(
            dict(sorted(self._parts.items())),
            dict(sorted(self._packages.items())),
            tuple(sorted(self._unresolved)),
        )

    def take(self, module: str, name: str) -> None:
        """Take in a definition and everything reached from it."""
        self._enter(module, name, ())
        while self._waiting:
            while self._waiting:
                self._visit(*self._waiting.pop())
            for hidden_module, hidden in list(self._hidden()):
                self._enter(hidden_module, hidden, ())

    def _enter(self, module: str, name: str, rest: tuple[str, ...]) -> None:
        """Note that ``module.name`` is reached; `rest` are attributes after it."""
        if (module, name, rest) not in self._seen:
            self._seen.add((module, name, rest))
            self._waiting.append((module, name, rest))

    def _visit(self, module: str, name: str, rest: tuple[str, ...]) -> None:
        label = f"{module}:{name}"
        self._load(module)
        found = self._read(module)
        if found.summary is None:
            self._take_unreadable(module, found.digest)
            return
        summary = found.summary
        if name in summary.definitions:
            if label not in self._parts:
                self._take_definition(module, name, summary)
        elif name in summary.imports:
            for target in summary.imports[name]:
                self._follow_import(module, target, rest)
        elif self._is_submodule(module, name):
            self._enter_module(f"{module}.{name}", rest)
        elif (
            not self._enter_star(module, name, rest)
            and not hasattr(builtins, name)
            and name not in _MODULE_NAMES
        ):
            self._take_whole(module, f"{label} is not defined in the source")

    def _take_definition(self, module: str, name: str, summary: ModuleSummary) -> None:
        definition = summary.on_import if name == ON_IMPORT else summary.definitions[name]
        if definition is None:
            return
        label = f"{module}:{name}"
        self._parts[label] = definition.digest
        self._finds_subclasses |= definition.finds_subclasses
        if definition.is_state and name != ON_IMPORT:
            self._state.add(label)
        if definition.dynamic:
            self._take_whole(module, f"{label} uses {', '.join(definition.dynamic)}")
        if COMPUTED_IMPORT in definition.dynamic:
            self._take_all_modules(label)
        for ref in definition.refs:
            self._follow(module, ref)
        for star in summary.stars:  # may hide the name
            if self._is_first_party(star) and self._provides(star, name):
                self._enter(star, name, ())

    def _follow(self, module: str, ref: str) -> None:
        if ref.startswith("!"):
            self._load(ref[1:])
        elif ref.startswith("@"):
            self._follow_dotted(tuple(ref[1:].split(".")))
        elif ref == READS_FILES:
            self._take_files(module)
        else:
            name, *rest = ref.split(".")
            self._enter(module, name, tuple(rest))

    def _follow_import(self, importer: str, target: str, rest: tuple[str, ...]) -> None:
        module, _, name = target.partition(":")
        if not module:
            return
        if not self._is_first_party(module):
            self._take_package(module)
        elif name and module == importer and self._is_submodule(module, name):
            self._enter_module(f"{module}.{name}", rest)
        elif name:
            self._enter_module(module, (name, *rest))
        else:
            self._enter_module(module, rest)

    def _follow_dotted(self, dotted: tuple[str, ...]) -> None:
        top = dotted[0]
        if not self._is_first_party(top):
            self._take_package(top)
        else:
            self._enter_module(top, dotted[1:])

    def _enter_module(self, module: str, names: tuple[str, ...]) -> None:
        """Take in ``module.names``; a module used as a value counts whole."""
        while names and self._is_submodule(module, names[0]) and not self._defines(module, names[0]):
            module, names = f"{module}.{names[0]}", names[1:]
        if names:
            self._enter(module, names[0], names[1:])
        else:
            self._take_whole(module, f"{module} is used as a value")

    def _take_whole(self, module: str, why: str) -> None:
        label = f"{module}:{WHOLE}"
        if label in self._parts:
            return
        self._unresolved.add(f"{why}{_COUNTS_WHOLE.format(module)}")
        self._load(module)
        summary = self._read(module).summary
        if summary is None:
            self._take_unreadable(module, self._read(module).digest)
            return
        digests = sorted(f"{name}={part.digest}" for name, part in summary.definitions.items())
        self._parts[label] = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:32]
        for name in summary.definitions:
            self._enter(module, name, ())
        for targets in summary.imports.values():
            for target in targets:
                self._follow_import(module, target, ())
        for star in summary.stars:
            if self._is_first_party(star):
                self._take_whole(star, f"all of {module} imports all of {star}")
            else:
                self._take_package(star)

    def _take_all_modules(self, label: str) -> None:
        """Count every module that a computed name may mean: those of the same top-level package."""
        module = label.partition(":")[0]
        top = module.partition(".")[0]
        place = self._read(top).place
        for found in modules_below(top, place) if place is not None else []:
            self._take_whole(found, f"{label} imports a module by a computed name")

    def _take_unreadable(self, module: str, digest: str) -> None:
        self._parts[f"{module}:{WHOLE}"] = digest
        if digest.startswith(NEVER_SAME):
            self._unresolved.add(f"{module} has no readable source: nothing that uses it is remembered")
        else:
            self._unresolved.add(f"{module} cannot be read as Python: all of its file counts")

    def _take_files(self, module: str) -> None:
        """Count the files beside a module that it names, as it may read them."""
        found = self._read(module)
        if found.summary is None or found.place is None or found.place.file is None:
            return
        folder = found.place.file.parent
        named = False
        for text in found.summary.texts:
            path = folder / text
            if path.is_relative_to(folder) and ".." not in path.parts and path.exists():
                named = True
                digest = self._parts[f"{module}:file {text}"] = _digest_of_files(path)
                if digest.startswith(NEVER_SAME):
                    self._unresolved.add(
                        f"{module} names {text}, which is too large to be part of a cache key"
                    )
        if not named:
            self._unresolved.add(
                f"{module} knows its own place, but names no file beside it that could be counted"
            )

    def _load(self, module: str) -> None:
        """Take in what runs when a module is imported: its own acts, its parents', its imports'."""
        if module in self._loaded:
            return
        waiting = [module]
        while waiting:
            name = waiting.pop()
            if not name or name in self._loaded or not self._is_first_party(name):
                continue
            found = self._read(name)
            self._loaded[name] = found.summary or EMPTY
            if found.place is None:
                continue  # the name of something that is no module
            waiting.append(name.rpartition(".")[0])
            if found.summary is not None:
                waiting += found.summary.loads
                if found.summary.on_import is not None:
                    self._take_definition(name, ON_IMPORT, found.summary)

    def _hidden(self) -> Iterator[tuple[str, str]]:
        """Yield definitions that nobody names: given to a registry, or subclasses found by their base."""
        for module, summary in self._loaded.items():
            for name, makers in summary.makers.items():
                if f"{module}:{name}" not in self._parts and self._shares_state(module, makers):
                    yield module, name
            for name, bases in summary.bases.items():
                if f"{module}:{name}" not in self._parts and self._shares_state(module, bases, of_bases=True):
                    yield module, name

    def _shares_state(self, module: str, refs: tuple[str, ...], *, of_bases: bool = False) -> bool:
        """Whether code that runs on import can put something where the task finds it."""
        walk = Walk(self._read, self._home_module, self._first_party)
        walk._loaded = dict(self._loaded)
        for ref in refs:
            walk._follow(module, ref)
        while walk._waiting:
            walk._visit(*walk._waiting.pop())
        shared = walk._state & self._state
        if of_bases:
            return bool(shared) and (walk._finds_subclasses or self._finds_subclasses)
        made = next(iter(walk._parts), "")  # an instance of a class that the task uses tells it nothing
        return bool(shared - {made}) or (any("regist" in ref for ref in refs) and bool(walk._packages))

    def _enter_star(self, module: str, name: str, rest: tuple[str, ...]) -> bool:
        """Follow a name through ``from ... import *``; say whether it may come from one."""
        summary = self._read(module).summary
        providers = [
            star
            for star in (summary.stars if summary else ())
            if not self._is_first_party(star) or self._provides(star, name)
        ]
        own = [star for star in providers if self._is_first_party(star)]
        for star in own:
            self._enter_module(star, (name, *rest))
        for star in () if own else providers:
            self._take_package(star)
        return bool(providers)

    def _provides(self, module: str, name: str, seen: frozenset[str] = frozenset()) -> bool:
        summary = self._read(module).summary
        if summary is None or module in seen:
            return summary is None
        if name in summary.definitions or name in summary.imports:
            return True
        inner = [star for star in summary.stars if self._is_first_party(star)]
        return any(self._provides(star, name, seen | {module}) for star in inner)

    def _defines(self, module: str, name: str) -> bool:
        summary = self._read(module).summary
        if summary is None or (name not in summary.definitions and name not in summary.imports):
            return False
        # ``from . import name`` in a package defines nothing but the submodule itself.
        return name in summary.definitions or summary.imports[name] != (f"{module}:{name}",)

    def _is_submodule(self, module: str, name: str) -> bool:
        place = self._read(module).place
        return place is not None and bool(place.folders) and self._read(f"{module}.{name}").place is not None

    def _is_first_party(self, module: str) -> bool:
        top = module.partition(".")[0]
        if top not in self._first_party:
            self._first_party[top] = top == self._home or self._is_own(top)
        return self._first_party[top]

    def _is_own(self, top: str) -> bool:
        if not top or top == "baton" or top in sys.stdlib_module_names:
            return False
        place = locate(top)
        return place is not None and not is_installed(place)

    def _take_package(self, module: str) -> None:
        top = module.partition(".")[0]
        if top and top not in sys.stdlib_module_names and top not in self._packages:
            self._packages[top] = version_of(top)


def counts_whole(unresolved: Iterable[str], module: str) -> str:
    """Return the finding of `Reach.unresolved` because of which a module counts whole, else nothing."""
    return next((one for one in unresolved if one.endswith(_COUNTS_WHOLE.format(module))), "")


def _digest_of_files(path: Path) -> str:
    """Return a digest of a file, or of all files in a folder, by name and content."""
    files = (
        [path]
        if path.is_file()
        else sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    )
    sha = hashlib.sha256()
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > _DATA_LIMIT:
            return NEVER_SAME + os.urandom(8).hex()
        content = file.read_bytes()
        sha.update(f"{file.relative_to(path.parent).as_posix()}\0{len(content)}\0".encode() + content)
    return sha.hexdigest()[:32]
