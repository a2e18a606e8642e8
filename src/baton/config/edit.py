"""Edit a configuration file from a program: invalid values are refused when they are set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baton.config import file
from baton.config.resolve import Configuration, resolve, shown
from baton.config.settings import all_settings
from baton.core.parameters import Leaf, Parameters, leaves
from baton.core.values import as_plain, read_path, typed
from baton.errors import SettingsError, nearest


class ConfigurationFile:
    """A configuration file with unsaved changes.

    Parameters
    ----------
    parameters : type
        The pipeline's parameters.
    path : Path, optional
        The file, which need not exist; ``BATON_CONFIG`` or the one in the current folder unless given.
    own_defaults : mapping of str to Any, optional
        Values by short name that a new file contains instead of the defaults.
    """

    def __init__(
        self,
        parameters: type[Parameters],
        path: Path | None = None,
        own_defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path or Path(read_path(os.environ.get("BATON_CONFIG") or file.DEFAULT_NAME))
        self._parameters = parameters
        self._own_defaults = dict(own_defaults or {})
        self._leaves: tuple[Leaf, ...] = (*leaves(all_settings()), *leaves(parameters))
        self._changes: dict[Leaf, Any] = {}

    @property
    def is_changed(self) -> bool:
        """Whether there are unsaved changes."""
        return bool(self._changes)

    def update(self, section: str, **values: Any) -> None:
        """Set values of a section by name; None leaves a value as it is.

        Raises
        ------
        SettingsError
            If the section does not have the name, or a value has the wrong type or is out of range.
        """
        known = {leaf.name: leaf for leaf in self._leaves if leaf.path[0] == section}
        given = {name: value for name, value in values.items() if value is not None}
        problems, changes = [], {}
        for name, value in given.items():
            if name not in known:
                problems.append(f"section '{section}' has no '{name}'{nearest(name, known)}")
                continue
            try:
                changes[known[name]] = typed(known[name].type, value, from_text=False)
            except ValueError as error:
                problems.append(f"{known[name].key} cannot be {shown(known[name], value)}: {error}")
        if problems:
            raise SettingsError(problems, "show all keys with: baton config show")
        self._changes.update(changes)

    def save(self) -> Path:
        """Write the changes to the file, keep everything else, and return its path.

        Raises
        ------
        SettingsError
            If the file cannot be read or written, or its values do not fit together.
        """
        self.resolve()
        file.write_values(self.path, {leaf.path: as_plain(value) for leaf, value in self._changes.items()})
        self._changes = {}
        return self.path

    def create_default(self) -> Path | None:
        """Write every setting and parameter with its default into the file.

        Returns
        -------
        Path or None
            The copy of the previous file, or None.

        Raises
        ------
        SettingsError
            If the file cannot be written.
        """
        kept = file.keep_copy(self.path) if self.path.exists() else None
        defaults = {
            leaf.path: as_plain(self._own_defaults.get(leaf.name, leaf.default)) for leaf in self._leaves
        }
        file.write_values(self.path, defaults, alone=True)
        return kept

    def resolve(self) -> Configuration:
        """Return all values as a run would see them after saving, each with its origin.

        Raises
        ------
        SettingsError
            If a value from any source is invalid.
        """
        changes = {leaf.name: value for leaf, value in self._changes.items()}
        return resolve(self._parameters, path=self.path, environ=os.environ, options=changes)

    def as_dict(self) -> dict[str, Any]:
        """Return all values as a run would see them, in the file's sections and in JSON form."""
        configuration = self.resolve()
        content: dict[str, Any] = {}
        for leaf in configuration.leaves:
            place = content
            for name in leaf.path[:-1]:
                place = place.setdefault(name, {})
            place[leaf.name] = as_plain(configuration.value(leaf))
        return content
