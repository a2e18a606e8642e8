"""What tasks are given, in memory, for unit tests of one's own tasks."""

from __future__ import annotations

import copy
import itertools
import posixpath
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from baton.core.context import Provenance, TaskContext
from baton.core.events import Reporter, ignore_events
from baton.core.tracker import Champion, UnusableModel
from baton.errors import TaskError

_ALIAS = "champion"
_NAME = re.compile(r"[/\w.\- :]+$")
"""What MLflow accepts as the name of a parameter, a metric or a tag."""
_NOT_IN_MODELS = "/:.%\"'"
_NOT_IN_REGISTERED_MODELS = "/:"
_LONGEST_NAME = 250
_LONGEST_PARAMETER = 6000


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
        A copy of every model that was logged, by its URI; of one that a script serves, the script's text.
    runs : set of str
        The ids of the runs that have begun.
    """

    def __init__(self) -> None:
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.aliases: dict[str, dict[str, str]] = {}
        self.models: dict[str, Any] = {}
        self.runs: set[str] = set()
        self._savers: dict[str, Callable[[str], None]] = {}
        """By URI: what writes the model into a folder, as MLflow stores it."""

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

    def _version(self, model: str, version: str) -> dict[str, Any] | None:
        """Return what is known of a version, or None if there is no such version."""
        versions = self.versions.get(model, [])
        is_known = version.isdecimal() and 1 <= int(version) <= len(versions)
        return versions[int(version) - 1] if is_known else None

    def _uri_of(self, uri: str) -> str:
        """Return the logged model that ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION`` means now."""
        path = uri.removeprefix("models:/")
        name, _, alias = path.partition("@")
        version = self.aliases.get(name, {}).get(alias, "") if alias else ""
        if "/" in path:
            name, _, version = path.rpartition("/")
        found = self._version(name, version)
        return uri if found is None else str(found["uri"])


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
        """Keep the parameters; refuse to change one."""
        _check_names(parameters)
        given = {name: str(value)[:_LONGEST_PARAMETER] for name, value in parameters.items()}
        kept = self._begin().parameters
        changed = [name for name, value in given.items() if kept.get(name, value) != value]
        if changed:
            raise _refusal(f"parameter {changed[0]!r} is {kept[changed[0]]!r} and cannot become another")
        kept.update(given)

    def log_metrics(self, final: Mapping[str, float], series: Mapping[str, Sequence[float]]) -> None:
        """Keep the metrics."""
        _check_names([*final, *series])
        numbers = {name: _numbers(name, values) for name, values in series.items()}
        last = {name: _numbers(name, [value])[0] for name, value in final.items()}
        self._begin().metrics.update(last)
        self.series.update(numbers)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Keep the tags."""
        _check_names(tags)
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
        """Keep a copy of a model; refuse one that MLflow could not keep."""
        from baton.tracking.flavors import content_of, flavor_of

        chosen = flavor or flavor_of(model)
        content = content_of(model, chosen)
        kept = copy.deepcopy(model)
        saver = partial(_save, kept, chosen, tuple(requirements), copy.deepcopy(example))
        return self._attach(name, kept, saver, (content, tuple(requirements), str(example)))

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
        kept = {label: path.read_bytes() for label, path in files.items()}
        text = script.read_text()
        saver = partial(_save_script, text, kept, copy.deepcopy(signature), tuple(requirements))
        return self._attach(name, text, saver, (text, str(kept), tuple(requirements), str(signature)))

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
        """Store the model as MLflow does, load it, and return its predictions."""
        from baton.tracking.mlflow import predictions

        saver = self.registry._savers.get(self.registry._uri_of(uri))
        if saver is None:
            raise UnusableModel("it is gone")
        with tempfile.TemporaryDirectory() as folder:
            saver(f"{folder}/model")
            return predictions(f"{folder}/model", records)

    def register(self, model: str, uri: str, tags: Mapping[str, str]) -> str:
        """Add a version, once per run."""
        versions = self.registry.versions.get(model, [])
        for number, version in enumerate(versions, start=1):
            if version["run_id"] == self.run_id:
                return str(number)
        _check_names(tags)
        if not model.strip() or set(model) & set(_NOT_IN_REGISTERED_MODELS):
            raise _refusal(f"{model!r} cannot be the name of a registered model")
        if uri not in self.registry.models:
            raise _refusal(f"no model {uri!r} was logged")
        self.registry.versions[model] = [*versions, {"uri": uri, "run_id": self.run_id, "tags": dict(tags)}]
        return str(len(versions) + 1)

    def promote(self, model: str, version: str) -> None:
        """Give a version the alias ``champion``."""
        if self.registry._version(model, str(version)) is None:
            raise _refusal(f"registered model {model!r} has no version {version}")
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

    def _attach(
        self, name: str, model: Any, saver: Callable[[str], None], content: tuple[object, ...]
    ) -> str:
        if not name or set(name) & set(_NOT_IN_MODELS):
            raise _refusal(f"{name!r} cannot be the name of a model")
        uri = f"models:/m-{self._begin().run_id[-6:]}-{len(self.registry.models) + 1}"
        if content[0]:
            uri = self._attached.setdefault((name, *content), uri)
        self.registry.models.setdefault(uri, model)
        self.registry._savers.setdefault(uri, saver)
        self.models[name] = uri
        return uri


def _save(model: Any, flavor: str, requirements: Sequence[str], example: Any, folder: str) -> None:
    from baton.tracking.flavors import save, save_options

    save(model, flavor, folder, save_options(model, flavor, requirements, example))


def _save_script(
    text: str, files: Mapping[str, bytes], signature: Any, requirements: Sequence[str], folder: str
) -> None:
    from baton.tracking.flavors import save_script

    with tempfile.TemporaryDirectory() as place:
        script = Path(place, "script.py")
        script.write_text(text)
        written = {label: Path(place, f"file{number}") for number, label in enumerate(files)}
        for label, path in written.items():
            path.write_bytes(files[label])
        save_script(script, written, signature, requirements, folder)


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        path = posixpath.normpath(name)
        if (
            not _NAME.match(name)
            or len(name) > _LONGEST_NAME
            or path != name
            or path == "."
            or path.startswith(("..", "/"))
        ):
            raise _refusal(f"{name!r} cannot be the name of a parameter, a metric or a tag")


def _numbers(name: str, values: Iterable[float]) -> list[float]:
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError):
        raise _refusal(f"metric {name!r} is not a number") from None


def _refusal(what: str) -> TaskError:
    return TaskError(f"MLflow refuses it: {what}", "mend what the task gives to its tracking run")
