"""A project: a folder, its configuration, its pipeline and baton's files in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from baton.config import file
from baton.config.resolve import Configuration, resolve
from baton.config.settings import BatonSettings, read_reference
from baton.core.dag import Dag
from baton.core.elements import Elements
from baton.core.execute import Folders
from baton.core.parameters import Parameters, build, leaves
from baton.core.values import as_text, in_plain_words, read_path, typed
from baton.errors import SettingsError, Unavailable
from baton.runs.pipeline import load_pipeline, reference_to

if TYPE_CHECKING:
    from baton.codetrace.reader import CodeReader
    from baton.core.effect_scope import EffectScope
    from baton.core.parameters import Leaf
    from baton.core.task import Task
    from baton.runs.records import RunRecord
    from baton.store.store import Store
    from baton.tracking.mlflow import MlflowTracker
    from baton.tracking.models import RegisteredModels


@dataclass(frozen=True)
class Project:
    """A project as seen by one command.

    Parameters
    ----------
    folder : Path
        The project's folder.
    configuration : Configuration
        Settings and parameters with their origins.
    declared : Dag
        The pipeline as it is declared.
    known_elements : mapping of str to dict, optional
        The elements of tasks with ``over``, if another process has found them.
    compared_with : callable, optional
        Returns the run whose work is compared first with current work, for reasons; the latest unless given.
    """

    folder: Path
    configuration: Configuration
    declared: Dag
    known_elements: Mapping[str, Elements] | None = None
    compared_with: Callable[[], RunRecord | None] | None = None

    @cached_property
    def elements(self) -> Mapping[str, Elements]:
        """The elements of each task with ``over`` that has its own.

        Raises
        ------
        UsageError
            If they cannot be found.
        """
        if self.known_elements is not None:
            return self.known_elements
        return self.declared.elements(self.configuration.parameters, self._files_of)

    @cached_property
    def dag(self) -> Dag:
        """The pipeline, with a copy for each element of the tasks with ``over``."""
        return self.declared.expanded(self.elements) if self.declared.elements_from else self.declared

    def _files_of(self, folder: str) -> list[str]:
        return self.store.files_of(folder)

    @property
    def home(self) -> Path:
        """Folder of baton's files."""
        return self.folder / self.configuration.settings.baton.home

    @property
    def data_dir(self) -> Path:
        """Folder for downloads."""
        return self.folder / (self.configuration.settings.artifacts.data_dir or self.home / "data")

    @property
    def models_dir(self) -> Path:
        """Folder for deployment records and reports."""
        return self.folder / (self.configuration.settings.artifacts.models_dir or self.home / "models")

    @property
    def folders(self) -> Folders:
        """Where a run may write."""
        return Folders(self.folder, self.home / "scratch", self.data_dir, self.models_dir)

    @property
    def store_url(self) -> str:
        """Folder or URL of the store."""
        chosen = self.configuration.settings.baton.store
        if chosen is None:
            return str(self.home / "store")
        return chosen if "://" in chosen else str(self.folder / chosen)

    @cached_property
    def store(self) -> Store:
        """The store of artifacts."""
        from baton.runs.records import last_tasks
        from baton.store.store import RanTask, Store

        def last_runs(task: str) -> Iterator[RanTask]:
            chosen = self.compared_with() if self.compared_with is not None else None
            first = chosen.tasks if chosen is not None else []
            latest = (record for _, record in last_tasks(self.home, self.declared.name, task))
            ended = chain((one for one in first if one.task == task), latest)
            return (RanTask(record.key, record.unremembered) for record in ended if record.key)

        profile = self.configuration.settings.mlflow.aws_profile
        store = Store(self.store_url, self.home, self.declared.name, last_runs, profile, self.code)
        store.project = self.folder
        store.models = self._models
        return store

    @cached_property
    def code(self) -> CodeReader:
        """What reads the code of the tasks."""
        from baton.codetrace.reader import CodeReader

        reader = CodeReader(self.home / "sources")
        reader.entry_module = self.configuration.settings.baton.pipeline.partition(":")[0]
        return reader

    def _models(self) -> RegisteredModels:
        from baton.tracking.models import RegisteredModels

        return RegisteredModels(self.tracking_uri, lambda: self.tracker("inputs"))

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking URI."""
        from baton.tracking.location import tracking_uri

        chosen = self.configuration.settings.mlflow
        return tracking_uri(self.home, uri=chosen.tracking_uri, host=chosen.tracking_server_host)

    def effect_scope(self, *, skips_done: bool = False) -> EffectScope:
        """Return what the pipeline's effects act on, on any engine."""
        from baton.core.effect_scope import EffectScope, FolderIdentity
        from baton.tracking.location import place_of_tracker
        from baton.tracking.registry import quick_registry

        dag, home = self.dag, self.home.absolute()

        def effects_before(task: str) -> tuple[Task[..., Any], ...]:
            names = dag.ancestors([task])
            return tuple(one for one in dag.tasks if one.effect and one.name in names and one.name != task)

        return EffectScope(
            pipeline=dag.name,
            tracker=place_of_tracker(self.tracking_uri, home),
            folder=FolderIdentity(home),
            roots={"models": self.models_dir, "data": self.data_dir, "project": self.folder},
            experiment=self.configuration.settings.mlflow.experiment_name or dag.experiment,
            skips_done=skips_done,
            registry=quick_registry(self.tracking_uri),
            effects_before=effects_before,
        )

    def tracker(self, engine: str) -> MlflowTracker:
        """Return the tracker for runs of one engine."""
        from baton.tracking.mlflow import MlflowTracker

        profile = self.configuration.settings.mlflow.aws_profile
        return MlflowTracker(self.tracking_uri, self.home, self.experiment(engine), profile)

    def experiment(self, engine: str) -> str:
        """Return the tracker's name for the runs of one engine."""
        return f"{self.configuration.settings.mlflow.experiment_name or self.declared.experiment}-{engine}"

    def place_in_file(self, leaf: Leaf) -> tuple[str, ...]:
        """Return the keys under which the configuration file holds a setting or parameter of this pipeline.

        A parameter of another pipeline than the folder's own is in a section of its pipeline.
        """
        configuration = self.configuration
        if leaf.path[0] in configuration.settings.__struct_fields__:
            return leaf.path
        reference = configuration.settings.baton.pipeline
        sections = file.read(configuration.path, required=False).get(file.PIPELINES, {})
        name = next((name for name in sections if read_reference(name) == reference), "")
        if not name and reference == _own_pipeline(configuration.path):
            return leaf.path
        return (file.PIPELINES, name or reference, *leaf.path)

    def with_parameters(
        self,
        parameters: Mapping[str, Any],
        whose: str = "the run's parameters",
        compared_with: Callable[[], RunRecord | None] | None = None,
    ) -> Project:
        """Return a copy of the project with other parameters, except those from the command line.

        Raises
        ------
        SettingsError
            If they do not fit the pipeline; it begins with `whose`.
        """
        origins = self.configuration.origins
        values: dict[tuple[str, ...], Any] = {}
        problems = []
        for leaf in leaves(self.declared.parameters):
            given = origins[leaf.key].source == "command line" or leaf.name not in parameters
            value = self.configuration.value(leaf) if given else parameters[leaf.name]
            try:
                values[leaf.path] = typed(leaf.type, value, from_text=False)
            except ValueError as error:
                problems.append(f"{leaf.key} is {as_text(value)!r}: {error}")
        try:
            built = build(self.declared.parameters, values)
        except msgspec.ValidationError as error:
            problems.append(in_plain_words(error))
        if problems:
            raise SettingsError([f"{whose} do not fit the pipeline: {'; '.join(problems)}"])
        configuration = replace(self.configuration, parameters=built)
        found = replace(self, configuration=configuration, compared_with=compared_with)
        vars(found)["code"] = self.code  # of the same pipeline: it need not be read again
        return found

    def require_writable(self) -> None:
        """Create the folder for baton's files.

        Raises
        ------
        Unavailable
            If it cannot be written.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            probe = self.home / f".probe-{os.urandom(6).hex()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise Unavailable(
                f"the folder {self.home} cannot be written: {error.strerror}",
                "choose another folder for baton's files: --home FOLDER, or BATON_HOME",
            ) from error


def open_project(
    *,
    folder: Path | None = None,
    config: Path | None = None,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    elements: Mapping[str, Elements] | None = None,
) -> Project:
    """Open the project in a folder.

    Parameters
    ----------
    folder : Path, optional
        The project's folder; the current one unless given.
    config : Path, optional
        The configuration file; ``orchestration_config.json`` in the folder unless given.
    options : mapping, optional
        Settings and parameters by short name, which take precedence over all other sources; ``pipeline`` may
        be a `Dag` of an imported module.
    environ : mapping, optional
        The environment; the process's own unless given.
    elements : mapping, optional
        The elements of tasks with ``over``, if another process has found them.

    Raises
    ------
    SettingsError
        If a setting or parameter is invalid.
    UsageError
        If the pipeline is not found.
    InvalidPipeline
        If the pipeline's declaration is not valid.
    """
    options = named(options)
    place = _Place.of(folder, config, os.environ if environ is None else environ)
    reference = place.reference(options)
    dag = load_pipeline(reference, place.folder)
    configuration = resolve(
        dag.parameters,
        path=place.config,
        environ=place.environ,
        options=options,
        pipeline=reference,
        keys_of_others=cache(lambda: place.keys_of_others(reference)),
    )
    return Project(place.folder, configuration, dag, elements)


def project_above(project: Project) -> Path | None:
    """Return the closest folder above with a project, if the project's own folder has none yet."""
    try:
        if project.home.exists() or project.configuration.path.exists():
            return None
        return next((folder for folder in project.folder.parents if _has_project(folder)), None)
    except OSError:  # a name too long, a folder that may not be read
        return None


def _has_project(folder: Path) -> bool:
    return (folder / BatonSettings().home).is_dir() or (folder / file.DEFAULT_NAME).is_file()


def find_pipeline(
    *,
    folder: Path | None = None,
    config: Path | None = None,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Dag:
    """Return the pipeline of the project in a folder, without checking its parameter values.

    Takes the same parameters and raises the same errors as `open_project`.
    """
    place = _Place.of(folder, config, os.environ if environ is None else environ)
    return load_pipeline(place.reference(named(options)), place.folder)


def named(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return options with the pipeline's reference where they hold the `Dag` itself."""
    found = dict(options or {})
    if isinstance(found.get("pipeline"), Dag):
        found["pipeline"] = reference_to(found["pipeline"])
    return found


def keys_of_other_pipelines(project: Project) -> frozenset[str]:
    """Return the dotted keys that the other pipelines of a project's folder may have in the file."""
    configuration = project.configuration
    place = _Place(project.folder, configuration.path, config_is_named=False, environ={})
    return place.keys_of_others(configuration.settings.baton.pipeline)


@dataclass(frozen=True)
class _Place:
    """A project's location and configuration sources."""

    folder: Path
    config: Path
    config_is_named: bool
    environ: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path | None, config: Path | None, environ: Mapping[str, str]) -> _Place:
        folder = (folder or _path_in(environ, "BATON_PROJECT") or Path()).absolute()
        named = config or _path_in(environ, "BATON_CONFIG")
        return cls(folder, folder / (named or file.DEFAULT_NAME), named is not None, environ)

    def reference(self, options: Mapping[str, Any] | None) -> str:
        """Return the reference of the chosen pipeline."""
        configuration = resolve(
            Parameters,
            path=self.config,
            required=self.config_is_named,
            environ=self.environ,
            options=options,
            parameters_known=False,
        )
        return configuration.settings.baton.pipeline

    def keys_of_others(self, reference: str) -> frozenset[str]:
        """Return the keys of the folder's other pipelines: its own, the shipped, and those with a section."""
        from baton.runs.parameter_keys import keys_of

        sections = file.read(self.config, required=False).get(file.PIPELINES, {})
        others = {BatonSettings().pipeline, _own_pipeline(self.config), self.reference(None)}
        return keys_of((others | set(map(read_reference, sections))) - {reference}, self.folder)


def _own_pipeline(config: Path) -> str:
    """Return the pipeline of a folder: the one in its file, or the shipped one."""
    return resolve(Parameters, path=config, parameters_known=False).settings.baton.pipeline


def _path_in(environ: Mapping[str, str], name: str) -> Path | None:
    text = environ.get(name)
    if not text:
        return None
    try:
        return Path(read_path(text))
    except ValueError as error:
        raise SettingsError([f"{name} cannot be {text!r}: {error}"]) from error
