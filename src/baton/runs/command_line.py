"""Build command lines that make another baton command see a project as this one does."""

from __future__ import annotations

from typing import Any

from baton.config.file import DEFAULT_NAME
from baton.core.addresses import without_secrets
from baton.core.values import as_text
from baton.runs.project import Project


def given_options(project: Project) -> dict[str, Any]:
    """Return what the command line or the caller set for a project, except the engine."""
    given = project.configuration.given("command line")
    return {name: value for name, value in given.items() if name != "engine"}


def options_of(project: Project, *, anywhere: bool = False) -> list[str]:
    """Return the options that make another command see a project the same way.

    Parameters
    ----------
    project : Project
        The project.
    anywhere : bool
        Whether the command may run in any folder, or only in the current one.
    """
    path = project.configuration.path
    place = [f"--project={project.folder}"] if anywhere else []
    place += [] if path == project.folder / DEFAULT_NAME else [f"--config={path}"]
    given = given_options(project)
    return [*place, *(f"--{name.replace('_', '-')}={as_text(value)}" for name, value in given.items())]


def shown_word(word: str) -> str:
    """Return a word of a command line, safe to show: addresses, also in options, without secrets.

    Examples
    --------
    >>> shown_word("--tracking-uri=https://me:secret@host/path")
    '--tracking-uri=https://host/path'
    """
    option, equals, value = word.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={without_secrets(value)}"
    return without_secrets(word)
