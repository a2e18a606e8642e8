"""The interface of an experiment tracker; `baton.tracking` has the implementations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from baton.errors import TaskError


class UnusableModel(TaskError, ValueError):
    """A stored model that cannot predict; the message is a clause about it, such as "it is gone".

    Also a ValueError, for code that does not know baton.
    """


@dataclass(frozen=True, slots=True)
class Champion:
    """The registered model version that is in use.

    Parameters
    ----------
    version : str
        The version's number in the registry.
    tags : mapping of str to str
        The version's tags.
    uri : str
        Where the tracker loads it from.
    """

    version: str
    tags: Mapping[str, str]
    uri: str


class TrackingRun(Protocol):
    """The tracker's record of one execution.  Every method is safe to repeat, as a retried effect does."""

    @property
    def run_id(self) -> str:
        """The tracker's id of the run; the first access creates the run."""

    @property
    def started(self) -> bool:
        """Whether the run has been created."""

    @property
    def url(self) -> str:
        """Where to see the run, or how to get there."""

    def log_parameters(self, parameters: Mapping[str, object]) -> None:
        """Record the parameters."""

    def log_metrics(self, final: Mapping[str, float], series: Mapping[str, Sequence[float]]) -> None:
        """Record final metrics and, per series, one value per step, in one request."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Label the run."""

    def log_files(self, files: Mapping[str, Path]) -> None:
        """Attach files under the given names; a slash in a name creates a folder."""

    def log_figure(self, name: str, figure: Any) -> None:
        """Attach a picture: a figure of matplotlib or plotly, or the path of one that another task drew.

        The name ends in ``.png``, or in ``.html`` for plotly; a slash in it creates a folder.
        """

    def child(self, name: str) -> AbstractContextManager[TrackingRun]:
        """Return a run inside this one, such as a trial of a search; it is closed at the end of the context.

        A child of the same name is continued.
        """

    def log_table(
        self, name: str, *, digest: str, source: str, columns: Mapping[str, str], rows: int, context: str
    ) -> None:
        """Record which data set was used, and for what, without copying it."""

    def log_model(
        self,
        model: Any,
        name: str,
        *,
        flavor: str = "",
        requirements: Sequence[str] = (),
        example: Any = None,
    ) -> str:
        """Attach a model; return its URI.

        A model that this run has under the name already is not attached again.

        Parameters
        ----------
        model : Any
            The model.
        name : str
            Its name in the run.
        flavor : str
            The model's library as MLflow names it: ``"xgboost"``, ``"sklearn"``, ``"lightgbm"``; that of
            its class unless given.
        requirements : sequence of str
            Packages that it needs; its library in the installed version unless given.
        example : Any
            Some rows that it can predict, for the model's signature.
        """

    def log_python_model(
        self,
        name: str,
        *,
        script: Path,
        files: Mapping[str, Path],
        signature: Any,
        requirements: Sequence[str],
    ) -> str:
        """Attach a model served by `script`, which reads `files`; return the model's URI."""

    def champion(self, model: str) -> Champion | None:
        """Return the registered version with the alias ``champion``, or None."""

    def predict(self, uri: str, records: Any) -> Any:
        """Return the predictions of a stored model for a table of raw records.

        Raises
        ------
        UnusableModel
            If the model is gone, cannot be loaded here, or rejects the records.
        """

    def register(self, model: str, uri: str, tags: Mapping[str, str]) -> str:
        """Register the model at `uri` as a new version, once per run; return the version."""

    def promote(self, model: str, version: str) -> None:
        """Give `version` the alias ``champion``."""

    def finish(self, *, good: bool) -> None:
        """Close the run."""


class ModelRegistry(Protocol):
    """Answers questions about the registry within milliseconds, without loading the tracker.

    An effect's ``version`` gets it through an argument annotated ``ModelRegistry``.  Every method
    raises `baton.errors.Unavailable` if it has no quick answer.
    """

    def champion(self, model: str) -> str:
        """Describe in one line the version with the alias ``champion`` and its source."""

    def has_run(self, run_id: str) -> bool:
        """Whether a tracking run exists and is not deleted."""


class Tracker(Protocol):
    """Creates tracking runs."""

    def check(self) -> None:
        """Raise `baton.errors.Unavailable` within 10 s if the tracker cannot be used."""

    def start(self, *, name: str, tags: Mapping[str, str]) -> TrackingRun:
        """Return a new tracking run, created at the latest on the first access to its id."""

    def resume(self, run_id: str) -> TrackingRun:
        """Return the tracking run that another process started."""
