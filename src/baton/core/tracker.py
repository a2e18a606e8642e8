"""What an experiment tracker must offer; `baton.tracking` has the implementations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from baton.errors import TaskError


class UnusableModel(TaskError, ValueError):
    """A stored model that cannot predict; the message is half a sentence about it, as "it is gone".

    It is a ValueError too, for code that does not know baton.
    """


@dataclass(frozen=True, slots=True)
class Champion:
    """The registered model version that serves now.

    Parameters
    ----------
    version : str
        The version's number in the registry.
    tags : mapping of str to str
        The version's tags.
    uri : str
        Where the tracker can load it from.
    """

    version: str
    tags: Mapping[str, str]
    uri: str


class TrackingRun(Protocol):
    """One execution's record with the tracker.  Every method can be repeated safely."""

    @property
    def run_id(self) -> str:
        """The tracker's id of the run; the run is made when it is first asked for."""

    @property
    def started(self) -> bool:
        """Whether the run is made already."""

    @property
    def url(self) -> str:
        """Where a person sees the run, or how to get there."""

    def log_parameters(self, parameters: Mapping[str, object]) -> None:
        """Record the parameters."""

    def log_metrics(self, final: Mapping[str, float], series: Mapping[str, Sequence[float]]) -> None:
        """Record final metrics, and one value a step for each series, in one request."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Label the run."""

    def log_files(self, files: Mapping[str, Path]) -> None:
        """Attach files under the given names; a slash in a name makes a folder."""

    def log_table(
        self, name: str, *, digest: str, source: str, columns: Mapping[str, str], rows: int, context: str
    ) -> None:
        """Record which data set was used and for what, without copying it."""

    def log_model(self, model: Any, name: str, *, flavor: str, requirements: Sequence[str]) -> str:
        """Attach a model; return its URI.

        Parameters
        ----------
        model : Any
            The model.
        name : str
            Its name in the run.
        flavor : str
            The library whose model it is, by MLflow's name: ``"xgboost"``, ``"sklearn"``, ``"lightgbm"``.
        requirements : sequence of str
            What must be installed to use it.
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
            If the model is gone, cannot be loaded here, or does not take the records.
        """

    def register(self, model: str, uri: str, tags: Mapping[str, str]) -> str:
        """Register the model at `uri` as a new version, once for each run; return the version."""

    def promote(self, model: str, version: str) -> None:
        """Give `version` the alias ``champion``."""

    def finish(self, *, good: bool) -> None:
        """Close the run."""


class ModelRegistry(Protocol):
    """Answers within milliseconds, without loading the tracker, what is there.

    An effect's ``version`` asks for it with an argument annotated ``ModelRegistry``.  Every method raises
    `baton.errors.Unavailable` where it cannot tell quickly.
    """

    def champion(self, model: str) -> str:
        """Say in one line which version has the alias ``champion``, and from what it is."""

    def has_run(self, run_id: str) -> bool:
        """Whether a tracking run is there and not deleted."""


class Tracker(Protocol):
    """Makes tracking runs."""

    def check(self) -> None:
        """Raise `baton.errors.Unavailable` within 10 s if the tracker cannot be used."""

    def start(self, *, name: str, tags: Mapping[str, str]) -> TrackingRun:
        """Return a new tracking run, made at the latest when its id is asked for."""

    def resume(self, run_id: str) -> TrackingRun:
        """Return the tracking run that another process started."""
