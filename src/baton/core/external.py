"""External inputs: files, folders and registered models that a pipeline reads and does not make.

Each is a task of its own, which brings the content into the store when it is new.  The tasks that read it
take the artifact, so that their keys have the digest of the content, not a path or a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Literal

from baton.core.addresses import address_of
from baton.core.artifact import Kind

What = Literal["file", "folder", "model"]


@dataclass(frozen=True, slots=True)
class External:
    """An external input: in a type, as in `baton.InputFile`, and of the task that reads it.

    Parameters
    ----------
    what : {"file", "folder", "model"}
        What it is.
    address : str
        Path, URL or name of the model; empty if a parameter holds it.
    """

    what: What
    address: str = ""


def external_of(annotation: Any) -> External | None:
    """Return the external input that a type declares, or None."""
    extras = getattr(annotation, "__metadata__", ())
    return next((one for one in extras if isinstance(one, External)), None)


def at(external: External, values: Iterable[Any]) -> External:
    """Return the external input with the address that its task's only value holds."""
    address = address_of(next(iter(values)))
    return replace(external, address=model_address(address) if external.what == "model" else address)


def fixed_external(given: Any, kind: type[Kind]) -> External | None:
    """Return the external input that `baton.Task.bind` was given for an argument of a kind, or None."""
    declared = external_of(given)
    if declared is not None and declared.address:
        return declared
    if isinstance(given, PurePath) and kind.external:
        return External(kind.external, address_of(given))
    return None


def model_address(name: str) -> str:
    """Return the address of a registered model, with the alias ``champion`` if it has none.

    Examples
    --------
    >>> model_address("fares"), model_address("fares@challenger"), model_address("fares/3")
    ('fares@champion', 'fares@challenger', 'fares/3')
    """
    return name if "@" in name or "/" in name else f"{name}@champion"


def name_for(external: External) -> str:
    """Return an artifact's name for a registered model.

    Examples
    --------
    >>> name_for(External("model", "fares@champion")), name_for(External("model", "city fares/3"))
    ('fares', 'city_fares_3')
    """
    name = re.sub(r"\W+", "_", external.address.removesuffix("@champion"))
    return name if name.isidentifier() else f"model_{name}"
