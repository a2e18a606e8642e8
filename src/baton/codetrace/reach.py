"""Walk from a task's function to all first-party definitions that it can reach.

Names are resolved from sources, without running anything.  If a name cannot be resolved, the whole module
counts, and the reason is kept for ``explain``.  What runs when a module is imported counts too, if it does
more than bind names.  What cannot be found by reading is observed while a task runs
(`baton.codetrace.observing`).
"""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from baton.codetrace.changes import CHANGING, READING, is_harmless
from baton.codetrace.modules import Location, is_installed, is_standard, locate
from baton.codetrace.packages import version_of
from baton.codetrace.summary import COMPUTED_IMPORT, EMPTY, Definition, DefinitionText, ModuleSummary

WHOLE = "*"
"""Replaces the name of a definition if the whole module counts."""

ON_IMPORT = "(import)"
"""Replaces the name of a definition for code that runs on import."""

ORDER = "(imports)"
"""Replaces the name of a definition for the order of imports."""

NOTES = "(notes)"
"""Suffix of a part that covers docstrings and type hints, if they can be read."""

NEVER_SAME = "no source "
EDITED = f"{NEVER_SAME}of what runs "
"""Prefix of the digest of an unreadable part: it equals no other, so nothing is cached."""

_BOUND = "-> "
"""Prefix of the digest of a name that an import binds."""

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
        "__file__",
        "__cached__",
        "__dict__",
    ]
)
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
        What could not be followed, each with the module that therefore counts as a whole.
    modules : tuple of str
        The first-party modules that are imported on the way.
    computes_imports : bool
        Whether a module may be imported or looked up by a computed name.
    outside : dict of str to str
        Names used from other packages and the standard library, by dotted name, with their users.
    """

    parts: dict[str, str]
    packages: dict[str, str]
    unresolved: tuple[str, ...]
    modules: tuple[str, ...] = ()
    computes_imports: bool = False
    outside: Mapping[str, str] | None = None

    @property
    def is_known(self) -> bool:
        """Whether everything could be read, so that the result can be cached."""
        return not any(digest.startswith(NEVER_SAME) for digest in self.parts.values())


@dataclass(frozen=True, slots=True)
class ReadModule:
    """What was read of one module: its summary, or the digest of a file that is not Python source.

    `texts` are the sources of its definitions if it was parsed now, None if its summary was cached.
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
        The module where the walk starts; its top-level package is always first-party, except that of a
        pipeline that baton brings: there only the module itself is.
    first_party : dict of str to bool
        What earlier walks from the same package found about top-level modules.
    """

    def __init__(
        self, read: Callable[[str], ReadModule], home_module: str, first_party: dict[str, bool]
    ) -> None:
        self._read = read
        self._home = home_module
        self._parts: dict[str, str] = {}
        self._packages: dict[str, str] = {}
        self._unresolved: set[str] = set()
        self._outside: dict[str, str] = {}
        self._waiting: list[tuple[str, str, tuple[str, ...]]] = []
        self._seen: set[tuple[str, str, tuple[str, ...]]] = set()
        self._loaded: dict[str, ModuleSummary] = {}
        self._acting: dict[tuple[str, str], bool] = {}
        self._finds_subclasses = False
        self._reads_notes = False
        self._computes_imports = False
        self._user = ""
        self._first_party = first_party

    def result(self) -> Reach:
        """Return what the walk has found so far."""
        for module in self._loaded:
            self._add_order(module)
        return Reach(
            dict(sorted({**self._parts, **(self._notes() if self._reads_notes else {})}.items())),
            dict(sorted(self._packages.items())),
            tuple(sorted(self._unresolved)),
            tuple(sorted(self._loaded)),
            self._computes_imports,
            self._outside,
        )

    def add(self, module: str, name: str) -> None:
        """Add a definition, or a whole module, and everything reached from it."""
        if name == WHOLE:
            self._add_whole(module, f"{module} was used through a computed name")
        elif name == ON_IMPORT:
            self._load(module)
        else:
            self._enter(module, name, ())
        while self._waiting:
            while self._waiting:
                self._visit(*self._waiting.pop())
            for hidden_module, hidden in list(self._hidden()):
                self._enter(hidden_module, hidden, ())

    def _enter(self, module: str, name: str, rest: tuple[str, ...]) -> None:
        """Record that ``module.name`` is reached; `rest` are attributes after it."""
        if (module, name, rest) not in self._seen:
            self._seen.add((module, name, rest))
            self._waiting.append((module, name, rest))

    def _visit(self, module: str, name: str, rest: tuple[str, ...]) -> None:
        label = self._user = f"{module}:{name}"
        self._load(module)
        found = self._read(module)
        if found.summary is None:
            self._add_unreadable(module, found.digest)
            return
        summary = found.summary
        if name in summary.definitions:
            if label not in self._parts:
                self._add_definition(module, name, summary.definitions[name])
        elif name in summary.imports:
            hiding = [star for star in self._stars(module) if self._is_first_party(star)]
            hiding = [star for star in hiding if self._provides(star, name)]
            if summary.imports[name]:
                self._parts[label] = _BOUND + " ".join([*summary.imports[name], *hiding])
            for star in hiding:
                self._enter(star, name, rest)
            for target in summary.imports[name]:
                self._follow_import(module, target, rest)
        elif self._is_submodule(module, name):
            self._enter_module(f"{module}.{name}", rest)
        elif name == "__doc__":
            self._parts[f"{module}:{NOTES}"] = summary.notes
        elif (
            not self._enter_star(module, name, rest)
            and not hasattr(builtins, name)
            and name not in _MODULE_NAMES
        ):
            self._add_whole(module, f"{label} is not defined in the source")

    def _add_definition(self, module: str, name: str, definition: Definition) -> None:
        label = self._user = f"{module}:{name}"
        self._parts[label] = definition.digest
        self._add_features(module, label, definition)
        for ref in definition.refs:
            self._follow(module, ref)
        for star in self._stars(module):  # may shadow the name
            if self._is_first_party(star) and self._provides(star, name):
                self._enter(star, name, ())

    def _add_features(self, module: str, label: str, definition: Definition) -> None:
        self._finds_subclasses |= definition.finds_subclasses
        self._reads_notes |= definition.reads_notes
        followed = [what for what in definition.dynamic if what not in (COMPUTED_IMPORT, "import_module")]
        if followed:
            self._add_whole(module, f"{label} uses {', '.join(followed)}")
        if COMPUTED_IMPORT in definition.dynamic and not self._computes_imports:
            self._computes_imports = True
            self._unresolved.add(
                f"{label} finds a module by a computed name: every own module that was loaded counts"
            )

    def _follow(self, module: str, ref: str) -> None:
        if ref.startswith("!"):
            self._load(ref[1:])
        elif ref.startswith("@"):
            self._follow_dotted(tuple(ref[1:].split(".")))
        else:
            name, *rest = ref.split(".")
            self._enter(module, name, tuple(rest))

    def _follow_import(self, importer: str, target: str, rest: tuple[str, ...]) -> None:
        module, _, name = target.partition(":")
        if not module:
            return
        if not self._is_first_party(module):
            self._add_package(".".join([module, *([name] if name else []), *rest]))
        elif name and module == importer and self._is_submodule(module, name):
            self._enter_module(f"{module}.{name}", rest)
        elif name:
            self._enter_module(module, (name, *rest))
        else:
            self._enter_module(module, rest)

    def _follow_dotted(self, dotted: tuple[str, ...]) -> None:
        if not self._is_first_party(dotted[0]):
            self._add_package(".".join(dotted))
        else:
            self._enter_module(dotted[0], dotted[1:])

    def _enter_module(self, module: str, names: tuple[str, ...]) -> None:
        """Add ``module.names``; a module used as a value counts as a whole."""
        module, names = self._descend(module, names)
        if names:
            self._enter(module, names[0], names[1:])
        else:
            self._add_whole(module, f"{module} is used as a value")

    def _descend(self, module: str, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        while names and self._is_submodule(module, names[0]) and not self._defines(module, names[0]):
            module, names = f"{module}.{names[0]}", names[1:]
        return module, names

    def _add_whole(self, module: str, why: str) -> None:
        label = f"{module}:{WHOLE}"
        if label in self._parts:
            return
        self._unresolved.add(f"{why}{_COUNTS_WHOLE.format(module)}")
        self._load(module)
        summary = self._read(module).summary
        if summary is None:
            self._add_unreadable(module, self._read(module).digest)
            return
        digests = sorted(f"{name}={part.digest}" for name, part in summary.definitions.items())
        digests += [summary.on_import_digest, *(f"{n}={t}" for n, t in sorted(summary.imports.items()))]
        self._parts[label] = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:32]
        for name in summary.definitions:
            self._enter(module, name, ())
        for targets in summary.imports.values():
            for target in targets:
                self._follow_import(module, target, ())
        for star in summary.stars:
            if self._is_first_party(star):
                self._add_whole(star, f"all of {module} imports all of {star}")
            else:
                self._add_package(star)

    def _add_unreadable(self, module: str, digest: str) -> None:
        self._parts[f"{module}:{WHOLE}"] = digest
        if digest.startswith(EDITED):
            self._unresolved.add(
                f"{module} may have been edited after its import and before the project was opened: "
                "nothing that uses it is cached until it is imported again"
            )
        elif digest.startswith(NEVER_SAME):
            self._unresolved.add(f"{module} has no readable source: nothing that uses it is cached")
        else:
            self._unresolved.add(f"{module} cannot be read as Python: all of its file counts")

    def _load(self, module: str) -> None:
        """Add what runs when a module is imported: its own statements, its parents and its imports."""
        if module in self._loaded:
            return
        waiting = [module]
        found_now = []
        while waiting:
            name = waiting.pop()
            if not name or name in self._loaded or not self._is_first_party(name):
                continue
            found = self._read(name)
            if found.place is None:
                continue  # not the name of a module
            self._loaded[name] = found.summary or EMPTY
            found_now.append(name)
            waiting.append(name.rpartition(".")[0])
            if found.summary is not None:
                waiting += found.summary.loads
        for name in found_now:
            self._add_acts(name)

    def _add_acts(self, module: str) -> None:
        acts = self._acts_of(module)
        if not acts:
            return
        label = f"{module}:{ON_IMPORT}"
        order = []
        for act in acts:
            order.append(act.name or act.digest)
            if act.name:
                self._parts[f"{module}:{act.name} {ON_IMPORT}"] = act.digest
        self._parts[label] = hashlib.sha256("\n".join(order).encode()).hexdigest()[:32]
        for act in acts:
            self._user = label
            self._add_features(module, label, act)
            for ref in act.refs:
                self._follow(module, ref)

    def _acts_of(self, module: str) -> list[Definition]:
        """Return a module's statements that have side effects on import."""
        return [one for one in self._loaded[module].on_import if self._does_act(module, one)]

    def _does_act(self, module: str, definition: Definition) -> bool:
        if definition.acts:
            return True
        calls = [call for call in definition.calls if call[0] not in "?<"]
        declared = [self._is_baton(module, call) for call in calls]
        if calls and all(declared):
            return False  # ``dag = Dag(...)`` only declares
        return any(self._acts(module, call) for call in definition.calls)

    def _is_baton(self, module: str, ref: str) -> bool:
        return all(isinstance(t, str) and t.split(".")[0] == "baton" for t in self._targets(module, ref))

    def _acts(self, module: str, ref: str) -> bool:
        """Whether calling a reference may have side effects."""
        known = self._acting.get((module, ref))
        if known is not None:
            return known
        self._acting[module, ref] = False  # a recursive function acts if anything else in it does
        mark = ref[0] if ref[0] in "?<" else ""
        targets = self._targets(module, ref.lstrip("?<"))
        self._acting[module, ref] = acts = any(self._target_acts(target, mark) for target in targets)
        return acts

    def _target_acts(self, target: str | tuple[str, str, tuple[str, ...]], mark: str) -> bool:
        """Whether a target has side effects: called, passed to a call (``?``), or as a base class (``<``)."""
        if isinstance(target, str):
            return not mark and not is_harmless(target)
        module, name, rest = target
        summary = self._read(module).summary
        definition = summary.definitions.get(name) if summary is not None else None
        if definition is None:
            return not mark
        if mark == "<":
            return definition.finds_subclasses
        if rest and rest[-1] == "register":
            return True  # unknown effects of another package's base class
        if definition.is_variable:
            return not mark and not (rest and rest[-1] in READING | CHANGING)
        return definition.acts or any(self._acts(module, call) for call in definition.calls)

    def _targets(
        self, module: str, ref: str, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> Iterator[str | tuple[str, str, tuple[str, ...]]]:
        """Yield what a reference means: definitions of this project, or dotted names of other packages."""
        if (module, ref) in seen:
            return
        seen |= {(module, ref)}
        if ref.startswith("@"):
            top, *names = ref[1:].split(".")
            yield from self._dotted_targets(top, tuple(names), seen)
            return
        name, *rest = ref.split(".")
        summary = self._read(module).summary
        if summary is None or name in summary.definitions:
            yield module, name, tuple(rest)
        elif name in summary.imports:
            for target in summary.imports[name]:
                source, _, inner = target.partition(":")
                yield from self._dotted_targets(source, (*([inner] if inner else []), *rest), seen)
        else:
            stars = [star for star in self._stars(module) if self._may_provide(star, name)]
            for star in stars:
                yield from self._dotted_targets(star, (name, *rest), seen)
            if not stars:
                yield f"builtins.{ref}"

    def _dotted_targets(
        self, module: str, names: tuple[str, ...], seen: frozenset[tuple[str, str]]
    ) -> Iterator[str | tuple[str, str, tuple[str, ...]]]:
        if not self._is_first_party(module):
            yield ".".join((module, *names))
            return
        module, names = self._descend(module, names)
        if names:
            yield from self._targets(module, ".".join(names), seen)

    def _add_order(self, module: str) -> None:
        """Count the order in which a module imports modules that act on import."""
        loads = [name for name in self._loaded[module].loads if name in self._loaded]
        if loads:
            acting = " ".join(
                name for name in loads if self._acts_on_import(name, set()) or self._is_in_cycle(name)
            )
            self._parts[f"{module}:{ORDER}"] = hashlib.sha256(acting.encode()).hexdigest()[:32]

    def _acts_on_import(self, module: str, seen: set[str]) -> bool:
        if module in seen or module not in self._loaded:
            return False
        seen.add(module)
        return bool(self._acts_of(module)) or any(
            self._acts_on_import(name, seen) for name in self._loaded[module].loads
        )

    def _is_in_cycle(self, module: str) -> bool:
        """Whether a module is in an import cycle, so that the order of imports matters."""
        seen: set[str] = set()
        waiting = list(self._loaded[module].loads)
        while waiting:
            name = waiting.pop()
            if name == module:
                return True
            if name not in seen and name in self._loaded:
                seen.add(name)
                waiting += self._loaded[name].loads
        return False

    def _notes(self) -> dict[str, str]:
        """Return the digests of the docstrings and type hints of everything that is reached."""
        found = {f"{module}:{NOTES}": summary.notes for module, summary in self._loaded.items()}
        for label in self._parts:
            module, _, name = label.partition(":")
            summary = self._read(module).summary
            if summary is not None and name in summary.definitions:
                found[f"{label} {NOTES}"] = summary.definitions[name].notes
        return found

    def _hidden(self) -> Iterator[tuple[str, str]]:
        """Yield the classes that can be found through a reached base class."""
        if not self._finds_subclasses:
            return
        for module, summary in self._loaded.items():
            for name, bases in summary.bases.items():
                if f"{module}:{name}" in self._parts:
                    continue
                for base in bases:
                    named = [t for t in self._targets(module, base) if not isinstance(t, str)]
                    if any(f"{target[0]}:{target[1]}" in self._parts for target in named):
                        yield module, name

    def _enter_star(self, module: str, name: str, rest: tuple[str, ...]) -> bool:
        """Follow a name through ``from ... import *``; return whether it may come from one."""
        providers = [star for star in self._stars(module) if self._may_provide(star, name)]
        if not providers:
            return False
        self._parts[f"{module}:{name}"] = _BOUND + " ".join(f"{star}:*" for star in providers)
        own = [star for star in providers if self._is_first_party(star)]
        for star in own:
            summary = self._read(star).summary
            if summary is not None and "__all__" in summary.definitions:
                self._enter(star, "__all__", ())
            self._enter_module(star, (name, *rest))
        for star in providers:
            if star not in own:
                self._add_package(f"{star}.{name}")
        return bool(own) or not hasattr(builtins, name)

    def _stars(self, module: str) -> tuple[str, ...]:
        summary = self._read(module).summary
        return summary.stars if summary is not None else ()

    def _may_provide(self, star: str, name: str) -> bool:
        return not self._is_first_party(star) or self._provides(star, name)

    def _provides(self, module: str, name: str, seen: frozenset[str] = frozenset()) -> bool:
        summary = self._read(module).summary
        if summary is None or module in seen:
            return summary is None
        if name in summary.definitions or name in summary.imports:
            return True
        return any(
            not self._is_first_party(star) or self._provides(star, name, seen | {module})
            for star in summary.stars
        )

    def _defines(self, module: str, name: str) -> bool:
        summary = self._read(module).summary
        if summary is None or (name not in summary.definitions and name not in summary.imports):
            return False
        # ``from . import name`` in a package defines only the submodule itself.
        return name in summary.definitions or summary.imports[name] != (f"{module}:{name}",)

    def _is_submodule(self, module: str, name: str) -> bool:
        place = self._read(module).place
        return place is not None and bool(place.folders) and self._read(f"{module}.{name}").place is not None

    def _is_first_party(self, module: str) -> bool:
        top = module.partition(".")[0]
        if top == "baton":
            return module == self._home
        if top not in self._first_party:
            self._first_party[top] = top == self._home.partition(".")[0] or is_own(top)
        return self._first_party[top]

    def _add_package(self, dotted: str) -> None:
        top = dotted.partition(".")[0]
        if not top:
            return
        self._outside.setdefault(dotted, self._user)
        if not is_standard(top) and top not in self._packages:
            self._packages[top] = version_of(top)


def is_own(top: str) -> bool:
    """Whether a top-level module is the user's own: not baton, Python's or installed."""
    if not top or top == "baton":
        return False
    place = locate(top)
    return place is not None and not is_installed(place)


def counts_whole(unresolved: Iterable[str], module: str) -> str:
    """Return the `Reach.unresolved` reason why a module counts as a whole, or an empty text."""
    return next((one for one in unresolved if one.endswith(_COUNTS_WHOLE.format(module))), "")
