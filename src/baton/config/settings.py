"""baton's own settings, in the sections of the configuration file."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Annotated, cast

import msgspec

from baton.core.addresses import is_address, without_secrets_in_addresses
from baton.core.parameters import Parameters, parameter
from baton.core.secret import Secret
from baton.core.values import read_path


def _read_folder(settings: Parameters, section: str, name: str, *, address: bool = False) -> None:
    """Expand ``~`` in a folder, and refuse an address unless allowed."""
    text: str | None = getattr(settings, name)
    if text is None:
        return
    if is_address(text) and not address:
        raise ValueError(f"{section}.{name} must be a local folder, not an address")
    try:
        msgspec.structs.force_setattr(settings, name, read_path(text))
    except ValueError as error:
        raise ValueError(f"{section}.{name} cannot be {text!r}: {error}") from None


def read_reference(text: str) -> str:
    """Return the reference of a pipeline as module:object.

    Raises
    ------
    ValueError
        If it is none; the message says what to write.

    Examples
    --------
    >>> read_reference("flowers.py"), read_reference("flowers"), read_reference("iris:small")
    ('flowers:dag', 'flowers:dag', 'iris:small')
    """
    module, _, name = text.removeprefix("./").partition(":")
    module, name = module.removesuffix(".py"), name or "dag"
    if "/" in module and not is_address(text):
        folder, _, file = module.rpartition("/")
        raise ValueError(f"expected a module; write: -C {folder or '/'} --pipeline {file}:{name}")
    if not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise ValueError("expected module:object, such as flowers:dag for the object dag in flowers.py")
    return f"{module}:{name}"


class MlflowSettings(Parameters, frozen=True):
    """Where tracking runs and models are kept."""

    tracking_server_host: Annotated[
        str | None,
        parameter("host of an MLflow server, used as http://HOST:5000; none means the local store"),
    ] = None
    tracking_uri: Annotated[str | None, parameter("MLflow tracking URI; overrides tracking_server_host")] = (
        None
    )
    aws_profile: Annotated[
        str | None, parameter("AWS profile for artifact stores and object stores on S3")
    ] = None
    experiment_name: Annotated[
        str | None, parameter("MLflow experiment, extended by '-' and the engine; none means the pipeline's")
    ] = None


class ArtifactsSettings(Parameters, frozen=True):
    """Folders for files that people use."""

    models_dir: Annotated[
        str | None, parameter("folder for deployment records and reports; none means models in home")
    ] = None
    data_dir: Annotated[str | None, parameter("folder for downloads; none means data in home")] = None

    def __post_init__(self) -> None:
        """Expand ``~``, and refuse addresses."""
        _read_folder(self, "artifacts", "models_dir")
        _read_folder(self, "artifacts", "data_dir")


class BatonSettings(Parameters, frozen=True):
    """How and where pipelines run."""

    pipeline: Annotated[str, parameter("the pipeline as module:object; FILE.py means its object dag")] = (
        "tripduration.pipeline:dag"
    )
    engine: Annotated[str, parameter("engine that runs the pipeline")] = "simple"
    home: Annotated[str, parameter("folder for baton's files, relative to the project's folder")] = ".baton"
    store: Annotated[
        str | None, parameter("store of artifacts, a folder or an fsspec URL; none means store in home")
    ] = None

    def __post_init__(self) -> None:
        """Complete the pipeline's reference, expand ``~``, and refuse addresses for folders."""
        try:
            msgspec.structs.force_setattr(self, "pipeline", read_reference(self.pipeline))
        except ValueError as error:
            shown = without_secrets_in_addresses(repr(self.pipeline))
            raise ValueError(f"baton.pipeline cannot be {shown}: {error}") from None
        _read_folder(self, "baton", "home")
        _read_folder(self, "baton", "store", address=True)


class NotifySettings(Parameters, frozen=True):
    """Who is told how a run ended: addresses of Apprise, which are secrets, by their places."""

    on_failure: Annotated[tuple[Secret, ...], parameter("where to send an alert when a run fails")] = ()
    on_success: Annotated[tuple[Secret, ...], parameter("where to send an alert when a run succeeds")] = ()
    on_deploy: Annotated[
        tuple[Secret, ...], parameter("where to send an alert when a model is deployed")
    ] = ()


class Settings(Parameters, frozen=True):
    """The settings that apply to every engine."""

    mlflow: MlflowSettings = MlflowSettings()
    artifacts: ArtifactsSettings = ArtifactsSettings()
    baton: BatonSettings = BatonSettings()
    notify: NotifySettings = NotifySettings()


ENGINE_SETTINGS = {"prefect": "baton.engines.prefect.settings:PrefectSettings"}
"""Settings classes of engines, as module:object, by section of the configuration file."""


@cache
def all_settings() -> type[Settings]:
    """Return the class of all settings, with a section for each engine."""
    sections = []
    for section, reference in ENGINE_SETTINGS.items():
        module, _, name = reference.partition(":")
        declared: type[Parameters] = getattr(importlib.import_module(module), name)
        sections.append((section, declared, declared()))
    return cast("type[Settings]", msgspec.defstruct("AllSettings", sections, bases=(Settings,), frozen=True))
