"""What must be shared by address where an executor starts tasks on more than one machine."""

from __future__ import annotations

from collections.abc import Mapping

from baton.errors import UsageError
from baton.runs.project import Project

_HERE = "LocalExecutor"
"""The only executor whose tasks run where the scheduler does."""


def executor_of(setting: str, environ: Mapping[str, str]) -> str:
    """Return the name of the executor that takes tasks which name none.

    Parameters
    ----------
    setting : str
        Airflow's ``[core] executor``: one or several, each perhaps with an alias or a module, and
        more of them for teams.
    environ : mapping of str to str
        The environment; in a pod the setting is not the scheduler's.
    """
    if environ.get("AIRFLOW_IS_K8S_EXECUTOR_POD") == "True":
        return "KubernetesExecutor"
    first = setting.strip().lstrip("=").split(";")[0].split(",")[0]
    return first.split(":")[-1].strip().rpartition(".")[2]


def refuse_unshared(project: Project, executor: str, *, is_tracked: bool) -> None:
    """Raise if tasks may run on machines that would each have a store or tracking records of their own.

    A folder that the project was given by name passes: it may be mounted on all of them.

    Parameters
    ----------
    project : Project
        The project.
    executor : str
        Name of the executor that takes the tasks, from `executor_of`.
    is_tracked : bool
        Whether any task records with the tracker.

    Raises
    ------
    UsageError
        If the store or the tracking records lie where they do unless a project says otherwise.
    """
    if executor == _HERE:
        return
    settings = project.configuration.settings
    where = f"{executor} runs tasks on other machines, and"
    if settings.baton.store is None:
        raise UsageError(
            f"{where} each would have a store of its own in {project.store_url}",
            "share one by its address, for example BATON_STORE=s3://bucket/baton, on all machines; "
            "or name a folder that is mounted on all of them",
        )
    if is_tracked and not settings.mlflow.tracking_uri and not settings.mlflow.tracking_server_host:
        raise UsageError(
            f"{where} each would have MLflow records of its own in {project.home / 'mlflow'}",
            "name one server for all, for example BATON_TRACKING_URI=http://mlflow.internal:5000",
        )
