"""Query MLflow's registry within milliseconds, because importing MLflow takes seconds.

SQLite databases are read directly, servers through their REST API.  Other stores need MLflow itself.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from baton.core.addresses import without_secrets, without_secrets_in_addresses
from baton.core.tracker import ModelRegistry
from baton.errors import Unavailable
from baton.tracking.location import database_file

_ALIAS = "champion"
_ANSWER_WITHIN_S = 4.0
_LOCK_TIMEOUT_S = 0.5
_NONE = "no champion"

_RUN = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
_CHAMPION = """
SELECT a.version, v.run_id, v.source, v.creation_time, t.key, t.value
FROM registered_model_aliases a
LEFT JOIN model_versions v ON v.name = a.name AND v.version = a.version
LEFT JOIN model_version_tags t ON t.name = a.name AND t.version = a.version
WHERE a.name = ? AND a.alias = ?
"""


def quick_registry(uri: str) -> ModelRegistry:
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
        found = self._ask(_CHAMPION, model, _ALIAS)
        if not found:
            return _NONE
        version, run_id, source, made_at = found[0][:4]
        tags = {key: value for *_, key, value in found if key is not None}
        return _in_one_line(version, run_id, source, made_at, tags)

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
        found = self._get("registered-models/alias", name=model, alias=_ALIAS)
        if found is None:
            return _NONE
        version = found["model_version"]
        return _in_one_line(
            version["version"],
            version.get("run_id"),
            version.get("source"),
            version.get("creation_timestamp"),
            {tag["key"]: tag.get("value", "") for tag in version.get("tags", ())},
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


def _in_one_line(
    version: object, run_id: object, source: object, made_at: object, tags: Mapping[str, str]
) -> str:
    """Describe a version; the digest changes if it is recreated or tagged otherwise."""
    text = f"{source}\0{made_at}\0" + "\0".join(f"{key}={tags[key]}" for key in sorted(tags))
    return f"version {version} of run {run_id or 'none'} ({hashlib.sha256(text.encode()).hexdigest()[:12]})"
