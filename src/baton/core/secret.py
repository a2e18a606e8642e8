"""Secrets as parameters: a parameter says where the secret is, and only the task that needs it reads it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from baton.errors import TaskError, UsageError

HIDDEN = "(hidden)"
"""Replaces a secret in texts."""

FORMS = "env:NAME, file:PATH, airflow-variable:NAME, airflow-connection:NAME or prefect-block:NAME"
_SOURCES = ("env", "file", "airflow-variable", "airflow-connection", "prefect-block")
_revealed: set[str] = set()
"""The secrets that this process has read."""


class Secret:
    """Where a secret is; the type of a parameter that is one.

    The secret itself is never part of the parameters, and so of no cache key, record, form or tracking run:
    only `reveal` reads it.  What tasks log and how they fail is shown without the secrets that were read.

    Parameters
    ----------
    reference : str
        ``"env:NAME"`` for an environment variable, ``"file:PATH"`` for the content of a file,
        ``"airflow-variable:NAME"``, ``"airflow-connection:NAME"`` for a connection's password, or
        ``"prefect-block:NAME"`` for a block of the type Secret.

    Raises
    ------
    ValueError
        If it is none of these.  The message does not repeat it: it may be the secret.

    Examples
    --------
    >>> Secret("env:DB_PASSWORD")
    Secret('env:DB_PASSWORD')
    """

    __slots__ = ("_name", "_source")

    def __init__(self, reference: str) -> None:
        source, _, name = reference.partition(":")
        if source not in _SOURCES or not name:
            raise ValueError(f"expected where the secret is: {FORMS}")
        self._source = source
        self._name = name

    def __str__(self) -> str:
        """Return where the secret is."""
        return f"{self._source}:{self._name}"

    def __repr__(self) -> str:
        """Return where the secret is, as in Python."""
        return f"Secret({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        """Whether both are in the same place."""
        return isinstance(other, Secret) and str(self) == str(other)

    def __hash__(self) -> int:
        """Return a hash of the place."""
        return hash(str(self))

    def reveal(self) -> str:
        """Return the secret; call it where the secret is used, and pass it on to nothing that is kept.

        Raises
        ------
        TaskError
            If it is not there.
        """
        try:
            found = self._read()
        except Exception as error:  # Airflow and Prefect raise their own
            raise TaskError(
                f"the secret {self} cannot be read: {type(error).__name__}", _hint_for(self._source)
            ) from None
        if not found:
            raise TaskError(f"the secret {self} is not set", _hint_for(self._source))
        _revealed.add(found)
        _tell_airflow(found)
        return found

    def require(self) -> None:
        """Raise `UsageError` if this machine can tell that the secret is not there; read nothing else."""
        if self._source == "env" and not os.environ.get(self._name):
            raise UsageError(
                f"the environment variable {self._name} of a secret is not set", _hint_for("env")
            )
        if self._source == "file" and not self._path.is_file():
            raise UsageError(f"the file {self._name} of a secret does not exist", _hint_for("file"))

    @property
    def _path(self) -> Path:
        return Path(self._name).expanduser()

    def _read(self) -> str:
        if self._source == "env":
            return os.environ.get(self._name, "")
        if self._source == "file":
            return self._path.read_text(encoding="utf-8").removesuffix("\n")
        if self._source == "prefect-block":
            from prefect.blocks.system import Secret as Block

            return str(Block.load(self._name).get())  # type: ignore[union-attr]  # without await
        from airflow.sdk import Connection, Variable

        if self._source == "airflow-variable":
            return str(Variable.get(self._name))
        return str(Connection.get(self._name).password or "")


def hide(text: str) -> str:
    """Return a text without the secrets that this process has read."""
    for secret in sorted(_revealed, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _tell_airflow(secret: str) -> None:
    """Let Airflow hide the secret in the logs that it captures, if this is one of its processes."""
    if "airflow.sdk" in sys.modules:
        with suppress(Exception):  # without it, baton's own lines are still hidden
            from airflow.sdk.log import mask_secret

            mask_secret(secret)


def _hint_for(source: str) -> str:
    return {
        "env": "set it in the environment of the run",
        "file": "create it, readable by the user who runs the task alone",
        "airflow-variable": "create it in Airflow, under Admin, Variables; only Airflow can read it",
        "airflow-connection": "create it in Airflow, under Admin, Connections; only Airflow can read it",
        "prefect-block": "create it in Prefect, under Blocks, with the type Secret",
    }[source]
