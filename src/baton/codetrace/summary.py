"""Summaries of modules' sources, made by `baton.codetrace.source`.

A summary depends only on the source, so it is cached by the source's digest.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

SUMMARY_VERSION = 9
"""Increase when the meaning of summaries changes; cached ones of other versions are ignored."""

COMPUTED_IMPORT = "an import of a computed name"
"""Appears in `Definition.dynamic` if any module could be imported."""


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """A top-level name of a module: the normalised code that binds or changes it.

    `digest` covers the syntax without comments, docstrings, type hints of functions, positions and
    formatting; `notes` covers the docstrings and type hints.  `refs` are dotted: ``"name.attribute"``
    starts at this module's top, ``"@package.module.attribute"`` at a module imported inside the
    definition, ``"!package.module"`` is only imported there.  `calls` are the refs that it calls,
    with a leading ``?`` those passed to a call.  `acts` tells whether it has side effects,
    `is_variable` whether it is neither a function nor a class.  `dynamic` names what cannot be
    followed, `finds_subclasses` whether it can find unnamed subclasses, `reads_notes` whether it can
    read docstrings or type hints.  `name` is the function or class for parts that run when it is
    defined.
    """

    digest: str
    notes: str
    refs: tuple[str, ...]
    calls: tuple[str, ...]
    dynamic: tuple[str, ...]
    acts: bool
    is_variable: bool
    finds_subclasses: bool
    reads_notes: bool
    name: str = ""


class ModuleSummary(msgspec.Struct, frozen=True, array_like=True):
    """A module's definitions and imports.

    `imports` maps a local name to every possible ``module`` or ``module:name``, in import order, or to
    none if it exists only for type checkers.  `on_import` are the statements that may do more than bind
    names on import, in order; `loads` the modules that are imported then.  `bases` are the refs of each
    class's bases.  `exported` is what ``__all__`` lists, or None if it is missing or computed.  `notes`
    covers the module's docstring.
    """

    definitions: dict[str, Definition]
    imports: dict[str, tuple[str, ...]]
    stars: tuple[str, ...]
    on_import: tuple[Definition, ...]
    loads: tuple[str, ...]
    bases: dict[str, tuple[str, ...]]
    exported: tuple[str, ...] | None
    notes: str

    @property
    def on_import_digest(self) -> str:
        """One digest of everything that the module may do on import; empty if nothing."""
        return "".join(statement.digest for statement in self.on_import)


EMPTY = ModuleSummary({}, {}, (), (), (), {}, None, "")
"""The summary of a folder without ``__init__.py``."""


class DefinitionText(NamedTuple):
    """The source of one definition, with the digest in its `Definition`."""

    digest: str
    text: str
