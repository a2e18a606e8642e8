"""The settings of the tool itself, in the sections of the configuration file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from baton.core.addresses import is_address
from baton.core.parameters import Parameters, parameter
from baton.core.values import read_path


def _read_folder(settings: Parameters, section: str, name: str, *, address: bool = False) -> None:
    """Expand ``~`` in a folder, and refuse an address unless it may be one."""
    text: str | None = getattr(settings, name)
    if text is None:
        return
    if is_address(text) and not address:
        raise ValueError(f"{section}.{name} must be a folder of this machine, not an address")
    try:
        msgspec.structs.force_setattr(settings, name, read_path(text))
    except ValueError as error:
        raise ValueError(f"{section}.{name} cannot be {text!r}: {error}") from None


class MlflowSettings(Parameters, frozen=True):
    """Where tracking runs and models are kept."""

    tracking_server_host: Annotated[
        str | None,
        parameter("host of an MLflow server, used as http://HOST:5000; none means the local store"),
    ] = None
    tracking_uri: Annotated[str | None, parameter("MLflow tracking URI; wins over tracking_server_host")] = (
        None
    )
    aws_profile: Annotated[
        str | None, parameter("AWS profile for artifact stores and object stores on S3")
    ] = None
    experiment_name: Annotated[
        str | None, parameter("MLflow experiment, completed by '-' and the engine; none means the pipeline's")
    ] = None


class ArtifactsSettings(Parameters, frozen=True):
    """Where files for people lie."""

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

    pipeline: Annotated[str, parameter("the pipeline as module:object", pattern=r"^[\w.]+:[\w.]+$")] = (
        "tripduration.pipeline:dag"
    )
    engine: Annotated[str, parameter("engine that runs the pipeline")] = "simple"
    home: Annotated[str, parameter("folder of everything that baton writes, from the project's folder")] = (
        ".baton"
    )
    store: Annotated[
        str | None, parameter("store of artifacts, a folder or an fsspec URL; none means store in home")
    ] = None

    def __post_init__(self) -> None:
        """Expand ``~``, and refuse an address where only a folder can be."""
        _read_folder(self, "baton", "home")
        _read_folder(self, "baton", "store", address=True)


class PrefectSettings(Parameters, frozen=True):
    """Where the engine prefect has its tasks run."""

    task_runner: Annotated[
        Literal["threads", "dask"],
        parameter("Prefect's task runner: threads of this machine, or processes of a Dask cluster"),
    ] = "threads"
    dask_address: Annotated[
        str | None,
        parameter(
            "Dask's scheduler, as tcp://HOST:8786, for task runner dask; none means a cluster of its own"
        ),
    ] = None


class Settings(Parameters, frozen=True):
    """All settings of the tool."""

    mlflow: MlflowSettings = MlflowSettings()
    artifacts: ArtifactsSettings = ArtifactsSettings()
    baton: BatonSettings = BatonSettings()
    prefect: PrefectSettings = PrefectSettings()
