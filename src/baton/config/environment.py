"""The environment: ``BATON_`` and the name of a setting or parameter in capitals."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "BATON_"
OWN = frozenset({"BATON_CONFIG", "BATON_PROJECT"})
"""Variables that locate the project and are not settings."""
TESTS = "BATON_TEST_"
"""Prefix of variables that belong to the test suite."""


def read(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the values set by the environment, by variable; empty values count as not set."""
    return {
        name: text
        for name, text in environ.items()
        if name.startswith(PREFIX) and name not in OWN and text != ""
    }


def variable_for(name: str) -> str:
    """Return the variable that sets the setting or parameter `name`."""
    return PREFIX + name.upper()
