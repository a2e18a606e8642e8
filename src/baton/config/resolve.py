"""Combine the sources: typed values, each with its origin, or all problems at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from baton.config import environment, file
from baton.config.settings import Settings, all_settings, read_reference
from baton.core.addresses import without_secrets_in_addresses
from baton.core.parameters import Leaf, Parameters, build, leaves, value_of
from baton.core.secret import HIDDEN
from baton.core.values import as_plain, in_plain_words, is_secret, typed
from baton.errors import SettingsError, nearest

Declared = TypeVar("Declared", bound=Parameters)
Source = Literal["default", "file", "environment", "command line"]


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of a value.

    Parameters
    ----------
    source : str
        The kind of source.
    place : str
        The file, variable or option that set it; empty for defaults.
    """

    source: Source
    place: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Resolved settings and parameters.

    Parameters
    ----------
    settings : Settings
        baton's own settings.
    parameters : Parameters
        The pipeline's parameters.
    leaves : tuple of Leaf
        Every setting and parameter, settings first.
    origins : dict of str to Origin
        Origin of each value, by dotted key.
    path : Path
        The configuration file, which need not exist.
    warnings : tuple of str
        What the environment sets without effect.
    """

    settings: Settings
    parameters: Parameters
    leaves: tuple[Leaf, ...]
    origins: Mapping[str, Origin]
    path: Path
    warnings: tuple[str, ...] = ()

    def value(self, leaf: Leaf) -> Any:
        """Return the value of a setting or parameter."""
        first = leaf.path[0]
        owner = self.settings if first in self.settings.__struct_fields__ else self.parameters
        return value_of(owner, leaf.name)

    def of_engine(self, declared: type[Declared]) -> Declared:
        """Return the settings that an engine declared."""
        sections = (getattr(self.settings, name) for name in self.settings.__struct_fields__)
        return next(section for section in sections if isinstance(section, declared))

    def given(self, source: Source) -> dict[str, Any]:
        """Return the values set by one source, by short name, in JSON form."""
        return {
            leaf.name: as_plain(self.value(leaf))
            for leaf in self.leaves
            if self.origins[leaf.key].source == source
        }


def resolve(
    parameters: type[Parameters],
    *,
    path: Path,
    required: bool = False,
    environ: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    parameters_known: bool = True,
    pipeline: str = "",
    keys_of_others: Callable[[], frozenset[str]] = frozenset,
) -> Configuration:
    """Resolve all sources.

    Parameters
    ----------
    parameters : type
        The pipeline's parameters.
    path : Path
        The configuration file.
    required : bool
        Whether the file must exist.
    environ : mapping, optional
        Environment variables; only ``BATON_...`` is used.
    options : mapping, optional
        Values from the command line, by short name: typed or as text.
    parameters_known : bool
        False until the pipeline is found: then unknown names, which may be its parameters, are ignored
        instead of refused.
    pipeline : str
        The pipeline's reference, for its section of the file.
    keys_of_others : callable
        Returns the dotted keys that other pipelines of the folder know: those do not concern this one.
        Called only if there is an unknown key or variable.

    Raises
    ------
    SettingsError
        For every unknown key, wrong type and value out of range, at once.
    """
    problems: list[str] = []
    known = [*leaves(all_settings()), *leaves(parameters)]
    _refuse_shadowing(known)
    by_path = {leaf.path: leaf for leaf in known}
    by_name = {leaf.name: leaf for leaf in known}
    values = {
        leaf.path: typed(leaf.type, leaf.default, from_text=False)
        for leaf in known
        if leaf.default is not msgspec.NODEFAULT
    }
    origins = {leaf.key: Origin("default") for leaf in known}

    def add(leaf: Leaf, given: Any, origin: Origin, *, from_text: bool) -> None:
        try:
            values[leaf.path] = typed(leaf.type, given, from_text=from_text)
            origins[leaf.key] = origin
        except ValueError as error:
            where = f"{origin.place}: {leaf.key}" if origin.source == "file" else origin.place
            problems.append(f"{where} cannot be {shown(leaf, given)}: {error}")

    def add_file(content: Mapping[str, Any], place: str, known_elsewhere: Callable[[str], bool]) -> None:
        for key, given in file.leaves_of(content, frozenset(by_path)):
            if key in by_path:
                add(by_path[key], given, Origin("file", place), from_text=False)
            elif parameters_known and known_elsewhere(".".join(key)):
                continue
            elif any(known_path[: len(key)] == key for known_path in by_path):
                problems.append(f"{place}: '{'.'.join(key)}' must be a section")
            elif parameters_known:
                problems.append(f"{place}: unknown key '{'.'.join(key)}'{_nearest_key(key, known)}")

    content = dict(file.read(path, required=required))
    content.pop(file.SCHEMA, None)
    sections = _sections_of(content.pop(file.PIPELINES, {}), path, problems)
    add_file(content, str(path), lambda key: key in keys_of_others())
    if isinstance(sections.get(pipeline), dict):
        add_file(sections[pipeline], f"{path}: {file.PIPELINES}.{pipeline}", lambda _key: False)
    warnings = []
    for variable, given in environment.read(environ or {}).items():
        name = variable.removeprefix(environment.PREFIX).lower()
        if name in by_name:
            add(by_name[name], given, Origin("environment", variable), from_text=True)
        elif not parameters_known or variable.startswith(environment.TESTS) or _ends(name, keys_of_others()):
            continue
        elif close := [one for one in by_name if nearest(name, [one])]:
            names = map(environment.variable_for, close)
            problems.append(f"unknown environment variable {variable}{nearest(variable, names)}")
        else:
            warnings.append(f"{variable} is neither a setting nor a parameter of this pipeline")
    for name, given in (options or {}).items():
        if name in by_name:
            option = "--" + name.replace("_", "-")
            add(by_name[name], given, Origin("command line", option), from_text=True)
        elif parameters_known:
            problems.append(f"unknown parameter '{name}'{nearest(name, by_name)}")
    if problems:
        raise SettingsError(problems, "show all keys with: baton config show")
    own = {leaf.path for leaf in leaves(all_settings())}
    try:
        return Configuration(
            settings=build(all_settings(), {path: value for path, value in values.items() if path in own}),
            parameters=build(parameters, {path: value for path, value in values.items() if path not in own}),
            leaves=tuple(known),
            origins=origins,
            path=path,
            warnings=tuple(warnings),
        )
    except msgspec.ValidationError as error:
        raise SettingsError([in_plain_words(error)], "show all values with: baton config show") from error


def convert_one(leaf: Leaf, text: str) -> Any:
    """Convert a text to the value of one setting or parameter.

    Raises
    ------
    SettingsError
        If the text has the wrong type or is out of range.
    """
    try:
        value = typed(leaf.type, text, from_text=True)
        if leaf in leaves(all_settings()):
            build(all_settings(), {leaf.path: value})  # checks what its section requires
        return value
    except msgspec.ValidationError as error:
        raise SettingsError([in_plain_words(error)], "show all values with: baton config show") from error
    except ValueError as error:
        raise SettingsError(
            [f"{leaf.key} cannot be {shown(leaf, text)}: {error}"],
            "show all values with: baton config show",
        ) from error


def shown(leaf: Leaf, given: Any) -> str:
    """Return a value that does not fit in a form to show."""
    if is_secret(leaf.type):
        return HIDDEN  # somebody may have written the secret itself
    text = without_secrets_in_addresses(repr(given))
    return text if len(text) <= 60 else text[:57] + "..."


def _nearest_key(key: tuple[str, ...], known: list[Leaf]) -> str:
    same_name = [leaf.key for leaf in known if leaf.name == key[-1]]
    if same_name:
        return f"; did you mean '{same_name[0]}'?"
    return nearest(".".join(key), [leaf.key for leaf in known])


def _ends(name: str, keys: frozenset[str]) -> bool:
    """Whether a name is the last part of a dotted key."""
    return any(key.rpartition(".")[2] == name for key in keys)


def _sections_of(content: Any, path: Path, problems: list[str]) -> dict[str, Any]:
    """Return what the file sets for single pipelines, by their references."""
    if not isinstance(content, dict):
        problems.append(f"{path}: '{file.PIPELINES}' must be a section")
        return {}
    sections: dict[str, Any] = {}
    for name, section in content.items():
        try:
            sections[read_reference(name)] = section
        except ValueError as error:
            problems.append(f"{path}: '{file.PIPELINES}.{name}': {error}")
        if not isinstance(section, dict):
            problems.append(f"{path}: '{file.PIPELINES}.{name}' must be a section")
    return sections


def _refuse_shadowing(known: list[Leaf]) -> None:
    seen: dict[str, str] = {}
    for leaf in known:
        if leaf.path[0] == file.PIPELINES:
            raise SettingsError(
                [f"parameter {leaf.key} is in '{file.PIPELINES}', a section of the configuration file"],
                "rename it in the pipeline's parameters",
            )
        if leaf.name in seen:
            raise SettingsError(
                [f"parameter {leaf.key} has the name of {seen[leaf.name]}"],
                "rename it in the pipeline's parameters",
            )
        seen[leaf.name] = leaf.key
