"""The settings of the tool itself, in the sections of the configuration file."""

from __future__ import annotations

from typing import Annotated, Literal

from baton.core.addresses import is_address
from baton.core.parameters import Parameters, parameter


def _require_folder(key: str, text: str | None) -> None:
    if text is not None and is_address(text):
        raise ValueError(f"{key} must be a folder of this machine, not an address")


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
        """Refuse addresses."""
        _require_folder("artifacts.models_dir", self.models_dir)
        _require_folder("artifacts.data_dir", self.data_dir)


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
        """Refuse an address where only a folder can be."""
        _require_folder("baton.home", self.home)


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
