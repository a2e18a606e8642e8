"""What is known of a module's source once it was read (`baton.store.source`).

A summary depends on the text alone, so it is remembered by the text's digest.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

SUMMARY_VERSION = 3
"""Raise when summaries change meaning; remembered ones of another version are not used."""

COMPUTED_IMPORT = "an import of a computed name"
"""Stands in `Definition.dynamic` where any module could be imported."""

READS_FILES = "__file__"
"""Stands in `Definition.refs` where files beside the source may be read."""


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """One name at the top of a module: what binds or changes it, normalised.

    `digest` covers the syntax without comments, docstrings, positions and formatting.  `refs` are
    dotted: ``"name.attribute"`` starts at this module's top, ``"@package.module.attribute"`` at a
    module imported inside the definition, ``"!package.module"`` is only imported there.  `dynamic`
    names what cannot be followed.  `is_state` tells whether it can hold what other code puts there,
    `finds_subclasses` whether it can reach classes that nobody names.
    """

    digest: str
    refs: tuple[str, ...]
    dynamic: tuple[str, ...]
    is_state: bool
    finds_subclasses: bool


class ModuleSummary(msgspec.Struct, frozen=True, array_like=True):
    """A module's definitions and imports.

    `imports` maps a local name to every ``module`` or ``module:name`` that it may stand for, to
    none where it exists for type checkers only.  `on_import` is what the module does besides
    binding names when it is imported, `loads` the modules that it imports then.  `makers` are refs to
    what a name's value is decorated or made with, which may remember it; `bases` those of a class.
    `texts` are short texts, where the module may read files beside its source.
    """

    definitions: dict[str, Definition]
    imports: dict[str, tuple[str, ...]]
    stars: tuple[str, ...]
    on_import: Definition | None
    loads: tuple[str, ...]
    makers: dict[str, tuple[str, ...]]
    bases: dict[str, tuple[str, ...]]
    texts: tuple[str, ...]


EMPTY = ModuleSummary({}, {}, (), None, (), {}, {}, ())
"""The summary of a folder without ``__init__.py``."""


class DefinitionText(NamedTuple):
    """The text of one definition, with the digest that `Definition` has."""

    digest: str
    text: str
