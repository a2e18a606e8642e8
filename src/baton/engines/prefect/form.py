"""A pipeline's parameters as the signature of a flow, from which Prefect makes its form and checks."""

from __future__ import annotations

import inspect
import operator
import types
from collections.abc import Mapping
from functools import reduce
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from pydantic import Field

from baton.core.parameters import Leaf, leaves
from baton.core.secret import Secret
from baton.core.values import as_plain
from baton.engines.engine import FORCE, USE_CACHE, refuse_taken_fields
from baton.runs.project import Project
from baton.store.shown import plain as without_secrets

_HOW: dict[str, tuple[Any, Any, str]] = {
    USE_CACHE: (True, bool, "use cached results instead of running"),
    FORCE: (None, list[str] | None, "tasks or groups that run even if cached"),
}
"""The arguments that say how to run: default, type and description."""

_LIMITS = ("ge", "le", "gt", "lt", "pattern", "min_length", "max_length")


def form_signature(project: Project) -> inspect.Signature:
    """Return a signature with one argument per parameter of the project's pipeline.

    Defaults are the project's values, with two exceptions: the period defaults to nothing, which means the
    one that the scheduled time implies, and so does a value with a secret, which means the project's.  Two
    more arguments say how to run.

    Raises
    ------
    InvalidPipeline
        If a parameter has the name of one of these.
    """
    refuse_taken_fields(project.declared, "Prefect")
    implied = project.declared.period.parameters if project.declared.period else ()
    arguments = []
    for leaf in leaves(project.declared.parameters):
        value = project.configuration.value(leaf)
        plain = as_plain(value)
        is_secret = without_secrets(leaf.name, plain) != plain
        given = None if leaf.name in implied or is_secret else plain if isinstance(value, Secret) else value
        arguments.append(
            inspect.Parameter(
                leaf.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=given,
                annotation=field_type(leaf, may_be_empty=given is None),
            )
        )
    for name, (default, kind, _) in _HOW.items():
        arguments.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        )
    return inspect.Signature(arguments)


def form_docstring(project: Project) -> str:
    """Return a docstring with Prefect's description for each field of the form."""
    implied = project.declared.period.parameters if project.declared.period else ()
    lines = [project.declared.description or project.declared.name, "", "Args:"]
    for leaf in leaves(project.declared.parameters):
        text = leaf.description or leaf.name
        if leaf.name in implied:
            text += "; empty: from the scheduled time"
        lines.append(f"    {leaf.name}: {text}")
    lines += [f"    {name}: {text}" for name, (_, _, text) in _HOW.items()]
    return "\n".join(lines)


def field_type(leaf: Leaf, *, may_be_empty: bool) -> Any:
    """Return a parameter's type with its bounds in pydantic's form."""
    bounded = _bounded(leaf.type)
    return bounded | None if may_be_empty else bounded


def _bounded(annotation: Any) -> Any:
    if hasattr(annotation, "__metadata__"):
        limits: dict[str, Any] = {}
        for meta in annotation.__metadata__:
            if isinstance(meta, msgspec.Meta):
                limits |= {name: getattr(meta, name) for name in _LIMITS if getattr(meta, name) is not None}
        inner = _bounded(annotation.__origin__)
        return Annotated[inner, Field(**limits)] if limits else inner
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return reduce(operator.or_, map(_bounded, parts))
    if annotation is Secret:
        return str
    return origin[tuple(map(_bounded, parts))] if origin in (list, tuple) else annotation


def chosen_options(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pipeline's fields that were filled in."""
    return {name: value for name, value in chosen.items() if value is not None and name not in _HOW}
