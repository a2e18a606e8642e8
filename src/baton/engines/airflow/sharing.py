"""Which places must be shared if an executor starts tasks on several machines."""

from __future__ import annotations

from collections.abc import Mapping

from baton.errors import UsageError
from baton.runs.project import Project

_HERE = "LocalExecutor"
"""The only executor that runs tasks on the scheduler's machine."""


def executor_of(setting: str, environ: Mapping[str, str]) -> str:
    """Return the name of the default executor.

    Parameters
    ----------
    setting : str
        Airflow's ``[core] executor``: one or several, each possibly with an alias or a module, and
        more for teams.
    environ : mapping of str to str
        The environment; in a pod the setting differs from the scheduler's.
    """
    if environ.get("AIRFLOW_IS_K8S_EXECUTOR_POD") == "True":
        return "KubernetesExecutor"
    first = setting.strip().lstrip("=").split(";")[0].split(",")[0]
    return first.split(":")[-1].strip().rpartition(".")[2]


def refuse_unshared(project: Project, executor: str, *, is_tracked: bool) -> None:
    """Raise an error if tasks may run on machines with separate stores or tracking records.

    A folder set explicitly for the project passes: it may be mounted on all machines.

    Parameters
    ----------
    project : Project
        The project.
    executor : str
        Name of the executor, from `executor_of`.
    is_tracked : bool
        Whether any task records with the tracker.

    Raises
    ------
    UsageError
        If the store or the tracking records are in their default places.
    """
    if executor == _HERE:
        return
    settings = project.configuration.settings
    where = f"{executor} runs tasks on other machines, and"
    if settings.baton.store is None:
        raise UsageError(
            f"{where} each would have its own store in {project.store_url}",
            "share one by address, for example BATON_STORE=s3://bucket/baton, on all machines; "
            "or use a folder that is mounted on all of them",
        )
    if is_tracked and not settings.mlflow.tracking_uri and not settings.mlflow.tracking_server_host:
        raise UsageError(
            f"{where} each would have its own MLflow records in {project.home / 'mlflow'}",
            "use one server for all, for example BATON_TRACKING_URI=http://mlflow.internal:5000",
        )
