"""Registered models as inputs: which version a name means now, and its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from baton.core.tracker import UnusableModel
from baton.errors import TaskError, Unavailable
from baton.tracking.registry import NONE, quick_registry

if TYPE_CHECKING:
    from baton.tracking.mlflow import MlflowTracker


class RegisteredModels:
    """Implements `baton.store.external.Models` with MLflow's registry.

    Parameters
    ----------
    tracker : callable
        Returns the tracker; importing MLflow takes seconds, so it is called only for a download and where
        the registry has no quick answer.
    """

    def __init__(self, uri: str, tracker: Callable[[], MlflowTracker]) -> None:
        self._uri = uri
        self._tracker = tracker

    def state(self, address: str) -> str:
        """Describe in one line the version that an address means now."""
        name, alias, version = parts_of(address)
        try:
            found = quick_registry(self._uri).version(name, alias=alias, version=version)
        except Unavailable:
            found = self._tracker().version(name, alias=alias, version=version)
        if found == NONE:
            wanted = f"has no version {version}" if version else f"has no version with the alias '{alias}'"
            raise TaskError(
                f"the registered model '{name}' {wanted}",
                "register one, or name another: NAME, NAME@ALIAS or NAME/VERSION; see baton models",
            )
        return found

    def fetch(self, address: str, folder: Path) -> Path:
        """Download the model's files into a folder, and return the model's folder."""
        try:
            return Path(self._tracker().fetch_model(f"models:/{address}", str(folder)))
        except UnusableModel as error:
            raise TaskError(f"the registered model '{address}' cannot be read: {error}") from error


def parts_of(address: str) -> tuple[str, str, str]:
    """Return name, alias and version of an address; alias or version is empty.

    Examples
    --------
    >>> parts_of("fares@champion"), parts_of("fares/3")
    (('fares', 'champion', ''), ('fares', '', '3'))
    """
    if "@" in address:
        name, _, alias = address.rpartition("@")
        return name, alias, ""
    name, _, version = address.rpartition("/")
    return name, "", version
