"""What is known of a module's source once it was read (`baton.codetrace.source`).

A summary depends on the text alone, so it is remembered by the text's digest.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

SUMMARY_VERSION = 8
"""Raise when summaries change meaning; remembered ones of another version are not used."""

COMPUTED_IMPORT = "an import of a computed name"
"""Stands in `Definition.dynamic` where any module could be imported."""


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """One name at the top of a module: what binds or changes it, normalised.

    `digest` covers the syntax without comments, docstrings, type hints of functions, positions and
    formatting; `notes` covers the docstrings and type hints.  `refs` are dotted: ``"name.attribute"``
    starts at this module's top, ``"@package.module.attribute"`` at a module imported inside the
    definition, ``"!package.module"`` is only imported there.  `calls` are the refs that it calls,
    those with a leading ``?`` are passed to a call.  `acts` tells whether it changes what others can
    see, `is_variable` whether it is neither a function nor a class.  `dynamic` names what cannot be
    followed, `finds_subclasses` whether it can reach classes that nobody names, `reads_notes` whether
    it can read docstrings or type hints.  `name` is that of the function or class of which this is what
    happens when it is defined.
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

    `imports` maps a local name to every ``module`` or ``module:name`` that it may stand for, the last
    one imported last, and to none where it exists for type checkers only.  `on_import` are the
    statements that may do more than bind names when the module is imported, in order; `loads` the
    modules that it imports then.  `bases` are the refs of each class's bases.  `exported` is what
    ``__all__`` lists, None where there is none or it is computed.  `notes` covers the module's
    docstring.
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
        """One digest of everything that the module may do on import; empty where it does nothing."""
        return "".join(statement.digest for statement in self.on_import)


EMPTY = ModuleSummary({}, {}, (), (), (), {}, None, "")
"""The summary of a folder without ``__init__.py``."""


class DefinitionText(NamedTuple):
    """The text of one definition, with the digest that `Definition` has."""

    digest: str
    text: str
