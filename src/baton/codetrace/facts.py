"""Observed facts, as stored with a cached result, and whether they still hold."""

from __future__ import annotations

import hashlib
import importlib.machinery
import inspect
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from types import FunctionType

import msgspec

from baton.codetrace import execution, loading
from baton.codetrace.modules import is_standard, locate
from baton.codetrace.observing import Seen, is_own_file, names_of_variables, seen_at_import, variable
from baton.codetrace.packages import distribution_of, entry_points, name_in, version_of_distribution
from baton.codetrace.reach import ON_IMPORT, ORDER, WHOLE, Reach, is_own
from baton.codetrace.reader import CodeReader, NamedCode
from baton.core.reasons import Cause, CauseKind

_ABSENT = "absent"
_PRESENT = "present"
_UNKNOWN = "unknown"


class Observations(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a result depends on besides its cache key.

    Parameters
    ----------
    roots : tuple of str
        Definitions that ran but were not found by reading, as ``"module:name"``.
    code : dict of str to str
        Digest of each definition reached through `roots` that is not in the key.
    files : dict of str to str
        Digest of each file that was read, ``"absent"`` if missing, ``"size N"`` or ``"present"`` if
        only that was checked; paths inside the project are relative.
    folders : dict of str to str
        Digest of the names in each listed folder, with sizes if they may have been seen.
    links : dict of str to str
        Target of each symbolic link that was read as a link.
    variables : dict of str to str
        Digest of each environment variable that was looked up, ``"absent"`` if not set.
    listed_variables : tuple of str or None
        The names of all variables, if they were iterated.
    packages : dict of str to str
        Version of each distribution from which a module was imported.
    entry_points : dict of str to str, or None
        Digest of the entry points of each distribution, if they were read.
    missing_modules : tuple of str
        Modules that the user's code looked for and did not find.
    """

    roots: tuple[str, ...] = ()
    code: dict[str, str] = {}
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    links: dict[str, str] = {}
    variables: dict[str, str] = {}
    listed_variables: tuple[str, ...] | None = None
    packages: dict[str, str] = {}
    entry_points: dict[str, str] | None = None
    missing_modules: tuple[str, ...] = ()


class NotObservable(Exception):
    """What was observed cannot be stored as facts.

    Parameters
    ----------
    reason : str
        Why, in one line.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def collect(
    seen: Seen, reach: Reach, reader: CodeReader, function: Callable[..., object], project: Path
) -> Observations:
    """Turn what was observed during a task and the import of its modules into facts.

    Parameters
    ----------
    seen : Seen
        Observations of the task run.
    reach : Reach
        What was found by reading.
    reader : CodeReader
        Reads other code that ran.
    function : callable
        The task's function.
    project : Path
        The project's folder.

    Raises
    ------
    NotObservable
        If an observation cannot be stored, such as a file that changed meanwhile.
    """
    by_file = _modules_by_file()
    sources, roots = [seen], _named_modules(seen, reach)
    extended = reader.reach(function, roots) if roots else reach
    while True:  # what a module runs on import may reach other modules
        sources = [seen, *(s for s in map(seen_at_import, extended.modules) if s is not None)]
        remembering = _remembering(extended)
        sources += _of_earlier_tasks(remembering, sources)
        found = roots.union(
            *(
                _roots_on_import(source, extended, reader, by_file)
                if source.module
                else _roots(source, extended, by_file)
                for source in sources
            )
        )
        if found == roots:
            break
        roots = found
        extended = reader.reach(function, roots)
    if not extended.is_known:
        raise NotObservable("; ".join(extended.unresolved))
    if remembering:
        _earlier.append((remembering, seen))
    return Observations(
        roots=tuple(sorted(roots)),
        code={label: digest for label, digest in extended.parts.items() if reach.parts.get(label) != digest},
        files=_files(sources, project),
        folders=_folders(sources, project),
        variables={
            name: _ABSENT if value is None else _short(value.encode("utf-8", "surrogateescape"))
            for source in reversed(sources)
            for name, value in source.variables.items()
        },
        links={
            _name_of(path, project): target
            for source in sources
            for path, target in source.links.items()
            if path not in source.written
        },
        listed_variables=next(
            (tuple(sorted(s.listed_variables)) for s in sources if s.listed_variables is not None), None
        ),
        packages=_packages(sources, extended, reader),
        entry_points=dict(entry_points()) if any(s.reads_entry_points for s in sources) else None,
        missing_modules=tuple(
            sorted({name for source in sources for name in source.missed if _is_missing(name)})
        ),
    )


def changed(
    then: Observations,
    code: Mapping[str, str],
    reader: CodeReader,
    function: Callable[..., object],
    project: Path,
    digests: DigestMemory,
    place_of: Callable[[str], str],
) -> Iterator[Cause]:
    """Yield the facts that no longer hold.

    Parameters
    ----------
    then : Observations
        The facts.
    code : mapping of str to str
        What was found by reading when they were recorded.
    reader, function, project
        As in `collect`.
    digests : DigestMemory
        Digests of files that have not changed since.
    place_of : callable
        Returns the location of a definition in words.
    """
    if then.roots:
        now = reader.reach(function, then.roots).parts
        before = {**code, **then.code}
        for label in sorted({*then.code, *(now.keys() - before.keys())}):
            if now.get(label) != before.get(label):
                yield Cause(
                    CauseKind.CODE,
                    label,
                    before.get(label),
                    now.get(label),
                    place=place_of(label),
                    note="seen to run",
                )
    for name, digest in then.files.items():
        found = _file_now(name, digest, project, digests)
        if found != digest:
            yield Cause(CauseKind.FILE, name, *_presence(digest, found))
    for name, digest in then.folders.items():
        found = _listing(Path(_path_of(name, project)), sized=digest.startswith(_SIZED))
        if found != digest:
            yield Cause(CauseKind.FOLDER, name, *_presence(digest, found))
    for name, digest in then.variables.items():
        value = variable(name)
        found = _ABSENT if value is None else _short(value.encode("utf-8", "surrogateescape"))
        if found != digest:
            yield Cause(CauseKind.VARIABLE, name, *_presence(digest, found))
    if then.listed_variables is not None:
        for name in sorted(names_of_variables() ^ set(then.listed_variables)):
            if name not in then.variables:
                is_new = variable(name) is not None
                yield Cause(
                    CauseKind.VARIABLE, name, None if is_new else _PRESENT, _PRESENT if is_new else None
                )
    for name, target in then.links.items():
        now_target = _target(_path_of(name, project))
        if now_target != target:
            yield Cause(CauseKind.FILE, name, target, now_target)
    for name, version in then.packages.items():
        installed = version_of_distribution(name)
        if installed != version:
            yield Cause(CauseKind.PACKAGE, name, version, installed)
    if then.entry_points is not None:
        offered = entry_points()
        for name in sorted({*offered, *then.entry_points}):
            was, now_offered = then.entry_points.get(name), offered.get(name)
            if was != now_offered:
                yield Cause(CauseKind.PACKAGE, f"{name} (entry points)", was, now_offered)
    for name in then.missing_modules:
        if not _is_missing(name):
            yield Cause(CauseKind.MODULE, name, None, _PRESENT)


class DigestMemory:
    """Digests of files by their state on the file system, so that none is read twice.

    Parameters
    ----------
    file : Path, optional
        Where they are kept for the next process; not kept unless given.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known: dict[str, tuple[str, str]] | None = {} if file is None else None

    def of(self, path: str) -> str:
        """Return the digest of a file's bytes, 32 digits, or ``"absent"`` if it cannot be read."""
        return self.full(path)[:32]

    def full(self, path: str) -> str:
        """Return the digest of a file's bytes, 64 hexadecimal digits, or as `of`."""
        try:
            state = os.stat(path)
        except (OSError, ValueError):
            return _ABSENT
        if not os.path.isfile(path):
            return _PRESENT
        mark = f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
        known = self._read().get(path)
        if known is not None and known[0] == mark and len(known[1]) == _DIGITS:
            return known[1]
        try:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return _ABSENT
        if state.st_size > _WORTH_KEEPING and _is_settled(state):
            self._read()[path] = (mark, digest)
            self._write()
        return digest

    def _read(self) -> dict[str, tuple[str, str]]:
        if self._known is None:
            assert self._file is not None
            try:
                self._known = msgspec.json.decode(self._file.read_bytes(), type=dict[str, tuple[str, str]])
            except (OSError, msgspec.MsgspecError):
                self._known = {}
        return self._known

    def _write(self) -> None:
        from baton.core.files import write_atomically

        if self._file is None:
            return
        try:
            write_atomically(self._file, msgspec.json.encode(self._known))
        except OSError:
            return  # a read-only folder: computed again next time


_DIGITS = 64
_WORTH_KEEPING = 1 << 20
_SETTLED_NS = 2_000_000_000


def _is_settled(state: os.stat_result) -> bool:
    """Whether a file is old enough that a later edit changes its time."""
    import time

    return time.time_ns() - max(state.st_mtime_ns, state.st_ctime_ns) > _SETTLED_NS


_earlier: list[tuple[frozenset[str], Seen]] = []
"""What this process observed of tasks that can call functions with a memory, by the labels of these."""


def _of_earlier_tasks(remembering: frozenset[str], sources: Sequence[Seen]) -> list[Seen]:
    """Return observations of earlier tasks of this process that share a function with a memory.

    ``functools.cache`` gives the task what an earlier one computed, so what that one read counts too.
    """
    known = {id(source) for source in sources}
    return [seen for labels, seen in _earlier if labels & remembering and id(seen) not in known]


def _remembering(reach: Reach) -> frozenset[str]:
    """Return the labels of functions with a memory of their results, and of classes with such methods.

    Those of baton and of the standard library are left out: their results depend on arguments alone.
    """
    return frozenset(label for label in reach.parts if _has_memory(label))


_memories: dict[str, tuple[object, bool]] = {}
"""Whether values have a memory, with the value, by label."""


def _has_memory(label: str) -> bool:
    module, _, name = label.partition(":")
    value = vars(sys.modules.get(module, object)).get(name)
    known = _memories.get(label)
    if known is None or known[0] is not value or isinstance(value, type):  # a class's methods may be replaced
        known = _memories[label] = value, _value_has_memory(value)
    return known[1]


def _value_has_memory(value: object) -> bool:
    home = str(getattr(value, "__module__", None) or "").partition(".")[0]
    if home == "baton" or (home and is_standard(home)):
        return False
    held = vars(value).values() if isinstance(value, type) else ()
    return any(
        callable(inspect.getattr_static(one, "cache_clear", None))
        for one in (value, *held)
        if not (type(one) in _WITHOUT_MEMORY or (type(one) is FunctionType and not vars(one)))
    )


_WITHOUT_MEMORY = frozenset({str, int, float, bool, type(None), tuple, list, dict})


def _roots(seen: Seen, reach: Reach, by_file: Mapping[str, str]) -> set[str]:
    """Return what ran, or may have run, but was not found by reading."""
    known = set(reach.parts)
    whole = {label.partition(":")[0] for label in known if label.endswith(f":{WHOLE}")}
    roots: set[str] = set()
    possible = [c for c in seen.may_have_run.values() if by_file.get(c.co_filename) in reach.modules]
    for file, name, line in execution.names_of([*seen.executed.values(), *possible]):
        module = by_file.get(file)
        if module is None:  # not importable by name: its file counts
            if os.path.isfile(file) and file not in seen.files:
                seen.files[file] = os.stat(file)
        elif name == "<module>":
            if module not in reach.modules:
                roots.add(f"{module}:{ON_IMPORT}")
        elif name.startswith("<"):
            roots |= _around(module, line, known)
        elif f"{module}:{name}" not in known and module not in whole:
            roots.add(f"{module}:{name}")
    if reach.computes_imports or "" in seen.unsteady:
        roots |= {f"{module}:{WHOLE}" for module in by_file.values() if module not in whole}
    return roots


def _roots_on_import(seen: Seen, reach: Reach, reader: CodeReader, by_file: Mapping[str, str]) -> set[str]:
    """Return what ran while a module was imported although no statement of it leads there by reading."""
    ran = {label for label in _roots(seen, reach, by_file) if not label.endswith(f":{WHOLE}")}
    if ran:
        ran -= _named_from(seen.module, ran, reader)  # as a rule, all
    if not ran:
        return set()
    explained = reader.reach(NamedCode(seen.module, WHOLE))
    return {
        label
        for label in ran - explained.parts.keys()
        if not (label.endswith(f":{ON_IMPORT}") and label.partition(":")[0] in explained.modules)
        and f"{label.partition(':')[0]}:{WHOLE}" not in explained.parts
    }


def _named_from(module: str, labels: set[str], reader: CodeReader) -> set[str]:
    """Return those of the definitions to which names lead from a module through others that were read.

    A walk finds more, but reads all modules that this one can reach.
    """
    found: set[str] = set()
    waiting = _names_in(module, reader)
    while waiting and not labels <= found:
        label = waiting.pop()
        if label not in found:
            found.add(label)
            home, _, name = label.partition(":")
            summary = reader.summary_if_read(home)
            if summary is not None and name in summary.definitions:
                refs = {ref.partition(".")[0] for ref in summary.definitions[name].refs}
                waiting += [f"{home}:{ref}" for ref in refs & summary.definitions.keys()]
                waiting += [target for ref in refs for target in summary.imports.get(ref, ())]
    return labels & found


def _names_in(module: str, reader: CodeReader) -> list[str]:
    """Return what a module defines or imports by name."""
    summary = reader.module(module).summary
    if summary is None:
        return []
    return [f"{module}:{name}" for name in summary.definitions] + [
        target for targets in summary.imports.values() for target in targets
    ]


def _named_modules(seen: Seen, reach: Reach) -> set[str]:
    """Return the user's modules that were imported by a computed name and not found by reading."""
    known = {label.partition(":")[0] for label in reach.parts}
    return {
        f"{name}:{WHOLE}"
        for name in seen.used_modules - known
        if name in loading.LOADED and loading.is_findable(name)
    }


def _around(module: str, line: int, known: set[str]) -> set[str]:
    """Return the names that the statement around a lambda binds, or the whole module."""
    import ast

    loaded = loading.LOADED.get(module)
    if loaded is None:
        return {f"{module}:{WHOLE}"}
    from baton.codetrace.scopes import bound_names

    for statement in ast.parse(loaded.content).body:
        if statement.lineno <= line <= (statement.end_lineno or statement.lineno):
            names = {f"{module}:{name}" for name in bound_names([statement])}
            if names:
                return names - known
            return set() if f"{module}:{ON_IMPORT}" in known else {f"{module}:{WHOLE}"}
    return {f"{module}:{WHOLE}"}


_own_files: dict[str, tuple[object, str]] = {}
"""The file of each module of the user's, else an empty text, with the module, by its name."""


def _modules_by_file() -> dict[str, str]:
    """Return the user's loaded modules by source file."""
    found = {loaded.file: name for name, loaded in loading.LOADED.items() if name in sys.modules}
    for name, module in list(sys.modules.items()):
        known = _own_files.get(name)
        if known is None or known[0] is not module:
            file = getattr(module, "__file__", None)
            is_own = isinstance(file, str) and name != "__main__" and is_own_file(file)
            known = _own_files[name] = module, str(file) if is_own else ""
        if known[1]:
            found.setdefault(known[1], name)
    return {file: name for file, name in found.items() if loading.is_findable(name)}


def _files(sources: Iterable[Seen], project: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    memory = DigestMemory()
    for source in sources:
        for path, state in source.files.items():
            name = _name_of(path, project)
            if path in source.looked_for:
                kind = _existence(path)
                if not (state is None and path in source.written):
                    found.setdefault(name, kind)
                continue
            if state is None:
                if path not in source.written:
                    found[name] = _ABSENT
                continue
            if path in source.written:
                continue
            digest = memory.of(path)
            if _mark(path) != (state.st_size, state.st_mtime_ns, state.st_ino):
                raise NotObservable(f"the file {name} changed while it was in use")
            found[name] = digest
    return dict(sorted(found.items()))


def _mark(path: str) -> tuple[int, int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return (state.st_size, state.st_mtime_ns, state.st_ino)


def _folders(sources: Iterable[Seen], project: Path) -> dict[str, str]:
    return {
        _name_of(path, project): _listing(Path(path), sized=path in source.sized_folders)
        for source in sources
        for path in sorted(source.folders)
        if path not in source.written
    }


def _listing(path: Path, *, sized: bool) -> str:
    """Return a digest of the names in a folder, with the sizes of its files if `sized`."""
    try:
        names = sorted(name for name in os.listdir(path) if name not in ("__pycache__", ".baton"))
    except OSError:
        return _ABSENT
    if sized:
        names = [f"{name}={_existence(os.path.join(path, name))}" for name in names]
    digest = _short("\0".join(names).encode("utf-8", "surrogateescape"))
    return f"{_SIZED}{digest}" if sized else digest


_SIZED = "with sizes "


def _existence(path: str) -> str:
    """Return ``"size N"`` for a file, ``"present"`` for anything else that exists, or ``"absent"``."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return _PRESENT if os.path.islink(path) else _ABSENT
    return f"size {state.st_size}" if stat.S_ISREG(state.st_mode) else _PRESENT


def _target(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _packages(sources: Sequence[Seen], reach: Reach, reader: CodeReader) -> dict[str, str]:
    used = {label.partition(":")[0] for label in reach.parts if not label.endswith(f":{ORDER}")}
    tops: set[str] = set()
    for source in sources:
        loaded = {name.partition(".")[0] for name in source.modules}
        tops |= loaded if source.module in {"", *used} else loaded & _only_imported(source.module, reader)
    if reach.computes_imports:
        tops |= {name.partition(".")[0] for name in sys.modules} - loading.BATONS_OWN
    found: dict[str, str] = {}
    for name in sorted({name_in(folder) for source in sources for folder in source.distributions}):
        found[name] = version_of_distribution(name)
    looked_up = {name.partition(".")[0] for source in sources for name in source.found}
    for top in sorted((tops & sys.modules.keys() | looked_up) - {"baton"}):
        if not is_standard(top) and not is_own(top) and not loading.is_home(top):
            distribution = distribution_of(top)
            if distribution:
                found[distribution] = version_of_distribution(distribution)
    return found


def _only_imported(module: str, reader: CodeReader) -> set[str]:
    """Return the top-level modules that a module imports only for their side effects."""
    summary = reader.module(module).summary
    if summary is None:
        return set()
    named = {
        ref.lstrip("@").split(".")[0]
        for definition in (*summary.definitions.values(), *summary.on_import)
        for ref in definition.refs
    }
    return {
        target.partition(":")[0].partition(".")[0]
        for name, targets in summary.imports.items()
        if name not in named
        for target in targets
    }


def _is_missing(name: str) -> bool:
    if name in sys.modules:
        return False
    parent = name.rpartition(".")[0]
    if parent:
        return _is_missing(parent) or _find(name) is None
    return _is_nowhere(name, _state_of_search())


@lru_cache(maxsize=1024)
def _is_nowhere(name: str, _state: tuple[object, ...]) -> bool:
    return locate(name) is None and _find(name) is None


def _state_of_search() -> tuple[object, ...]:
    """Return what decides whether a top-level module is found: the same that Python's own finders look at."""
    times = []
    for folder in sys.path:
        try:
            times.append(os.stat(folder or ".").st_mtime_ns)
        except OSError:
            times.append(0)
    return (*sys.path, *times, *map(id, sys.meta_path))


@cache
def _find(name: str) -> importlib.machinery.ModuleSpec | None:
    parent, _, _ = name.rpartition(".")
    if parent:
        place = locate(parent)
        if place is None or not place.folders:
            return None
        return importlib.machinery.PathFinder.find_spec(name, list(place.folders))
    return importlib.machinery.PathFinder.find_spec(name) or importlib.machinery.BuiltinImporter.find_spec(
        name
    )


def _file_now(name: str, then: str, project: Path, digests: DigestMemory) -> str:
    path = _path_of(name, project)
    if then in (_PRESENT, _ABSENT) or then.startswith("size "):
        return _existence(path)
    return digests.of(path)


def _presence(then: str, now: str) -> tuple[str | None, str | None]:
    return (None if then == _ABSENT else then, None if now == _ABSENT else now)


_IN_PACKAGE = "@"
"""Prefix of a file in one of the user's packages outside the project, named by the package."""


def _name_of(path: str, project: Path) -> str:
    """Return a file's machine-independent name: relative to the project or to one of the user's packages."""
    try:
        return Path(path).relative_to(project).as_posix()
    except ValueError:
        pass
    for top in {name.partition(".")[0] for name in loading.LOADED}:
        folder = _folder_of(top)
        if folder is not None and Path(path).is_relative_to(folder):
            return f"{_IN_PACKAGE}{top}/{Path(path).relative_to(folder).as_posix()}"
    return path


def _path_of(name: str, project: Path) -> str:
    """Return the current location of a file named by `_name_of`."""
    if name.startswith(_IN_PACKAGE):
        top, _, rest = name.removeprefix(_IN_PACKAGE).partition("/")
        folder = _folder_of(top)
        if folder is not None:
            return os.path.join(folder, rest)
    return os.path.join(project, name)


def _folder_of(top: str) -> str | None:
    place = locate(top)
    return place.folders[0] if place is not None and place.folders else None


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
