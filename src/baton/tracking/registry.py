"""Query MLflow's registry within milliseconds, because importing MLflow takes seconds.

SQLite databases are read directly, servers through their REST API.  Other stores need MLflow itself.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Protocol

from baton.core.addresses import without_secrets, without_secrets_in_addresses
from baton.core.tracker import ModelRegistry
from baton.errors import Unavailable
from baton.tracking.location import database_file

_ALIAS = "champion"
_ANSWER_WITHIN_S = 4.0
_LOCK_TIMEOUT_S = 0.5
NONE = "no champion"
"""The answer for a version that does not exist."""

_RUN = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
_BY_ALIAS = """
SELECT a.version, v.run_id, v.source, v.creation_time, t.key, t.value
FROM registered_model_aliases a
LEFT JOIN model_versions v ON v.name = a.name AND v.version = a.version
LEFT JOIN model_version_tags t ON t.name = a.name AND t.version = a.version
WHERE a.name = ? AND a.alias = ?
"""
_BY_VERSION = """
SELECT v.version, v.run_id, v.source, v.creation_time, t.key, t.value
FROM model_versions v
LEFT JOIN model_version_tags t ON t.name = v.name AND t.version = v.version
WHERE v.name = ? AND v.version = ? AND v.current_stage != 'Deleted_Internal'
"""


class QuickRegistry(ModelRegistry, Protocol):
    """Also answers about versions other than the champion."""

    def version(self, model: str, *, alias: str = "", version: str = "") -> str:
        """Describe in one line a version and its source; `NONE` if it does not exist."""


def quick_registry(uri: str) -> QuickRegistry:
    """Return a quick registry for the MLflow store at a URI."""
    if uri.startswith(("http://", "https://")):
        return _Server(uri)
    return _Database(uri)


class _Database:
    """Implements `baton.core.tracker.ModelRegistry` on a SQLite database in a file."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._file = database_file(uri)

    def champion(self, model: str) -> str:
        return self.version(model, alias=_ALIAS)

    def version(self, model: str, *, alias: str = "", version: str = "") -> str:
        found = self._ask(_BY_ALIAS, model, alias) if alias else self._ask(_BY_VERSION, model, version)
        if not found:
            return NONE
        number, run_id, source, made_at = found[0][:4]
        tags = {key: value for *_, key, value in found if key is not None}
        return version_in_one_line(number, run_id, source, made_at, tags)

    def has_run(self, run_id: str) -> bool:
        return self._ask(_RUN, run_id) == [("active",)]

    def _ask(self, question: str, *values: str) -> list[Any]:
        if self._file is None:
            raise Unavailable(f"the MLflow store at {without_secrets(self._uri)} has no quick answer")
        if not self._file.exists():
            return []
        address = f"{self._file.as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(address, timeout=_LOCK_TIMEOUT_S, uri=True)) as connection:
                return connection.execute(question, values).fetchall()
        except sqlite3.Error as error:  # busy, or tables of another MLflow version
            raise Unavailable(f"the MLflow store {self._file} cannot be read: {error}") from error


class _Server:
    """Implements `baton.core.tracker.ModelRegistry` with the REST API of an MLflow server."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def champion(self, model: str) -> str:
        return self.version(model, alias=_ALIAS)

    def version(self, model: str, *, alias: str = "", version: str = "") -> str:
        if alias:
            found = self._get("registered-models/alias", name=model, alias=alias)
        else:
            found = self._get("model-versions/get", name=model, version=version)
        if found is None:
            return NONE
        one = found["model_version"]
        return version_in_one_line(
            one["version"],
            one.get("run_id"),
            one.get("source"),
            one.get("creation_timestamp"),
            {tag["key"]: tag.get("value", "") for tag in one.get("tags", ())},
        )

    def has_run(self, run_id: str) -> bool:
        found = self._get("runs/get", run_id=run_id)
        return found is not None and found["run"]["info"]["lifecycle_stage"] == "active"

    def _get(self, what: str, **asked: str) -> Any:
        """Return the answer, or None if the object does not exist."""
        import httpx

        shown = without_secrets(self._uri)
        try:
            answer = httpx.get(f"{self._uri}/api/2.0/mlflow/{what}", params=asked, timeout=_ANSWER_WITHIN_S)
            content = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            reason = without_secrets_in_addresses(str(error))
            raise Unavailable(f"the MLflow server at {shown} did not answer: {reason}") from error
        if answer.is_success:
            return content
        code = content.get("error_code") if isinstance(content, dict) else None
        # A model without the alias is an invalid parameter to MLflow.
        if code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise Unavailable(f"the MLflow server at {shown} answered {answer.status_code}")


def version_in_one_line(
    version: object, run_id: object, source: object, made_at: object, tags: Mapping[str, str]
) -> str:
    """Describe a version; the digest changes if it is recreated or tagged otherwise."""
    text = f"{source}\0{made_at}\0" + "\0".join(f"{key}={tags[key]}" for key in sorted(tags))
    return f"version {version} of run {run_id or 'none'} ({hashlib.sha256(text.encode()).hexdigest()[:12]})"
