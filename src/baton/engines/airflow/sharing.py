"""What must be shared by address where an executor starts tasks on more than one machine."""

from __future__ import annotations

from baton.errors import UsageError
from baton.project import Project

_HERE = "LocalExecutor"
"""The only executor whose tasks run where the scheduler does."""


def refuse_unshared(project: Project, executor: str, *, is_tracked: bool) -> None:
    """Raise if tasks may run on machines that would each have a store or tracking records of their own.

    A folder that the project was given by name passes: it may be mounted on all of them.

    Parameters
    ----------
    project : Project
        The project.
    executor : str
        Airflow's setting ``[core] executor``; where it names several, the first takes the tasks.
    is_tracked : bool
        Whether any task records with the tracker.

    Raises
    ------
    UsageError
        If the store or the tracking records lie where they do unless a project says otherwise.
    """
    name = _first_of(executor)
    if name == _HERE:
        return
    settings = project.configuration.settings
    where = f"{name} runs tasks on other machines, and"
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


def _first_of(setting: str) -> str:
    """Return the class of the first executor, which may stand behind an alias or a module's name."""
    first = setting.strip().lstrip("=").split(";")[0].split(",")[0]
    return first.split(":")[-1].strip().rpartition(".")[2]
