"""MLflow: one run per execution, created once and passed on by its id.

Only the client object is used, never MLflow's global state, so that several processes and
threads can add to one run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.core.addresses import without_secrets, without_secrets_in_addresses
from baton.core.tracker import Champion, UnusableModel
from baton.errors import TaskError, Unavailable
from baton.tracking.location import database_file, local_database
from baton.tracking.moved import artifacts_of, follow_move
from baton.tracking.registry import NONE, version_in_one_line
from baton.tracking.versions import give_alias

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import Model

ALIAS = "champion"
_SERVER_ERROR = 500
_PACKAGES = "_MODULES_TO_PACKAGES"
"""MLflow's name for its cached package list; a test checks it."""
STARTED_FROM = ("mlflow.user", "mlflow.source.git.commit", "baton.git_dirty")
"""Tags of a run that its model versions have too."""
_PARENT = "mlflow.parentRunId"
_CONTENT = "baton.content"
"""Tag of a logged model with the digest of what it consists of."""
_REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
_METRICS_PER_BATCH = 1000
_PARAMETERS_PER_BATCH = 100
_TAGS_PER_BATCH = 100


class MlflowTracker:
    """Creates MLflow runs.

    Parameters
    ----------
    uri : str
        Location of the records, as returned by `baton.tracking.location.tracking_uri`.
    home : Path
        The project's own folder, for the local store.
    experiment : str
        Name of the experiment.
    aws_profile : str, optional
        Profile for artifact stores on S3; ``AWS_PROFILE`` in the environment takes precedence.
    """

    def __init__(self, uri: str, home: Path, experiment: str, aws_profile: str | None = None) -> None:
        self.uri = uri
        self.experiment = experiment
        own = local_database(home)
        self.local_database = own if database_file(self.uri) == own else None
        if aws_profile:
            os.environ.setdefault("AWS_PROFILE", aws_profile)

    def check(self) -> None:
        """Check that MLflow can store records; see `baton.tracking.checks.check_tracking`.

        Raises
        ------
        SettingsError
            If MLflow cannot use the URI.
        Unavailable
            If it cannot store records there now.
        """
        from baton.tracking.checks import check_tracking

        if self.local_database is not None:
            follow_move(self.local_database)
        check_tracking(self.uri, self.experiment)

    def get_ready(self) -> None:
        """Load MLflow and open its store, so that a later call is fast.

        Raises
        ------
        Unavailable
            If the store cannot be opened.
        """
        import mlflow.pyfunc

        _ = mlflow.pyfunc, self.experiment_id

    def start(self, *, name: str, tags: Mapping[str, str]) -> MlflowRun:
        """Return a new run; MLflow creates it on the first access to its id."""
        return MlflowRun(self, name=name, tags=tags)

    def resume(self, run_id: str) -> MlflowRun:
        """Return a run that another process started."""
        return MlflowRun(self, run_id=run_id)

    def metrics(self, run_id: str) -> dict[str, float]:
        """Return the last value of each metric of a run."""
        with translated(self.uri):
            return dict(self.client.get_run(run_id).data.metrics)

    def find(self, tag: str, value: str) -> str:
        """Return the id of the latest run with this tag, or an empty text.

        Raises
        ------
        Unavailable
            If the store or server does not answer.
        """
        with translated(self.uri):
            found = self.client.search_runs(
                [self.experiment_id], filter_string=f"tags.`{tag}` = '{value}'", max_results=1
            )
        return str(found[0].info.run_id) if found else ""

    def children(self, run_id: str, tag: str) -> dict[str, str]:
        """Return a tag of each run inside a run, by the run's name; empty where a run does not have it."""
        found: dict[str, str] = {}
        wanted = f"tags.`{_PARENT}` = '{run_id}'"
        page: str | None = ""
        with translated(self.uri):
            while page is not None:
                some = self.client.search_runs([self.experiment_id], wanted, page_token=page or None)
                found.update({one.info.run_name: one.data.tags.get(tag, "") for one in some})
                page = some.token or None
        return found

    def version(self, model: str, *, alias: str = "", version: str = "") -> str:
        """Describe a registered version; see `baton.tracking.registry.QuickRegistry.version`."""
        from mlflow.exceptions import MlflowException

        try:
            if alias:
                found = self.client.get_model_version_by_alias(model, alias)
            else:
                found = self.client.get_model_version(model, version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return NONE
            raise _as_unavailable(error, self.uri) from error
        return version_in_one_line(
            found.version, found.run_id, found.source, found.creation_timestamp, found.tags
        )

    def fetch_model(self, uri: str, folder: str) -> str:
        """Download a stored model, given as ``models:/`` or ``runs:/``, into a folder; return its path.

        Raises
        ------
        UnusableModel
            If its files are gone or cannot be read.
        Unavailable
            If the store or server does not answer.
        """
        import mlflow.artifacts

        with translated(self.uri):
            place = self._place_of(uri)
        shown = without_secrets(place)
        try:
            local = mlflow.artifacts.download_artifacts(
                artifact_uri=place, dst_path=folder, tracking_uri=self.uri
            )
        except Exception as error:  # artifact stores raise their own exceptions
            if _is_about_connection(error):
                raise _as_unavailable(error, self.uri) from error
            raise UnusableModel(f"its files at {shown} cannot be read: {_in_one_line(error)}") from error
        if not Path(local, "MLmodel").is_file():
            raise UnusableModel(f"its files are missing from {shown}")
        return local

    def _place_of(self, uri: str) -> str:
        """Return the location of a model's files for a URI such as ``models:/`` or ``runs:/``.

        MLflow's own functions resolve these in the global store of the process, not in ours.
        """
        from mlflow.exceptions import MlflowException

        scheme, _, path = uri.partition(":/")
        try:
            if scheme == "models" and "/" in path:
                name, _, version = path.rpartition("/")
                return self._place_of(self.client.get_model_version_download_uri(name, version))
            if scheme == "models" and "@" in path:
                name, _, alias = path.partition("@")
                version = self.client.get_model_version_by_alias(name, alias).version
                return self._place_of(f"models:/{name}/{version}")
            if scheme == "models":
                return str(self.client.get_logged_model(path).artifact_location)
            if scheme == "runs":
                run_id, _, name = path.partition("/")
                run = self.client.get_run(run_id)
                logged = self.client.search_logged_models([run.info.experiment_id], f"name = '{name}'")
                places = [model.artifact_location for model in logged if model.source_run_id == run_id]
                return str(places[0] if places else f"{run.info.artifact_uri}/{name}")
        except MlflowException as error:
            if error.error_code in _REFUSALS:
                raise UnusableModel(f"it is missing from MLflow: {_in_one_line(error)}") from error
            raise
        return uri

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client, imported on first use."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        import logging

        from mlflow import MlflowClient

        from baton.tracking.database import make_local_database

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        database = database_file(self.uri)
        if database is not None:  # MLflow fails if two processes create one at the same time
            make_local_database(database)
        if self.local_database is not None:
            follow_move(self.local_database)
        with translated(self.uri):
            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    @cached_property
    def experiment_id(self) -> str:
        """Id of the experiment, which is created if it does not exist."""
        from mlflow.exceptions import MlflowException

        from baton.tracking.checks import deleted_experiment

        with translated(self.uri):
            found = self.client.get_experiment_by_name(self.experiment)
            if found is None:
                location = artifacts_of(self.local_database).as_uri() if self.local_database else None
                try:
                    return str(self.client.create_experiment(self.experiment, artifact_location=location))
                except MlflowException:
                    # Another run created it meanwhile; any other error shows in the next call.
                    found = self.client.get_experiment_by_name(self.experiment)
            if found is None:
                raise Unavailable(
                    f"MLflow at {without_secrets(self.uri)} cannot create experiment '{self.experiment}'",
                    "choose another name: --experiment-name NAME",
                )
            if found.lifecycle_stage != "active":
                raise deleted_experiment(self.uri, self.experiment, str(found.experiment_id))
            return str(found.experiment_id)


class MlflowRun:
    """Implements `baton.core.tracker.TrackingRun`."""

    def __init__(
        self,
        tracker: MlflowTracker,
        *,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        run_id: str = "",
    ) -> None:
        self._tracker = tracker
        self._name = name
        self._tags = dict(tags or {})
        self._run_id = run_id
        self._is_resumed = bool(run_id)

    @property
    def run_id(self) -> str:
        """MLflow's id of the run, created on first access."""
        if not self._run_id:
            tracker = self._tracker
            with translated(tracker.uri):
                made = tracker.client.create_run(tracker.experiment_id, run_name=self._name, tags=self._tags)
            self._run_id = str(made.info.run_id)
        return self._run_id

    @property
    def started(self) -> bool:
        """Whether the run exists in MLflow."""
        return bool(self._run_id)

    @property
    def url(self) -> str:
        """The run's page on the server; for a local store, the command that serves it."""
        tracker = self._tracker
        if tracker.uri.startswith(("http://", "https://")):
            return f"{without_secrets(tracker.uri)}/#/experiments/{self._experiment_id}/runs/{self.run_id}"
        return "baton ui"

    @property
    def page(self) -> str:
        """URL of the run's page; for a local store, the default one of ``baton ui``."""
        tracker = self._tracker
        remote = tracker.uri.startswith(("http://", "https://"))
        server = without_secrets(tracker.uri) if remote else "http://127.0.0.1:5000"
        return f"{server}/#/experiments/{self._experiment_id}/runs/{self.run_id}"

    def log_parameters(self, parameters: Mapping[str, object]) -> None:
        """Record the parameters; texts are cut to MLflow's limit of 6,000 characters."""
        from mlflow.entities import Param

        listed = [Param(name, str(value)[:6000]) for name, value in parameters.items()]
        with accepted(self._tracker.uri):
            for start in range(0, len(listed), _PARAMETERS_PER_BATCH):
                self._client.log_batch(self.run_id, params=listed[start : start + _PARAMETERS_PER_BATCH])

    def log_metrics(self, final: Mapping[str, float], series: Mapping[str, Sequence[float]]) -> None:
        """Record final metrics and series, in as few requests as MLflow's limit allows.

        MLflow keeps every value that was ever recorded for a step, so what the run has already is left out.
        """
        from mlflow.entities import Metric

        points = [(name, step, value) for name, values in series.items() for step, value in enumerate(values)]
        points += [(name, 0, value) for name, value in final.items()]
        known = self._recorded_metrics({name for name, _, _ in points})
        now = max([int(time.time() * 1000), *(latest + 1 for latest, _ in known.values())])
        listed = [
            Metric(name, value, now, step)
            for name, step, value in points
            if (name, step) not in known or not _is_same(value, known[name, step][1])
        ]
        with accepted(self._tracker.uri):
            for start in range(0, len(listed), _METRICS_PER_BATCH):
                self._client.log_batch(self.run_id, metrics=listed[start : start + _METRICS_PER_BATCH])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Label the run."""
        from mlflow.entities import RunTag

        listed = [RunTag(name, value) for name, value in tags.items()]
        with accepted(self._tracker.uri):
            for start in range(0, len(listed), _TAGS_PER_BATCH):
                self._client.log_batch(self.run_id, tags=listed[start : start + _TAGS_PER_BATCH])

    def log_files(self, files: Mapping[str, Path]) -> None:
        """Attach files under the given names, in one call."""
        with tempfile.TemporaryDirectory() as folder, translated(self._tracker.uri):
            for name, source in files.items():
                place = Path(folder, name)
                if not place.resolve().is_relative_to(Path(folder).resolve()):
                    raise ValueError(f"file name {name!r} is outside the run's folder")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(source.read_bytes())
            self._client.log_artifacts(self.run_id, folder)

    def log_figure(self, name: str, figure: Any) -> None:
        """Attach a picture; see `TrackingRun.log_figure`."""
        from baton.kinds.figure import drawn

        with drawn(name, figure) as path:
            self.log_files({name: path})

    @contextmanager
    def child(self, name: str) -> Iterator[MlflowRun]:
        """Yield the run of this name inside this one; see `TrackingRun.child`."""
        tags = {_PARENT: self.run_id}
        run = MlflowRun(self._tracker, name=name, tags=tags, run_id=self._child_id(name))
        run.run_id  # noqa: B018  # begins it
        is_good = False
        try:
            yield run
            is_good = True
        finally:
            run.finish(good=is_good)

    def log_table(
        self, name: str, *, digest: str, source: str, columns: Mapping[str, str], rows: int, context: str
    ) -> None:
        """Record a data set by name, digest, source and schema; no data is read or copied."""
        import json

        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.data.http_dataset_source import HTTPDatasetSource
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.types import ColSpec, Schema

        schema = Schema([ColSpec(_mlflow_type(kind), column) for column, kind in columns.items()])
        address = without_secrets(source)
        is_remote = address.startswith(("http://", "https://"))
        origin = HTTPDatasetSource(address) if is_remote else CodeDatasetSource({"source": address})
        data_set = Dataset(
            name=name,
            digest=digest[:36],
            source_type="http" if is_remote else "code",
            source=origin.to_json(),
            schema=json.dumps({"mlflow_colspec": schema.to_dict()}),
            profile=json.dumps({"num_rows": rows}),
        )
        with translated(self._tracker.uri):
            tags = [InputTag("mlflow.data.context", context)]
            self._client.log_inputs(self.run_id, [DatasetInput(data_set, tags)])

    def log_model(
        self,
        model: Any,
        name: str,
        *,
        flavor: str = "",
        requirements: Sequence[str] = (),
        example: Any = None,
    ) -> str:
        """Attach a model of one of MLflow's flavors; see `TrackingRun.log_model`."""
        from baton.tracking.flavors import content_of, flavor_of, save, save_options

        chosen = flavor or flavor_of(model)
        options = save_options(model, chosen, requirements, example)
        content = content_of(model, chosen)
        if content:
            content = _digest(content, str(options.get("signature")), *options["pip_requirements"])
        found = self._logged_model(name, content)
        if found is None:
            with self._new_model(name, content) as (folder, made):
                save(model, chosen, folder, {"mlflow_model": made, **options})
            found = made.model_id
        return f"models:/{found}"

    def log_python_model(
        self,
        name: str,
        *,
        script: Path,
        files: Mapping[str, Path],
        signature: Any,
        requirements: Sequence[str],
    ) -> str:
        """Attach a model served by a script; nothing is pickled."""
        from baton.store.objects import digest_of
        from baton.tracking.flavors import save_script

        content = _digest(str(signature), *requirements, *files, *map(digest_of, [script, *files.values()]))
        found = self._logged_model(name, content)
        if found is not None:
            return f"models:/{found}"
        with self._new_model(name, content) as (folder, model):
            save_script(script, files, signature, requirements, folder, model)
        return f"models:/{model.model_id}"

    def champion(self, model: str) -> Champion | None:
        """Return the version with the alias ``champion``, or None."""
        from mlflow.exceptions import MlflowException

        try:
            version = self._client.get_model_version_by_alias(model, ALIAS)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise _as_unavailable(error, self._tracker.uri) from error
        return Champion(str(version.version), dict(version.tags), f"models:/{model}@{ALIAS}")

    def predict(self, uri: str, records: Any) -> Any:
        """Load a stored model, run its code, and return its predictions for a table of raw records."""
        with tempfile.TemporaryDirectory() as folder:
            return predictions(self._tracker.fetch_model(uri, folder), records)

    def register(self, model: str, uri: str, tags: Mapping[str, str]) -> str:
        """Register a model as a new version; return the version if this run already did."""
        from mlflow.exceptions import MlflowException

        with accepted(self._tracker.uri):
            with contextlib.suppress(MlflowException):  # it exists already; other errors show below
                self._client.create_registered_model(model)
            quoted = model.replace("'", "\\'")
            for version in self._client.search_model_versions(f"name = '{quoted}'"):
                if version.run_id == self.run_id:
                    return str(version.version)
            of_run = self._client.get_run(self.run_id).data.tags
            started_from = {name: of_run[name] for name in STARTED_FROM if name in of_run}
            # The location, not models:/ID: a server resolves that only with its own tracking URI.
            stored = self._client.get_logged_model(uri.removeprefix("models:/"))
            made = self._client.create_model_version(
                model,
                source=stored.artifact_location,
                run_id=self.run_id,
                tags={**started_from, **tags},
                model_id=stored.model_id,
            )
            return str(made.version)

    def promote(self, model: str, version: str) -> None:
        """Give a version the alias ``champion``, and record which versions have had it."""
        with accepted(self._tracker.uri):
            give_alias(self._client, model, version, ALIAS)

    def finish(self, *, good: bool) -> None:
        """Close the run, if it exists in MLflow."""
        if self._run_id:
            with translated(self._tracker.uri):
                self._client.set_terminated(self._run_id, "FINISHED" if good else "FAILED")

    @cached_property
    def _experiment_id(self) -> str:
        """The run's experiment, which may be another engine's."""
        if not self._is_resumed:
            return self._tracker.experiment_id
        with translated(self._tracker.uri):
            return str(self._client.get_run(self._run_id).info.experiment_id)

    def _child_id(self, name: str) -> str:
        """Return the id of the run of this name inside this one; empty if there is none."""
        wanted = f"tags.`{_PARENT}` = '{self.run_id}'"
        mark = next((mark for mark in "'\"" if mark not in name), "")
        if mark:  # MLflow's filters cannot hold both
            wanted += f" and attributes.run_name = {mark}{name}{mark}"
        page: str | None = ""
        with translated(self._tracker.uri):
            while page is not None:
                found = self._client.search_runs([self._experiment_id], wanted, page_token=page or None)
                for run in found:
                    if run.info.run_name == name:
                        return str(run.info.run_id)
                page = found.token or None
        return ""

    @property
    def _client(self) -> MlflowClient:
        return self._tracker.client

    def _recorded_metrics(self, names: set[str]) -> dict[tuple[str, int], tuple[int, float]]:
        """Return the time and the value that the run has last for each of the metrics and steps."""
        found: dict[tuple[str, int], tuple[int, float]] = {}
        if not self.started:
            return found
        with translated(self._tracker.uri):
            for name in names & set(self._client.get_run(self.run_id).data.metrics):
                history = self._client.get_metric_history(self.run_id, name)
                for one in sorted(history, key=lambda one: int(one.timestamp)):
                    found[name, int(one.step)] = (int(one.timestamp), float(one.value))
        return found

    def _logged_model(self, name: str, content: str) -> str | None:
        """Return the id of the model of this name and content that the run has already, or None."""
        from mlflow.entities import LoggedModelStatus

        if not (content and self.started):
            return None
        with translated(self._tracker.uri):
            outputs = self._client.get_run(self.run_id).outputs
            for output in outputs.model_outputs if outputs is not None else ():
                found = self._client.get_logged_model(output.model_id)
                is_whole = found.status == LoggedModelStatus.READY
                if is_whole and found.name == name and found.tags.get(_CONTENT) == content:
                    return str(found.model_id)
        return None

    @contextmanager
    def _new_model(self, name: str, content: str) -> Iterator[tuple[str, Model]]:
        """Yield a folder to save a model into; afterwards upload it and mark the model as ready."""
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus
        from mlflow.models import Model

        client = self._client
        with accepted(self._tracker.uri), tempfile.TemporaryDirectory() as folder:
            made = client.create_logged_model(
                self._experiment_id, name=name, source_run_id=self.run_id, tags={_CONTENT: content}
            )
            client.log_outputs(self.run_id, [LoggedModelOutput(made.model_id, step=0)])
            path = str(Path(folder, "model"))
            unfinished = Model(
                artifact_path=made.artifact_location,
                model_uuid=made.model_id,
                run_id=self.run_id,
                model_id=made.model_id,
            )
            with without_package_scan():
                yield path, unfinished
            client.log_model_artifacts(made.model_id, path)
            client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@contextmanager
def without_package_scan() -> Iterator[None]:
    """Keep MLflow from reading the file lists of all installed packages, which takes 0.7 to 1.5 s.

    It does so to map modules to packages before it compares the given requirements with what is
    installed.  Ours come from installed distributions and use their names already.
    """
    from mlflow.utils import requirements_utils

    names = vars(requirements_utils)
    if _PACKAGES not in names:  # other MLflow versions: slower, but correct
        yield
        return
    known = names[_PACKAGES]
    names[_PACKAGES] = known or {}
    try:
        yield
    finally:
        names[_PACKAGES] = known


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Turn exceptions of MLflow, the connection and the database into `Unavailable`."""
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, requests.RequestException) as error:
        raise _as_unavailable(error, uri) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "sqlalchemy":  # loaded only if a database is used
            raise
        raise _as_unavailable(error, uri) from error


@contextmanager
def accepted(uri: str) -> Iterator[None]:
    """Turn what MLflow refuses of a task into a `TaskError`, and all else as `translated` does."""
    from mlflow.exceptions import MlflowException

    with translated(uri):
        try:
            yield
        except MlflowException as error:
            if error.error_code not in _REFUSALS:
                raise
            raise TaskError(
                f"MLflow at {without_secrets(uri)} refuses it: {_in_one_line(error)}",
                "mend what the task gives to its tracking run",
            ) from error


def _is_same(value: object, recorded: float) -> bool:
    """Whether a metric's value is the one recorded; NaN is the same as NaN."""
    return isinstance(value, int | float) and repr(float(value)) == repr(recorded)


def predictions(folder: str, records: Any) -> Any:
    """Return what the model in a folder predicts for a table of raw records; see `TrackingRun.predict`."""
    import mlflow.pyfunc

    try:
        model = mlflow.pyfunc.load_model(folder, suppress_warnings=True)
    except Exception as error:  # a stored model may raise anything
        raise UnusableModel(f"it cannot be loaded here: {_in_one_line(error)}") from error
    asked = cast_to_signature(records, model.metadata.get_input_schema())
    try:
        return model.predict(asked)
    except Exception as error:  # the same
        raise UnusableModel(f"it cannot predict: {_in_one_line(error)}") from error


def cast_to_signature(records: Any, schema: Any) -> Any:
    """Return a table with the column types of a model's signature.

    It narrows integers, turns them into texts and floats into 32 bits, which MLflow refuses to do.

    Parameters
    ----------
    records : pandas.DataFrame
        The table.
    schema : mlflow.types.Schema, optional
        The signature's inputs; without it, or without columns, the table is unchanged.

    Raises
    ------
    UnusableModel
        If a required column is missing.
    """
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return records
    missing = [name for name in schema.required_input_names() if name not in records.columns]
    if missing:
        raise UnusableModel(
            f"it needs the columns {', '.join(map(str, schema.required_input_names()))}, "
            f"but {', '.join(map(str, missing))} is not in {', '.join(map(str, records.columns))}"
        )
    changed = records.copy()
    for column in schema.inputs:
        if column.name in records.columns:
            given, asked = records[column.name], str(getattr(column.type, "name", ""))
            wanted = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64"}.get(asked)
            if given.dtype.kind in "iu" and asked == "string":
                changed[column.name] = given.astype(str)
            elif wanted and given.dtype.kind in "iuf":
                cast = given.astype(wanted)
                if (given.dtype.kind == "f" and wanted.startswith("float")) or (cast == given).all():
                    changed[column.name] = cast
    return changed


def _is_about_connection(error: BaseException) -> bool:
    """Return whether an exception comes from a server that does not answer properly."""
    import requests

    found: BaseException | None = error
    while found is not None:
        if isinstance(found, requests.RequestException):
            return found.response is None or found.response.status_code >= _SERVER_ERROR
        found = found.__cause__ or found.__context__
    return False


def _as_unavailable(error: Exception, uri: str) -> Unavailable:
    return Unavailable(
        f"MLflow at {without_secrets(uri)} failed: {_in_one_line(error)}",
        "check the store or server, then resume the run",
    )


def _in_one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return without_secrets_in_addresses(lines[0])[:300]


def _mlflow_type(kind: str) -> str:
    """Return MLflow's column type for a polars type name."""
    lowered = kind.lower()
    if lowered.startswith(("int8", "int16", "int32", "uint8", "uint16")):
        return "integer"
    if lowered.startswith(("int", "uint")):
        return "long"
    if lowered.startswith("float32"):
        return "float"
    if lowered.startswith("float"):
        return "double"
    if lowered.startswith("date"):
        return "datetime"
    return "boolean" if lowered == "boolean" else "string"
