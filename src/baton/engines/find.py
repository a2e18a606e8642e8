"""Find an engine by name: a built-in one, or one from an installed package."""

from __future__ import annotations

import importlib
from typing import cast

from baton.engines.engine import Engine
from baton.errors import UsageError, nearest

OWN = {
    "simple": "baton.engines.simple:SimpleEngine",
    "make": "baton.engines.make:MakeEngine",
    "prefect": "baton.engines.prefect.engine:PrefectEngine",
    "airflow": "baton.engines.airflow.engine:AirflowEngine",
}
GROUP = "baton.engines"


def find_engine(name: str) -> Engine:
    """Return the engine called `name`.

    Raises
    ------
    UsageError
        If it does not exist.
    """
    reference = OWN.get(name) or _offered().get(name)
    if reference is None:
        known = engine_names()
        raise UsageError(
            f"engine '{name}' does not exist{nearest(name, known)}", f"engines are {', '.join(known)}"
        )
    module, _, attribute = reference.partition(":")
    return cast(Engine, getattr(importlib.import_module(module), attribute)())


def engine_names() -> tuple[str, ...]:
    """Return the names of all engines, built-in ones first."""
    return tuple(dict.fromkeys([*OWN, *sorted(_offered())]))


def _offered() -> dict[str, str]:
    import importlib.metadata

    return {point.name: point.value for point in importlib.metadata.entry_points(group=GROUP)}
