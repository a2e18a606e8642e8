"""Observe running code: the facts that a cached result depends on besides its key.

Reading code never finds everything, so tasks are observed while they run: which of the user's functions
run, which files and folders, environment variables and package versions are read, which modules are looked
up.  Most of it comes from Python's audit events, the rest from a few patched functions (`_Patches`) and
from libraries that read files in native code (`baton.codetrace.native`).  A cached result is used only
while all facts hold (`baton.codetrace.facts`).

Everything is recorded for each task that is running in the process: rather too much than too little.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from baton.codetrace import execution, loading, native
from baton.codetrace.modules import Location, installed_prefixes, is_installed
from baton.core import offers

_SESSION_VARIABLES = frozenset(
    "_ COLORTERM COLUMNS CI DBUS_SESSION_BUS_ADDRESS DISPLAY EDITOR HOME HOSTNAME LANG LANGUAGE LINES "
    "LOGNAME LS_COLORS MAIL NO_COLOR OLDPWD PAGER PATH PWD SHELL SHLVL TEMP TERM TMP TMPDIR TZ USER "
    "VIRTUAL_ENV WINDOWID".split()
)
_SESSION_PREFIXES = (
    "AIRFLOW_",
    "BATON_",
    "CONDA_",
    "GPG_",
    "LC_",
    "MLFLOW_",
    "PREFECT_",
    "PYTEST_",
    "PYTHON",
    "SSH_",
    "XDG_",
)
"""Variables that describe a login, a terminal or another tool's process: they count only if the user's
code asks for one by name."""
_UNSEEN_ROOTS = ("/proc", "/sys", "/dev")
_SYSTEM_ROOTS = ("/etc", "/usr", "/lib", "/opt", "/bin", "/var/lib", "/run")
_QUIET_PROGRAM_CALLERS = frozenset(
    "joblib loky matplotlib mlflow numba numpy platformdirs psutil scipy threadpoolctl torch xgboost".split()
)
"""Libraries that start a program to query the machine: its cores, its fonts."""
_IMPORTLIB = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")


@dataclass
class Seen:
    """Observations of one stretch of running code, not yet turned into facts.

    Parameters
    ----------
    ignored : tuple of str
        Folders whose files do not count: inputs, which are in the key, and caches.
    """

    ignored: tuple[str, ...] = ()
    module: str = ""
    """The module being imported; empty while a task runs."""
    files: dict[str, os.stat_result | None] = field(default_factory=dict)
    """By absolute path: the file's state when it was first read, or None if it did not exist."""
    folders: dict[str, os.stat_result | None] = field(default_factory=dict)
    looked_for: set[str] = field(default_factory=set)
    """Paths that were only checked for existence."""
    written: set[str] = field(default_factory=set)
    variables: dict[str, str | None] = field(default_factory=dict)
    listed_variables: frozenset[str] | None = None
    """The names of all variables, if they were iterated."""
    links: dict[str, str] = field(default_factory=dict)
    """Targets of the symbolic links that were read as links."""
    sized_folders: set[str] = field(default_factory=set)
    """Listed folders whose file sizes may have been read."""
    modules: set[str] = field(default_factory=set)
    """Modules that were looked up while not loaded."""
    missed: set[str] = field(default_factory=set)
    """Those that were not found; for submodules, only those that the user's code looked up."""
    used_modules: set[str] = field(default_factory=set)
    """Modules that were imported by a computed name."""
    found: set[str] = field(default_factory=set)
    """Installed modules that were looked up and found, but not imported by that."""
    distributions: set[str] = field(default_factory=set)
    """Installed distributions whose metadata was read: their versions count."""
    reads_entry_points: bool = False
    unsteady: dict[str, str] = field(default_factory=dict)
    """Sources of unsteady results, with the line."""
    executed: execution.Codes = field(default_factory=dict)
    may_have_run: execution.Codes = field(default_factory=dict)
    foreign_threads: frozenset[int] = frozenset()

    def is_ignored(self, path: str) -> bool:
        """Whether a path is in an ignored folder."""
        return path.startswith(self.ignored)


_active: list[Seen] = []
_at_import: dict[str, Seen] = {}
_own_threads: set[int] = set()
"""Threads that the user's modules started on import."""
_lock = threading.RLock()
_hooked = False


def seen_at_import(module: str) -> Seen | None:
    """Return the observations of a module's import, or None if it was not observed."""
    return _at_import.get(module)


@contextmanager
def watching(ignored: tuple[str, ...], known: Collection[str] = ()) -> Iterator[Seen]:
    """Record what runs in this process within the context, except in threads that already run.

    Parameters
    ----------
    ignored : tuple of str
        As in `Seen`.
    known : collection of str
        As in `baton.codetrace.execution.watching`.
    """
    installed_prefixes()  # whoever is asked for a path asks for these, which ask for paths the first time
    seen = Seen(tuple(f"{Path(folder).absolute()}{os.sep}" for folder in ignored))
    seen.foreign_threads = frozenset(sys._current_frames()) - {threading.get_ident()} - _own_threads
    # Looking at code raises audit events, so it comes before these are recorded and after.
    with execution.watching(seen.executed, seen.may_have_run, is_own_file, known), _noted_in(seen):
        yield seen


@contextmanager
def _noted_in(seen: Seen) -> Iterator[None]:
    _begin()
    with _lock:
        _active.append(seen)
        if len(_active) == 1:
            _patches.install()
    try:
        yield
    finally:
        with _lock:
            _active[:] = [one for one in _active if one is not seen]
            if not _active:
                _patches.remove()


@contextmanager
def _while_imported(module: str) -> Iterator[None]:
    seen = _at_import[module] = Seen(module=module)
    before = frozenset(sys._current_frames())
    seen.foreign_threads = before - {threading.get_ident()} - _own_threads
    with execution.watching(seen.executed, seen.may_have_run, is_own_file), _noted_in(seen):
        yield
    _own_threads.update(sys._current_frames().keys() - before)


def _begin() -> None:
    global _hooked
    if not _hooked:
        _hooked = True
        offers.hooks.unobserved = _unobserved
        sys.addaudithook(_on_event)


@contextmanager
def _unobserved() -> Iterator[None]:
    """Record nothing that this thread does in the context: baton itself reads something."""
    before = getattr(_apart, "is_set", False)
    _apart.is_set = True
    try:
        yield
    finally:
        _apart.is_set = before


_apart = threading.local()


def follow_imports(home_module: str) -> None:
    """Observe the user's modules that are imported from now on; see `baton.codetrace.loading`."""
    loading.hooks.while_imported = _while_imported
    loading.hooks.looked_up = _on_lookup
    loading.hooks.wrapped_modules = native.MODULES
    loading.hooks.wrap = native.wrap
    native.hooks.read = _on_read
    native.hooks.connected = lambda what: _note_unsteady(f"it connects to {what}")
    for name in native.MODULES & sys.modules.keys():
        native.wrap(sys.modules[name])
    _watch_assignments()
    loading.follow_imports(home_module)


def _recording() -> list[Seen]:
    """Return the records that include this thread."""
    if getattr(_apart, "is_set", False):
        return []
    me = threading.get_ident()
    return [seen for seen in _active if me not in seen.foreign_threads]


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if not _active:
        return
    handler = _HANDLERS.get(event)
    if handler is not None and not getattr(_busy, "is_set", False):
        _busy.is_set = True
        try:
            handler(arguments)
        except Exception:  # noqa: S110  # observing must never break a program
            pass
        finally:
            _busy.is_set = False


_busy = threading.local()


def _on_open(arguments: tuple[Any, ...]) -> None:
    path, mode, flags = arguments
    if isinstance(path, int):
        return
    name = os.path.abspath(os.fsdecode(path))
    frame = sys._getframe(2)
    if frame.f_code.co_filename in _IMPORTLIB:
        _on_module_file(name, frame)
        return
    if _is_metadata(name, frame):
        return
    letters = mode if isinstance(mode, str) else ""
    writes = any(letter in letters for letter in "wax+") or bool(
        isinstance(flags, int) and not letters and flags & (os.O_WRONLY | os.O_RDWR)
    )
    reads = not writes or "a" in letters or "r+" in letters
    if reads and not _is_for_a_traceback(frame):
        _note_file(name, frame)
    if writes:
        for seen in _recording():
            seen.written.add(name)


def _is_metadata(name: str, frame: FrameType) -> bool:
    """Record a read of an installed distribution's metadata: its version counts."""
    folder = os.path.basename(os.path.dirname(name))
    if not folder.endswith((".dist-info", ".egg-info")):
        return False
    if _caller(frame) is not None:
        for seen in _recording():
            seen.distributions.add(folder)
            seen.reads_entry_points |= name.endswith("entry_points.txt")
    return True


def _on_module_file(name: str, frame: FrameType) -> None:
    """Record a source file, or its compiled form, that another loader reads."""
    if not name.endswith((".py", ".pyc")):
        _note_file(name, frame.f_back)  # data next to a module, read by its loader
        return
    if loading.is_surely_installed(name) or isinstance(frame.f_locals.get("self"), loading.OwnLoader):
        return
    if name.endswith(".pyc"):
        try:
            name = importlib.util.source_from_cache(name)
        except ValueError:
            return
    if is_own_file(name):
        _note_file(name, None)


def _on_listing(arguments: tuple[Any, ...]) -> None:
    path = arguments[0] if arguments else None
    frame = sys._getframe(2)
    if isinstance(path, int) or frame.f_code.co_filename in _IMPORTLIB:
        return
    if any(_is_by(module, frame) for module in ("importlib.metadata", "importlib_metadata", "pkg_resources")):
        return  # installed packages count by their versions
    name = os.path.abspath(os.fsdecode(path or "."))
    if _counts(name, frame):
        for seen in _recording():
            if not seen.is_ignored(name + os.sep):
                seen.folders.setdefault(name, _state(name))
                if is_own_file(frame.f_code.co_filename):
                    seen.sized_folders.add(name)  # os.scandir entries hold the sizes


def _on_rename(arguments: tuple[Any, ...]) -> None:
    for path in arguments[:2]:
        if not isinstance(path, int):
            for seen in _recording():
                seen.written.add(os.path.abspath(os.fsdecode(path)))


def _on_created(arguments: tuple[Any, ...]) -> None:
    if arguments and not isinstance(arguments[0], int):
        for seen in _recording():
            seen.written.add(os.path.abspath(os.fsdecode(arguments[0])))


def _on_database(arguments: tuple[Any, ...]) -> None:
    name = os.fsdecode(arguments[0])
    if name and not name.startswith((":memory:", "file:")):
        _note_file(os.path.abspath(name), sys._getframe(2))


def _on_program(arguments: tuple[Any, ...]) -> None:
    executable, words = arguments[0], arguments[1] if len(arguments) > 1 else ()
    frame = sys._getframe(2)
    caller = _caller(frame)
    if caller is None or caller[0] in _QUIET_PROGRAM_CALLERS:
        return
    parts = words if isinstance(words, (list, tuple)) else [words]
    names = [
        os.fsdecode(part) for part in (executable, *parts) if isinstance(part, (str, bytes, os.PathLike))
    ]
    for name in names[1:]:
        if "\n" not in name and os.path.isfile(name) and not _is_program(name):
            _note_file(os.path.abspath(name), frame)
    _note_unsteady(f"it starts the program {Path(names[0]).name if names else 'of its own'}", frame)


def _on_fork(_arguments: tuple[Any, ...]) -> None:
    caller = _caller(sys._getframe(2))
    if caller is None:
        return
    if caller[1]:
        _note_unsteady("it starts other processes, which baton cannot observe", sys._getframe(2))
    for seen in _recording():
        seen.unsteady.setdefault("", "")  # by a library: its code is not observed, so all of it counts


def _on_connection(arguments: tuple[Any, ...]) -> None:
    address = arguments[1] if len(arguments) > 1 else ""
    if isinstance(address, tuple) and address:
        frame = sys._getframe(2)
        if _caller(frame) is not None:
            _note_unsteady(f"it connects to {address[0]}", frame)


_HANDLERS: dict[str, Callable[[tuple[Any, ...]], None]] = {
    "open": _on_open,
    "os.listdir": _on_listing,
    "os.scandir": _on_listing,
    "os.rename": _on_rename,
    "os.mkdir": _on_created,
    "os.link": lambda arguments: _on_created(arguments[1:]),
    "os.symlink": lambda arguments: _on_created(arguments[1:]),
    "os.remove": _on_created,
    "os.rmdir": _on_created,
    "sqlite3.connect": _on_database,
    "subprocess.Popen": _on_program,
    "os.system": lambda arguments: _on_program((arguments[0], ())),
    "os.posix_spawn": _on_program,
    "os.exec": _on_program,
    "os.fork": _on_fork,
    "os.forkpty": _on_fork,
    "socket.connect": _on_connection,
}


def _on_lookup(name: str, spec: importlib.machinery.ModuleSpec | None) -> None:
    """Record a module that is looked up while not loaded."""
    if not _active:
        return
    frame: FrameType | None = sys._getframe(2)
    is_imported = True
    while frame is not None and (
        frame.f_code.co_filename in _IMPORTLIB or frame.f_globals.get("__name__", "").startswith("importlib")
    ):
        is_imported = is_imported and frame.f_globals.get("__name__") != "importlib.util"
        frame = frame.f_back
    asked_by_own = frame is not None and is_own_file(frame.f_code.co_filename)
    watched = _recording()
    for seen in watched:
        if spec is not None:
            if not seen.module or seen is watched[-1]:  # only the module that imports it
                seen.modules.add(name)
            if asked_by_own and not is_imported:
                _record_found(name, spec, seen)
        elif asked_by_own or "." not in name or (frame and frame.f_globals.get("__name__") == "pkgutil"):
            seen.missed.add(name)


def _record_found(name: str, spec: importlib.machinery.ModuleSpec, seen: Seen) -> None:
    """Record a module that is looked up without being imported: that it exists may decide something."""
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
    if all(place is not None and is_own_file(place) for place in places):
        for place in filter(None, places):
            if place not in seen.files:
                seen.looked_for.add(place)
                seen.files[place] = _state(place)
    else:
        seen.found.add(name)


def _on_read(path: str) -> None:
    """Record a file, folder or pattern that a library reads in native code."""
    import glob

    frame = sys._getframe(2)
    name = os.path.abspath(os.path.expanduser(path))
    if os.path.isdir(name):
        for folder, _, files in os.walk(name):
            for seen in _recording():
                seen.folders.setdefault(folder, _state(folder))
            for file in files:
                _note_file(os.path.join(folder, file), frame)
    elif not os.path.exists(name) and glob.has_magic(name):
        parent = name
        while glob.has_magic(parent):
            parent = os.path.dirname(parent)
        for seen in _recording():
            seen.folders.setdefault(parent, _state(parent))
        for file in glob.glob(name, recursive=True):
            _note_file(file, frame)
    else:
        _note_file(name, frame)


def _note_file(name: str, frame: FrameType | None) -> None:
    concerned = [seen for seen in _recording() if not seen.is_ignored(name)]
    if not concerned or (frame is not None and not _counts(name, frame)):
        return
    for seen in concerned:
        if name in seen.looked_for:  # now read, so its content counts, not only its existence
            seen.looked_for.discard(name)
        if name not in seen.written and name not in seen.files:
            seen.files[name] = _state(name)


def _note_variable(name: str, value: str | None) -> None:
    """Record a variable that is looked up; session variables only if the user's code names them."""
    frame: FrameType | None = sys._getframe(2)
    way: set[str] = set()
    while frame is not None and _is_standard_code(frame.f_code.co_filename):
        if frame.f_code.co_filename in _IMPORTLIB:
            return
        way.add(frame.f_code.co_name)
        frame = frame.f_back
    if name in _SESSION_VARIABLES or name.startswith(_SESSION_PREFIXES):
        named = way <= _SINGLE_LOOKUPS or not way.isdisjoint(_LOOKING_UP)
        if frame is None or not named or not is_own_file(frame.f_code.co_filename):
            return
    for seen in _recording():
        seen.variables.setdefault(name, _originals.get(name, value))


_SINGLE_LOOKUPS = frozenset({"__getitem__", "get", "getenv", "getenvb", "__contains__", "pop", "setdefault"})
_LOOKING_UP = frozenset({"expanduser", "expandvars", "home", "which"})
"""Standard library functions whose results depend on a variable."""


_originals: dict[str, str | None] = {}
"""Values of variables before libraries, or observed user code, set them."""


def _keep_original(name: str) -> None:
    if not _recording() and _is_set_by_program(sys._getframe(2)):
        _originals.pop(name, None)  # set by a notebook or a program: the new value counts
    elif name not in _originals:
        _originals[name] = variable(name)


def _is_set_by_program(frame: FrameType | None) -> bool:
    """Whether, judging by the frame, a variable is set neither by baton nor during an import."""
    while frame is not None and _is_standard_code(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is not None and _baton() in Path(frame.f_code.co_filename).parents:
        return False
    while frame is not None:
        if frame.f_code.co_filename in _IMPORTLIB:
            return False
        frame = frame.f_back
    return True


def _watch_assignments() -> None:
    """From now on keep the original values of variables that are set; idempotent."""
    environ: Any = type(os.environ)
    if hasattr(environ.__setitem__, "keeps_original"):
        return
    assign, remove = environ.__setitem__, environ.__delitem__

    def setitem(self: Any, key: Any, value: Any) -> None:
        _keep_original(os.fsdecode(key))
        assign(self, key, value)

    def delitem(self: Any, key: Any) -> None:
        _keep_original(os.fsdecode(key))
        remove(self, key)

    setitem.keeps_original = True  # type: ignore[attr-defined]
    environ.__setitem__, environ.__delitem__ = setitem, delitem


def original_variables() -> dict[str, str | None]:
    """Return the original values of variables that were set since, None for those that were not set."""
    return dict(_originals)


def adopt_original_variables(originals: Mapping[str, str | None]) -> None:
    """Take over what the starter of this process knows: this process inherited the values set since."""
    _originals.update(originals)


def variable(name: str) -> str | None:
    """Return the original value of an environment variable, or None if it was not set."""
    if name in _originals:
        return _originals[name]
    raw = os.environ._data.get(os.fsencode(name))  # type: ignore[attr-defined]  # bypasses the patches
    return None if raw is None else os.fsdecode(raw)


def names_of_variables() -> frozenset[str]:
    """Return the names of all environment variables, except those of a session."""
    return frozenset(
        name
        for name in {*os.environ, *_originals}
        if variable(name) is not None
        and name not in _SESSION_VARIABLES
        and not name.startswith(_SESSION_PREFIXES)
    )


def _note_all_variables() -> None:
    """Record that all variables are iterated."""
    if not getattr(_busy, "is_set", False):
        _busy.is_set = True
        try:
            names = names_of_variables()
            for seen in _recording():
                seen.listed_variables = seen.listed_variables or names
        finally:
            _busy.is_set = False


def _note_existence(path: Any) -> None:
    """Record a path whose existence or size the user's code checks."""
    if isinstance(path, int) or getattr(_busy, "is_set", False):
        return
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and _is_standard_code(frame.f_code.co_filename):
        if frame.f_code.co_filename in _IMPORTLIB:
            return
        frame = frame.f_back
    if frame is None or not is_own_file(frame.f_code.co_filename):
        return
    name = os.path.abspath(os.fsdecode(path))
    if name.startswith(_UNSEEN_ROOTS) or _holds(name, frame.f_code.co_filename) or _is_installed_file(name):
        return
    for seen in _recording():
        if name not in seen.written and name not in seen.files and not seen.is_ignored(name + os.sep):
            seen.looked_for.add(name)
            seen.files[name] = _state(name)


def _note_link(path: Any, target: str) -> None:
    frame = sys._getframe(2)
    name = os.path.abspath(os.fsdecode(path))
    if _caller(frame) is not None and not name.startswith(_UNSEEN_ROOTS):
        for seen in _recording():
            if name not in seen.written and not seen.is_ignored(name):
                seen.links.setdefault(name, os.fsdecode(target))


def _holds(folder: str, file: str) -> bool:
    """Whether a folder contains the code's own file or the current folder."""
    return any(
        f"{inner}{os.sep}".startswith(folder.rstrip(os.sep) + os.sep) for inner in (file, str(Path.cwd()))
    )


def _note_unsteady(what: str, frame: FrameType | None = None) -> None:
    place = ""
    frame = frame or sys._getframe(2)
    while frame is not None and not place:
        if is_own_file(frame.f_code.co_filename):
            place = f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
        frame = frame.f_back
    for seen in _recording():
        seen.unsteady.setdefault(what, place)


def _counts(name: str, frame: FrameType) -> bool:
    """Whether a file that code opens can influence the code's result."""
    if name.startswith(_UNSEEN_ROOTS) or "__pycache__" in name:
        return False
    if _is_installed_file(name):
        return False
    caller = _caller(frame)
    if (caller is not None and caller[1]) or name.startswith(str(Path.cwd()) + os.sep):
        return True
    return not name.startswith(_SYSTEM_ROOTS) and "/." not in name.removeprefix(os.path.expanduser("~"))


def _caller(frame: FrameType | None) -> tuple[str, bool] | None:
    """Return the nearest caller that is not Python's own code, and whether it is the user's code.

    None if a library acts during its import, or only Python's own code is involved.
    """
    nearest: tuple[str, bool] | None = None
    while frame is not None:
        file = frame.f_code.co_filename
        if is_own_file(file):
            return nearest or (str(frame.f_globals.get("__name__")), True)
        if file in _IMPORTLIB:
            return None
        if nearest is None and not _is_standard_code(file):
            nearest = (str(frame.f_globals.get("__name__", "")).partition(".")[0], False)
        frame = frame.f_back
    return nearest


def _is_for_a_traceback(frame: FrameType | None) -> bool:
    """Whether Python reads a source file to show one of its lines."""
    inside = False
    while frame is not None and _is_standard_code(frame.f_code.co_filename):
        inside |= frame.f_globals.get("__name__") == "linecache"
        if inside and frame.f_globals.get("__name__") in ("traceback", "warnings", "pdb"):
            return True
        frame = frame.f_back
    return False


def _is_by(module: str, frame: FrameType | None) -> bool:
    depth = 0
    while frame is not None and depth < 6:
        if frame.f_globals.get("__name__") == module:
            return True
        frame, depth = frame.f_back, depth + 1
    return False


def _state(name: str) -> os.stat_result | None:
    try:
        return _real_stat(name)
    except (OSError, ValueError):
        return None


_real_stat = os.stat
_real_open = os.open
_real_readlink = os.readlink


class _Patches:
    """Replacements of Python's functions during observation."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any]] = []

    def install(self) -> None:
        """Replace the functions."""
        environ = type(os.environ)
        lookup, iterate = environ.__getitem__, environ.__iter__

        def getitem(self: Any, key: Any) -> Any:
            try:
                value = lookup(self, key)
            except KeyError:
                _note_variable(os.fsdecode(key), None)
                raise
            _note_variable(os.fsdecode(key), os.fsdecode(value))
            return value

        def iterator(self: Any) -> Any:
            _note_all_variables()
            return iterate(self)

        def opened(path: Any, flags: int, *arguments: Any, **words: Any) -> int:
            folder = words.get("dir_fd")
            if folder is not None and not flags & (os.O_WRONLY | os.O_RDWR):
                with contextlib.suppress(OSError, TypeError):
                    holder = _real_readlink(f"/proc/self/fd/{folder}")
                    _note_file(os.path.join(holder, os.fsdecode(path)), None)
            return _real_open(path, flags, *arguments, **words)

        def readlink(path: Any, **words: Any) -> Any:
            target = _real_readlink(path, **words)
            if not words.get("dir_fd"):
                _note_link(path, target)
            return target

        def spawned(*arguments: Any) -> int:
            _on_fork(())
            started: int = fork_exec(*arguments)
            return started

        def imported(name: str, package: str | None = None) -> Any:
            module = import_module(name, package)
            for seen in _recording():
                seen.used_modules.add(module.__name__)
            return module

        import _posixsubprocess

        import_module = importlib.import_module
        fork_exec = _posixsubprocess.fork_exec
        for holder, name, replacement in (
            (environ, "__getitem__", getitem),
            (environ, "__iter__", iterator),
            (importlib, "import_module", imported),
            (os, "stat", _asking(_real_stat)),
            (os, "lstat", _asking(os.lstat)),
            (os, "access", _asking(os.access)),
            (os, "open", opened),
            (os, "readlink", readlink),
            (_posixsubprocess, "fork_exec", spawned),
        ):
            self._replaced.append((holder, name, getattr(holder, name)))
            setattr(holder, name, replacement)

    def remove(self) -> None:
        """Restore Python's own functions."""
        while self._replaced:
            holder, name, original = self._replaced.pop()
            setattr(holder, name, original)


def _asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that it records the path that it checks."""

    def ask(path: Any, *arguments: Any, **words: Any) -> Any:
        if words.get("dir_fd") is None:
            with contextlib.suppress(OSError, TypeError, ValueError):
                _note_existence(path)
        return function(path, *arguments, **words)

    return ask


_patches = _Patches()


@cache
def is_own_file(name: str) -> bool:
    """Whether a file of code is the user's own."""
    if name.startswith("<") or not name or loading.is_surely_installed(name):
        return False
    path = Path(name)
    if _baton() in path.parents:
        return False
    tops = {path.stem, *(parent.name for parent in path.parents)}
    if any(loading.is_home(top) for top in tops):
        return True
    return not is_installed(Location(path, (), ""))


@cache
def _baton() -> Path:
    return Path(__file__).parents[1]


@cache
def _is_standard_code(name: str) -> bool:
    if name.startswith("<frozen"):
        return True
    path = Path(name)
    return Path(sysconfig.get_path("stdlib")) in path.parents and "site-packages" not in path.parts


@cache
def _is_installed_file(name: str) -> bool:
    return not is_own_file(name) and is_installed(Location(Path(name), (), ""))


def _is_program(name: str) -> bool:
    return os.path.samefile(name, sys.executable)
