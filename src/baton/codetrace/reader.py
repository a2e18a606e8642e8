"""Find the code that a task can reach, from sources and summaries cached by content."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from baton.codetrace.loading import LOADED
from baton.codetrace.modules import Location, locate
from baton.codetrace.reach import EDITED, NEVER_SAME, ON_IMPORT, Reach, ReadModule, Walk
from baton.codetrace.summary import EMPTY, SUMMARY_VERSION, DefinitionText, ModuleSummary
from baton.core.files import write_atomically
from baton.core.imported import may_be_edited_since
from baton.core.records import decode_record

if TYPE_CHECKING:
    from baton.codetrace.source import ReadSource

_AS_LOADED: dict[str, ReadModule] = {}
"""Modules of this process as first read: an edit does not change code that is running."""


class NamedCode:
    """A function or class that `CodeReader.reach` need not import."""

    def __init__(self, module: str, qualname: str) -> None:
        self.__module__ = module
        self.__qualname__ = qualname

    def __call__(self) -> None:
        """Do nothing; `CodeReader.reach` expects a callable."""


class CodeReader:
    """Follows references through sources and caches what it parsed.

    Parameters
    ----------
    memory : Path or None
        Folder that caches summaries by content; None to cache nothing.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self.entry_module = ""
        """The pipeline's module: what it and its imports do on import counts for every task."""
        self._memory = memory
        self._writes = True
        self._modules: dict[str, ReadModule] = {}
        self._parsed: dict[str, ReadSource] = {}
        """What was parsed here, by content: a module is read again once it is loaded."""
        self._reached: dict[tuple[str, ...], Reach] = {}
        self._first_party: dict[str, dict[str, bool]] = {}

    def reach(self, function: Callable[..., Any], roots: Iterable[str] = ()) -> Reach:
        """Return what `function`, defined at the top level of its module, can reach.

        Later calls take into account modules that were edited or loaded meanwhile.

        Parameters
        ----------
        function : callable
            Where the walk starts.
        roots : iterable of str
            More definitions to start from, as ``"module:name"``.
        """
        name = function.__qualname__.split(".")[0]
        begins = (f"{function.__module__}:{name}", *sorted(roots))
        self._forget_changed()
        if begins not in self._reached:
            top = function.__module__.partition(".")[0]
            walk = Walk(self.module, function.__module__, self._first_party.setdefault(top, {}))
            if self.entry_module:
                walk.add(self.entry_module, ON_IMPORT)
            for label in begins:
                module, _, name = label.partition(":")
                walk.add(module, name)
            self._reached[begins] = walk.result()
        return self._reached[begins]

    @contextmanager
    def without_writing(self) -> Iterator[None]:
        """Use the cache without adding to it, for commands that only inspect."""
        self._writes = False
        try:
            yield
        finally:
            self._writes = True

    def module(self, name: str) -> ReadModule:
        """Return what can be read of a module."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def summary_if_read(self, name: str) -> ModuleSummary | None:
        """Return a module's summary if it was read before."""
        known = self._modules.get(name)
        return known.summary if known is not None else None

    def _forget_changed(self) -> None:
        changed = [
            name
            for name, module in self._modules.items()
            if not _is_same(_identity(name, module.place), module.identity)
        ]
        for name in changed:
            del self._modules[name]
        if changed:
            self._reached.clear()
            self._first_party.clear()

    def _read(self, name: str) -> ReadModule:
        remembered = _AS_LOADED.get(name)
        place = locate(name)
        identity = _identity(name, place)
        if remembered is not None and remembered.identity is identity:
            return remembered
        module = self._read_place(name, identity, place)
        if name in sys.modules:
            _AS_LOADED[name] = module
        return module

    def _read_place(self, name: str, identity: object, place: Location | None) -> ReadModule:
        if place is None:
            return ReadModule(identity, place, None, NEVER_SAME + os.urandom(8).hex())
        if place.file is None:
            return ReadModule(identity, place, EMPTY)
        ran = LOADED.get(name) if name in sys.modules else None
        if ran is None and name in sys.modules and place.is_source and may_be_edited_since(name, place.file):
            return ReadModule(identity, place, None, EDITED + os.urandom(8).hex())
        try:
            content = place.file.read_bytes() if ran is None else ran.content
        except OSError:
            return ReadModule(identity, place, None, NEVER_SAME + os.urandom(8).hex())
        summary, texts = self._summarise(content, place.package) if place.is_source else (None, None)
        return ReadModule(identity, place, summary, hashlib.sha256(content).hexdigest()[:32], texts)

    def _summarise(
        self, content: bytes, package: str
    ) -> tuple[ModuleSummary | None, Mapping[str, DefinitionText] | None]:
        label = f"{SUMMARY_VERSION}\0{sys.version_info[:2]}\0{package}\0".encode()
        state = hashlib.sha256(label + content).hexdigest()[:40]
        if state in self._parsed:
            return self._parsed[state]
        remembered = self._memory / state if self._memory else None
        if remembered is not None:
            try:
                known = decode_record(remembered.read_bytes(), ModuleSummary)
            except OSError:
                known = None
            if known is not None:
                return known, None  # not cached, or malformed: parse it again
        from baton.codetrace.source import read_source  # not needed if everything is cached

        try:
            parsed = read_source(content, package)
        except (SyntaxError, ValueError, RecursionError):
            return None, None
        if self._writes:
            self._parsed[state] = parsed
            if remembered is not None:
                _remember(remembered, msgspec.json.encode(parsed.summary))
        return parsed


def _identity(name: str, place: Location | None) -> object:
    """Return a value that changes when a module's code is replaced: its import, or its file."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return getattr(loaded, "__spec__", None) or loaded
    if place is None or place.file is None:
        return None
    try:
        state = place.file.stat()
    except OSError:
        return None
    return (place.file, state.st_mtime_ns, state.st_size, state.st_ino)


def _is_same(one: object, other: object) -> bool:
    """Compare identities: two imports of one file differ, although their specs are equal."""
    return one is other or (isinstance(one, tuple) and one == other)


def _remember(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError:
        return  # a read-only folder: parse it again next time
