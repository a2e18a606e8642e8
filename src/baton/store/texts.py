"""The source of code parts, kept next to the entries to show changes later.

One file for each state of a module that recorded work could reach: ``code/ab/abcdef....json`` holds the
source of each definition by name, in the form that counts (no comments, no docstrings) and without
secrets.  The file's name is a digest of the definitions' digests.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from baton.codetrace.reach import ON_IMPORT
from baton.codetrace.reader import CodeReader
from baton.codetrace.summary import ModuleSummary
from baton.core.reasons import Cause
from baton.store.objects import ObjectStore
from baton.store.shown import without_secrets_in

_LINES = 40
_CONTEXT = 2


class CodeTexts:
    """Stores and reads the source of code parts.

    Parameters
    ----------
    objects : ObjectStore
        Where the sources are stored.
    code : CodeReader
        Reads the current modules.
    """

    def __init__(self, objects: ObjectStore, code: CodeReader) -> None:
        self._objects = objects
        self._code = code
        self._kept: set[str] = set()

    def keep(self, parts: Iterable[str]) -> dict[str, str]:
        """Store the sources of the modules of `parts`; return the digest of each module's state."""
        states: dict[str, str] = {}
        for module in sorted({part.partition(":")[0] for part in parts}):
            summary = self._code.module(module).summary
            if summary is None or not _digests(summary):
                continue
            states[module] = state = _state_of(summary)
            self._write(state, module)
        return states

    def state_of(self, module: str) -> str | None:
        """Return the digest of a module's current state, or None if it cannot be read."""
        summary = self._code.module(module).summary
        return None if summary is None else _state_of(summary)

    def _write(self, state: str, module: str) -> None:
        if state in self._kept:
            return
        self._kept.add(state)
        if self._objects.read_text(text_name(state)) is None:
            texts = self.now(module)
            if texts:
                content = msgspec.json.encode(texts, order="sorted").decode()
                self._objects.write_text(text_name(state), content)

    def then(self, state: str) -> dict[str, str]:
        """Return the stored sources of a module's state by definition; empty if unreadable."""
        text = self._objects.read_text(text_name(state)) if state.isalnum() else None
        try:
            return msgspec.json.decode(text or "{}", type=dict[str, str])
        except msgspec.MsgspecError:
            return {}

    def now(self, module: str) -> dict[str, str]:
        """Return a module's sources by definition; empty if its file has changed since it was read."""
        found = self._code.module(module)
        if found.summary is None or found.place is None or found.place.file is None:
            return {}
        read = found.texts
        if read is None:
            from baton.codetrace.source import read_source  # not needed if everything is cached

            try:
                read = read_source(found.place.file.read_bytes(), found.place.package).texts
            except (OSError, SyntaxError, ValueError, RecursionError):
                return {}
        texts = {name or ON_IMPORT: one for name, one in read.items()}
        if {name: one.digest for name, one in texts.items()} != _digests(found.summary):
            return {}  # edited since it was read
        return {name: without_secrets_in(one.text) for name, one in texts.items()}

    def diff(self, cause: Cause, states: Mapping[str, str]) -> str:
        """Return a code cause's change as a short unified diff; empty if a source is unknown.

        Parameters
        ----------
        cause : Cause
            A cause of kind ``CODE``.
        states : mapping of str to str
            The modules' states at the earlier work, as returned by `keep`.
        """
        module, _, name = cause.subject.partition(":")
        then = self.then(states[module]) if module in states else {}
        now = self.now(module)
        if (cause.before is not None and name not in then) or (cause.after is not None and name not in now):
            return ""
        before = then[name].splitlines() if cause.before is not None else []
        after = now[name].splitlines() if cause.after is not None else []
        if before == after:
            return "the change is hidden, because it may be a secret"
        lines = list(difflib.unified_diff(before, after, lineterm="", n=_CONTEXT))[2:]
        left = len(lines) - _LINES
        return "\n".join([*lines[:_LINES], *([f"... and {left} more lines"] if left > 0 else [])])


def _digests(summary: ModuleSummary) -> dict[str, str]:
    found = {name: one.digest for name, one in summary.definitions.items()}
    return {**found, ON_IMPORT: summary.on_import_digest} if summary.on_import else found


def _state_of(summary: ModuleSummary) -> str:
    listed = "\n".join(f"{name}={digest}" for name, digest in sorted(_digests(summary).items()))
    return hashlib.sha256(listed.encode()).hexdigest()[:40]


def text_name(state: str) -> str:
    """Return the file name, below the store's root, of a module state's sources."""
    return f"code/{state[:2]}/{state}.json"
