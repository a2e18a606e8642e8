"""Convert a pipeline's parameters to typed params of an Airflow DAG, and a run's params back."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from baton.config.resolve import Configuration
from baton.core.dag import Dag
from baton.core.parameters import Leaf, leaves
from baton.core.values import as_plain
from baton.engines.engine import FORCE, USE_CACHE, refuse_taken_fields
from baton.errors import UsageError, nearest
from baton.store.shown import plain as without_secrets

_TIMES = ("date-time", "time")


@dataclass(frozen=True, slots=True)
class Field:
    """One param of the DAG.

    Parameters
    ----------
    name : str
        Its name in ``--conf`` and in the form.
    default : Any
        The value if a run has none, as plain JSON.
    description : str
        One line for the form.
    schema : dict
        Its JSON schema, with the form's section.
    """

    name: str
    default: Any
    description: str
    schema: dict[str, Any]


def fields_of(dag: Dag, configuration: Configuration) -> Iterator[Field]:
    """Yield a field for each parameter, and the fields that control how to run.

    Raises
    ------
    InvalidPipeline
        If a parameter has the name of a control field.
    """
    refuse_taken_fields(dag, "Airflow")
    by_interval = dag.period.parameters if dag.period else ()
    for leaf in leaves(dag.parameters):
        yield _field(leaf, configuration.value(leaf), by_interval=leaf.name in by_interval)
    yield Field(
        USE_CACHE, True, "use cached results instead of running", {"type": "boolean", "section": "run"}
    )
    text = "tasks or groups that run even if cached"
    yield Field(FORCE, None, text, {"type": ["null", "array"], "items": {"type": "string"}, "section": "run"})


def options_from(dag: Dag, params: Mapping[str, Any], start: datetime.datetime | None) -> dict[str, Any]:
    """Return a run's params as options, which override all other sources.

    Parameters
    ----------
    dag : Dag
        The pipeline.
    params : mapping of str to object
        The run's params.
    start : datetime, optional
        Start of the run's data interval; None if it has none.

    Raises
    ------
    UsageError
        If a param is unknown to the pipeline, or only part of the period is given.
    """
    known = {leaf.name: leaf for leaf in leaves(dag.parameters)}
    given = {name: value for name, value in params.items() if name not in (USE_CACHE, FORCE)}
    for name in given:
        if name not in known:
            raise UsageError(f"pipeline '{dag.name}' has no parameter '{name}'{nearest(name, known)}")
    options = {name: value for name, value in given.items() if value is not None or _may_be_none(known[name])}
    if dag.period is not None:
        options |= dag.period.completed(given, dag.period.at(start) if start else {})
    return options


def _field(leaf: Leaf, value: Any, *, by_interval: bool) -> Field:
    schema = _schema(leaf.type)
    plain = as_plain(value)
    description = leaf.description
    if by_interval or without_secrets(leaf.name, plain) != plain:
        plain = None
        schema = _or_null(schema)
        description += "; none means the data interval's" if by_interval else "; none means as configured"
    return Field(
        leaf.name, plain, description, {**schema, "section": ".".join(leaf.path[:-1]) or "parameters"}
    )


def _schema(annotation: Any) -> dict[str, Any]:
    """Return a type's JSON schema as Airflow's form supports it."""
    (made,), named = msgspec.json.schema_components(
        [annotation], schema_hook=lambda _: {"type": "string"}, ref_template="{name}"
    )
    return _for_form(made, named)


def _for_form(schema: dict[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        schema = named[schema["$ref"]]
    # For an enum Airflow needs only the values; times have no zone, which Airflow's check would require.
    left_out = {"description", "title", *(["format"] if schema.get("format") in _TIMES else [])}
    made = {name: value for name, value in schema.items() if name not in left_out}
    if "items" in made and isinstance(made["items"], dict):
        made["items"] = _for_form(made["items"], named)
    if "prefixItems" in made:
        made["prefixItems"] = [_for_form(one, named) for one in made["prefixItems"]]
    if "anyOf" in made:
        (one,) = [one for one in made["anyOf"] if one != {"type": "null"}]
        return _or_null(_for_form(one, named))
    return made


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    made = dict(schema)
    if isinstance(made.get("type"), str):
        made["type"] = ["null", made["type"]]
    if "enum" in made:
        made["enum"] = [None, *made["enum"]]
    return made


def _may_be_none(leaf: Leaf) -> bool:
    return type(None) in get_args(leaf.plain_type)
