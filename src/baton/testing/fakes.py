"""What tasks are given, in memory, for unit tests of one's own tasks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from baton.core.context import Provenance, TaskContext
from baton.core.events import Reporter, ignore_events
from baton.core.tracker import Champion, UnusableModel

_ALIAS = "champion"


def task_context(
    folder: Path,
    *,
    task: str = "task",
    provenance: Provenance | None = None,
    report: Reporter = ignore_events,
) -> TaskContext:
    """Return a context as a running task gets it.

    What the task reported is in its attributes `facts`, `products` and `unremembered`; a `RecordingReporter`
    given as `report` has what it logged.

    Parameters
    ----------
    folder : Path
        An empty folder, such as pytest's ``tmp_path``; the context's folders are made in it.
    task : str
        Name of the task.
    provenance : Provenance, optional
        What an effect can tell about its run.
    report : callable, optional
        Receives the task's events; they are dropped unless given.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     context = task_context(Path(folder))
    ...     context.fact("RMSE", 6.6)
    ...     print(context.facts, list(context.scratch.iterdir()))
    [('RMSE', '6.6')] []
    """
    places = {name: folder / name for name in ("scratch", "data", "models")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    return TaskContext(
        task=task,
        scratch=places["scratch"],
        data_dir=places["data"],
        models_dir=places["models"],
        project=folder,
        provenance=provenance or Provenance(),
        report=report,
    )


class FakeModelRegistry:
    """A model registry in memory; implements `baton.ModelRegistry`.

    Attributes
    ----------
    versions : dict of str to list of dict
        The versions of each model, oldest first: their ``uri``, ``run_id`` and ``tags``.
    aliases : dict of str to dict of str to str
        For each model, the version of each alias.
    models : dict of str to object
        Every model that was logged, by its URI.
    runs : set of str
        The ids of the runs that have begun.
    """

    def __init__(self) -> None:
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.aliases: dict[str, dict[str, str]] = {}
        self.models: dict[str, Any] = {}
        self.runs: set[str] = set()

    def champion(self, model: str) -> str:
        """Describe in one line the version with the alias ``champion`` and its source."""
        version = self.aliases.get(model, {}).get(_ALIAS)
        if version is None:
            return "no champion"
        found = self.versions[model][int(version) - 1]
        return f"version {version}, run {found['run_id']}, source {found['uri']}"

    def has_run(self, run_id: str) -> bool:
        """Whether a tracking run exists."""
        return run_id in self.runs


class FakeTrackingRun:
    """A tracking run in memory; implements `baton.TrackingRun`.

    Parameters
    ----------
    registry : FakeModelRegistry, optional
        Where models are registered; shared by runs that shall see each other's models.

    Attributes
    ----------
    parameters, metrics, tags : dict
        What was recorded, by name; values of parameters are texts.
    series : dict of str to list of float
        The metrics that have a value for each step.
    files : dict of str to bytes
        The attached files and pictures, by name.
    tables : dict of str to dict
        The data sets, by name.
    models : dict of str to str
        The URI of each attached model, by name; the last one of a name.
    children : dict of str to FakeTrackingRun
        The runs inside this one, by name.
    state : str
        ``"running"``, ``"finished"`` or ``"failed"``.

    Examples
    --------
    >>> run = FakeTrackingRun()
    >>> run.log_metrics({"rmse": 6.6}, {})
    >>> run.metrics
    {'rmse': 6.6}
    """

    _ids = itertools.count(1)

    def __init__(self, registry: FakeModelRegistry | None = None) -> None:
        self.registry = registry or FakeModelRegistry()
        self.parameters: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.series: dict[str, list[float]] = {}
        self.tags: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.tables: dict[str, dict[str, Any]] = {}
        self.models: dict[str, str] = {}
        self.children: dict[str, FakeTrackingRun] = {}
        self.state = "running"
        self._run_id = ""
        self._attached: dict[tuple[object, ...], str] = {}

    @property
    def run_id(self) -> str:
        """The run's id, given on first access."""
        return self._begin()._run_id

    @property
    def started(self) -> bool:
        """Whether the run has an id."""
        return bool(self._run_id)

    @property
    def url(self) -> str:
        """An address that leads nowhere."""
        return f"http://tracking.invalid/runs/{self.run_id}"

    def log_parameters(self, parameters: Mapping[str, object]) -> None:
        """Keep the parameters."""
        self._begin().parameters.update({name: str(value) for name, value in parameters.items()})

    def log_metrics(self, final: Mapping[str, float], series: Mapping[str, Sequence[float]]) -> None:
        """Keep the metrics."""
        self._begin().metrics.update(final)
        self.series.update({name: list(values) for name, values in series.items()})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Keep the tags."""
        self._begin().tags.update(tags)

    def log_files(self, files: Mapping[str, Path]) -> None:
        """Keep the content of the files."""
        for name in files:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"file name {name!r} is outside the run's folder")
        self._begin().files.update({name: path.read_bytes() for name, path in files.items()})

    def log_figure(self, name: str, figure: Any) -> None:
        """Keep the picture."""
        from baton.kinds.figure import drawn

        with drawn(name, figure) as path:
            self.log_files({name: path})

    @contextmanager
    def child(self, name: str) -> Iterator[FakeTrackingRun]:
        """Yield the run of this name inside this one."""
        run = self._begin().children.setdefault(name, FakeTrackingRun(self.registry))
        run.state = "failed"
        yield run._begin()
        run.state = "finished"

    def log_table(
        self, name: str, *, digest: str, source: str, columns: Mapping[str, str], rows: int, context: str
    ) -> None:
        """Keep what is known of a data set."""
        self._begin().tables[name] = {
            "digest": digest,
            "source": source,
            "columns": dict(columns),
            "rows": rows,
            "context": context,
        }

    def log_model(
        self,
        model: Any,
        name: str,
        *,
        flavor: str = "",
        requirements: Sequence[str] = (),
        example: Any = None,
    ) -> str:
        """Keep a model; refuse one that MLflow could not keep."""
        from baton.tracking.flavors import content_of, flavor_of

        chosen = flavor or flavor_of(model)
        return self._attach(name, model, (content_of(model, chosen), tuple(requirements), str(example)))

    def log_python_model(
        self,
        name: str,
        *,
        script: Path,
        files: Mapping[str, Path],
        signature: Any,
        requirements: Sequence[str],
    ) -> str:
        """Keep the script's text and the files' content."""
        kept = {"script": script.read_bytes(), **{label: path.read_bytes() for label, path in files.items()}}
        return self._attach(name, kept, (str(kept), tuple(requirements), str(signature)))

    def champion(self, model: str) -> Champion | None:
        """Return the registered version with the alias ``champion``, or None."""
        version = self.registry.aliases.get(model, {}).get(_ALIAS)
        if version is None:
            return None
        return Champion(
            version,
            dict(self.registry.versions[model][int(version) - 1]["tags"]),
            f"models:/{model}@{_ALIAS}",
        )

    def predict(self, uri: str, records: Any) -> Any:
        """Return what the model's ``predict`` returns."""
        name, _, alias = uri.removeprefix("models:/").partition("@")
        if alias:
            version = self.registry.aliases.get(name, {}).get(alias, "0")
            uri = self.registry.versions[name][int(version) - 1]["uri"] if version != "0" else ""
        if uri not in self.registry.models:
            raise UnusableModel("it is gone")
        try:
            return self.registry.models[uri].predict(records)
        except Exception as error:  # a model may raise anything
            raise UnusableModel(f"it cannot predict: {error}") from error

    def register(self, model: str, uri: str, tags: Mapping[str, str]) -> str:
        """Add a version, once per run."""
        versions = self.registry.versions.setdefault(model, [])
        for number, version in enumerate(versions, start=1):
            if version["run_id"] == self.run_id:
                return str(number)
        versions.append({"uri": uri, "run_id": self.run_id, "tags": dict(tags)})
        return str(len(versions))

    def promote(self, model: str, version: str) -> None:
        """Give a version the alias ``champion``."""
        self.registry.aliases.setdefault(model, {})[_ALIAS] = str(version)

    def finish(self, *, good: bool) -> None:
        """Close the run."""
        if self.started:
            self.state = "finished" if good else "failed"

    def _begin(self) -> FakeTrackingRun:
        """Give the run its id, as the first record does, and return it."""
        if not self._run_id:
            self._run_id = f"{next(self._ids):032x}"
            self.registry.runs.add(self._run_id)
        return self

    def _attach(self, name: str, model: Any, content: tuple[object, ...]) -> str:
        uri = f"models:/m-{self._begin().run_id[-6:]}-{len(self.registry.models) + 1}"
        if content[0]:
            uri = self._attached.setdefault((name, *content), uri)
        self.registry.models[uri] = model
        self.models[name] = uri
        return uri
