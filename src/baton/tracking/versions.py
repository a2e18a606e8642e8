"""The versions of registered models, and which of them has an alias.

MLflow keeps only the version that has an alias now.  Whoever moves one with baton, a pipeline or a person,
records in a tag of the model which versions have had it, so that it can be given back.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baton.core.addresses import without_secrets
from baton.errors import UsageError, nearest
from baton.tracking.location import database_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

    from baton.tracking.mlflow import MlflowTracker

_HOLDERS = "baton.versions."
"""Prefix of the tag with the versions that have had an alias, in order."""
_KEPT = 100
_ALIAS = re.compile(r"(?!(?i:latest|v\d+)$)[\w-]{1,200}")
"""What MLflow accepts as an alias."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a registered model.

    Parameters
    ----------
    model : str
        Name of the model.
    version : str
        The version's number.
    aliases : tuple of str
        Its aliases now.
    run_id : str
        The tracking run that registered it; empty if none did.
    created : str
        When it was registered, in UTC and ISO format.
    commit : str
        The commit of git that its run was started from; empty if unknown.
    dirty : bool
        Whether that run was started with changes that were not committed.
    """

    model: str
    version: str
    aliases: tuple[str, ...]
    run_id: str
    created: str
    commit: str
    dirty: bool


class ModelVersions:
    """Lists the versions in the registry of a tracker, and moves aliases.

    Every method raises `baton.errors.Unavailable` if the store or server does not answer.
    """

    def __init__(self, tracker: MlflowTracker) -> None:
        self._tracker = tracker

    def all(self, name: str | None = None) -> tuple[ModelVersion, ...]:
        """Return the versions of one model or of all, by model, newest first.

        Raises
        ------
        UsageError
            If there is no model with the name.
        """
        models = self._models()
        if name is not None:
            models = {name: self._known(name, models)}
        return tuple(version for model in models.values() for version in self._versions_of(model))

    def promote(self, name: str, version: str, alias: str) -> str:
        """Give an alias to a version, and return the one that had it; empty if none had.

        Raises
        ------
        UsageError
            If there is no such model or version, or MLflow does not accept the alias.
        """
        from baton.tracking.mlflow import translated

        if not _ALIAS.fullmatch(alias):
            raise UsageError(
                f"'{alias}' cannot be an alias",
                "use letters, digits, _ and -, but neither latest nor a version such as v1",
            )
        model = self._known(name)
        _refuse_unknown(version, [one.version for one in self._versions_of(model)], name)
        with translated(self._tracker.uri):
            return give_alias(self._tracker.client, name, version, alias)

    def roll_back(self, name: str, alias: str) -> tuple[str, str]:
        """Give an alias back to the version that had it before.

        Returns
        -------
        tuple of str
            The version that has lost the alias, and the one that has it now.

        Raises
        ------
        UsageError
            If there is no such model or alias, or if no record says which version had the alias before:
            somebody moved it without baton.
        """
        from baton.tracking.mlflow import translated

        model = self._known(name)
        aliases = {key: str(value) for key, value in model.aliases.items()}
        if alias not in aliases:
            known = f"its aliases are {', '.join(sorted(aliases))}" if aliases else "it has no aliases"
            raise UsageError(
                f"no version of '{name}' has the alias '{alias}'{nearest(alias, aliases)}", known
            )
        current = aliases[alias]
        holders = _holders(model.tags.get(_HOLDERS + alias, ""), current)
        if len(holders) < 2:
            raise UsageError(
                f"no record says which version of '{name}' had the alias '{alias}' before version {current}",
                f"see baton models, then name one: baton models promote {name} VERSION",
            )
        earlier = holders[-2]
        _refuse_unknown(earlier, [one.version for one in self._versions_of(model)], name)
        with translated(self._tracker.uri):
            client = self._tracker.client
            client.set_registered_model_alias(name, alias, earlier)
            client.set_registered_model_tag(name, _HOLDERS + alias, " ".join(holders[:-1]))
        return current, earlier

    def _known(self, name: str, models: dict[str, RegisteredModel] | None = None) -> RegisteredModel:
        found = self._models() if models is None else models
        if name not in found:
            raise UsageError(
                f"MLflow at {without_secrets(self._tracker.uri)} has no registered model '{name}'"
                f"{nearest(name, found)}",
                "list them with: baton models" if found else "register one in a run, with tracking.register",
            )
        return found[name]

    def _models(self) -> dict[str, RegisteredModel]:
        """Return the registered models by name; none, and nothing is written, if there is no store yet."""
        from baton.tracking.mlflow import translated

        database = database_file(self._tracker.uri)
        if database is not None and not database.exists():
            return {}
        self._tracker.check()
        found: list[RegisteredModel] = []
        page: str | None = ""
        with translated(self._tracker.uri):
            while page is not None:
                some = self._tracker.client.search_registered_models(page_token=page or None)
                found += some
                page = some.token or None
        return {model.name: model for model in sorted(found, key=lambda model: str(model.name))}

    def _versions_of(self, model: RegisteredModel) -> list[ModelVersion]:
        from baton.tracking.mlflow import translated

        with translated(self._tracker.uri):
            found = list(_versions(self._tracker.client, model))
        return sorted(found, key=lambda one: int(one.version), reverse=True)


def give_alias(client: MlflowClient, name: str, version: str, alias: str) -> str:
    """Give an alias to a version, record that it has had it, and return the one that had it before."""
    version = str(version)  # MLflow itself gives a number for one that was just made
    model = client.get_registered_model(name)
    current = str(model.aliases.get(alias, ""))
    if current == version:
        return current
    holders = [*_holders(model.tags.get(_HOLDERS + alias, ""), current), version]
    # The record comes first: `_holders` understands one of a move that did not follow.
    client.set_registered_model_tag(name, _HOLDERS + alias, " ".join(holders[-_KEPT:]))
    client.set_registered_model_alias(name, alias, version)
    return current


def _holders(recorded: str, current: str) -> list[str]:
    """Return the versions that have had an alias, in order, as far as it is certain; the current one is last.

    Examples
    --------
    >>> _holders("1 2", "2"), _holders("1 2", "7"), _holders("", "")
    (['1', '2'], ['7'], [])

    A recorded move that was interrupted, or undone without baton:

    >>> _holders("1 2 3", "2")
    ['1', '2']
    """
    versions = recorded.split()
    if versions[-2:-1] == [current] and versions[-1] != current:
        versions.pop()
    if versions[-1:] == [current]:
        return versions
    return [current] if current else []


def _versions(client: MlflowClient, model: RegisteredModel) -> Iterator[ModelVersion]:
    quoted = model.name.replace("'", "\\'")
    aliases = {str(alias): str(version) for alias, version in model.aliases.items()}
    page: str | None = ""
    while page is not None:
        some = client.search_model_versions(f"name = '{quoted}'", page_token=page or None)
        for one in some:
            number = str(one.version)
            created = datetime.datetime.fromtimestamp(one.creation_timestamp / 1000, datetime.UTC)
            yield ModelVersion(
                model=model.name,
                version=number,
                aliases=tuple(sorted(alias for alias, version in aliases.items() if version == number)),
                run_id=one.run_id or "",
                created=created.isoformat(timespec="seconds"),
                commit=one.tags.get("mlflow.source.git.commit", ""),
                dirty=one.tags.get("baton.git_dirty", "").lower() == "true",
            )
        page = some.token or None


def _refuse_unknown(version: str, known: list[str], name: str) -> None:
    if version not in known:
        raise UsageError(
            f"'{name}' has no version {version}",
            f"its versions are {', '.join(reversed(known))}" if known else "it has no versions",
        )
