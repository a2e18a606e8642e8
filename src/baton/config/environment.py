"""The environment: ``BATON_`` and a setting's or parameter's name in capitals."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "BATON_"
OWN = frozenset({"BATON_CONFIG", "BATON_PROJECT"})
"""Variables that say where to look, and are no settings themselves."""
TESTS = "BATON_TEST_"
"""Prefix of variables that belong to the test suite."""


def read(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the environment sets, by the variable's name; empty texts count as not set."""
    return {
        name: text
        for name, text in environ.items()
        if name.startswith(PREFIX) and name not in OWN and text != ""
    }


def variable_for(name: str) -> str:
    """Return the variable that sets the setting or parameter `name`."""
    return PREFIX + name.upper()
