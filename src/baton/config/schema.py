"""A JSON Schema of the configuration file, for editors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from baton.config import file
from baton.config.settings import all_settings
from baton.core.parameters import Leaf, Parameters, leaves
from baton.core.values import as_plain, typed

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema_of_file(
    parameters: type[Parameters], pipeline: str, keys_of_others: Iterable[str]
) -> dict[str, Any]:
    """Return the schema of a configuration file.

    It accepts every key and value that a run with this pipeline accepts, and refuses unknown keys and values
    of the wrong type or out of range.

    Parameters
    ----------
    parameters : type
        The pipeline's parameters.
    pipeline : str
        The pipeline's reference, for its section of the file.
    keys_of_others : iterable of str
        Dotted keys of the folder's other pipelines; they may have any value.
    """
    known = [*leaves(all_settings()), *leaves(parameters)]
    made, named = msgspec.json.schema_components(
        [leaf.type for leaf in known],
        schema_hook=lambda _: {"type": "string", "minLength": 1},  # a path
        ref_template="#/$defs/{name}",
    )
    own = {leaf.path: _described(leaf, schema) for leaf, schema in zip(known, made, strict=True)}
    others: dict[tuple[str, ...], Any] = {tuple(key.split(".")): {} for key in sorted(keys_of_others)}
    whole = _section({**own, **{path: schema for path, schema in others.items() if path not in own}})
    whole["properties"][file.SCHEMA] = {"type": "string", "description": "this schema, for editors"}
    whole["properties"][file.PIPELINES] = {
        "type": "object",
        "description": "what is set for one pipeline only, by the pipeline's reference",
        "properties": {pipeline: {"$ref": "#/$defs/one pipeline"}},
        "additionalProperties": {"type": "object"},
    }
    return {
        "$schema": _DRAFT,
        "title": f"{file.DEFAULT_NAME} for {pipeline}",
        **whole,
        "$defs": {**named, "one pipeline": _section(own)},
    }


def _described(leaf: Leaf, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Add to the schema of a type what users need to know of a setting or parameter."""
    made = {name: value for name, value in schema.items() if name != "description"}
    if _accepts_the_text_none(leaf):
        made = {"anyOf": [*made.get("anyOf", [made]), {"const": "none"}]}
    if leaf.description:
        made["description"] = leaf.description
    if leaf.default is not msgspec.NODEFAULT:
        made["default"] = as_plain(leaf.default)
    return made


def _accepts_the_text_none(leaf: Leaf) -> bool:
    try:
        return typed(leaf.type, "none", from_text=False) is None
    except ValueError:
        return False


def _section(values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Return the schema of a section from those of its values, by path."""
    names = dict.fromkeys(path[0] for path in values)
    inner = {name: {path[1:]: schema for path, schema in values.items() if path[0] == name} for name in names}
    properties = {name: ones[()] if () in ones else _section(ones) for name, ones in inner.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}
