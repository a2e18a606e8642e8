"""Deployments on a Prefect server: create one, and serve it from this machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.runner import Runner
from pydantic import ValidationError

from baton.core.addresses import without_secrets
from baton.core.files import write_atomically
from baton.errors import Unavailable, UsageError
from baton.runs.project import Project

MONTHLY = "0 6 2 * *"
"""06:00 on the second of each month."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to deploy a pipeline.

    Parameters
    ----------
    name : str
        The deployment's name, without the flow's.
    targets : tuple of str
        Groups or tasks; the default target if there are none.
    cron, timezone : str
        The schedule.
    active : bool
        Whether the schedule starts immediately.
    tags : tuple of str
        Labels in addition to ``baton`` and the pipeline's name.
    lag : int, optional
        See `baton.engines.prefect.deployed.deployed_flow`.
    work_pool : str
        The work pool whose workers run it; empty if it is served.
    """

    name: str
    targets: tuple[str, ...] = ()
    cron: str = MONTHLY
    timezone: str = "UTC"
    active: bool = False
    tags: tuple[str, ...] = ()
    lag: int | None = None
    work_pool: str = ""


def deploy(project: Project, plan: Plan) -> str:
    """Write the deployment's entry point and create or update it; return its full name.

    Raises
    ------
    UsageError
        If the schedule or a target is invalid.
    Unavailable
        If the server fails, or the work pool does not exist.
    """
    project.declared.subset(plan.targets)
    try:
        schedule = CronSchedule(cron=plan.cron, timezone=plan.timezone)
    except ValidationError as error:
        raise UsageError(
            f"the schedule '{plan.cron}' in {plan.timezone} cannot be used: {error.errors()[0]['msg']}",
            f"use five fields, such as '{MONTHLY}', and a time zone such as UTC or America/New_York",
        ) from error
    file = _entry_point(project, plan.name)
    write_atomically(file, entry_text(project, plan).encode())
    deployment = _described(
        file,
        name=plan.name,
        schedules=[DeploymentScheduleCreate(schedule=schedule, active=plan.active)],
        tags=sorted({"baton", project.declared.name, *plan.tags}),
        work_pool=plan.work_pool,
    )
    try:
        _require_work_pool(plan.work_pool)
        deployment.apply()
    except (httpx.HTTPError, PrefectException) as error:
        raise _server_failed(error) from error
    return f"{project.declared.name}/{plan.name}"


def serve(project: Project, name: str, *, limit: int, ready: Callable[[], None]) -> None:
    """Execute a deployment's flow runs on this machine until interrupted.

    Changes made on the server, for example to the schedule, are kept.

    Raises
    ------
    UsageError
        If the deployment does not exist.
    Unavailable
        If the server fails.
    """
    full_name = f"{project.declared.name}/{name}"
    known = find_deployment(full_name)
    file = _entry_point(project, name)
    if known is None or not file.is_file():
        raise UsageError(
            f"this project has no deployment '{full_name}'",
            f"create it with: baton prefect deploy --name {name}",
        )
    schedules = [
        DeploymentScheduleCreate.model_validate(
            schedule.model_dump(include=set(DeploymentScheduleCreate.model_fields), exclude_unset=True)
        )
        for schedule in known.schedules
    ]
    runner = Runner(name=full_name.replace("/", "-"), pause_on_shutdown=False, limit=limit)
    try:
        runner.add_deployment(_described(file, name=name, schedules=schedules, tags=list(known.tags)))
        ready()
        asyncio.run(runner.start())
    except (httpx.HTTPError, PrefectException) as error:
        raise _server_failed(error) from error


def find_deployment(full_name: str) -> DeploymentResponse | None:
    """Return a deployment, or None if it does not exist."""
    try:
        with get_client(sync_client=True) as client:
            return client.read_deployment_by_name(full_name)
    except ObjectNotFound:
        return None
    except (httpx.HTTPError, PrefectException) as error:
        raise _server_failed(error) from error


def entry_text(project: Project, plan: Plan) -> str:
    """Return the file that Prefect loads to run the deployment.

    It contains the values from the command line; file and environment are read when it runs.
    """
    arguments: Mapping[str, Any] = {
        "targets": plan.targets,
        "options": project.configuration.given("command line"),
        "lag": plan.lag,
    }
    given = "".join(f"    {name}={value!r},\n" for name, value in arguments.items() if value or value == 0)
    name = f"{project.declared.name}/{plan.name}"
    return (
        f'"""Entry point of the deployment {name}, from baton prefect deploy."""\n\n'
        "from baton.engines.prefect.deployed import deployed_flow\n\n"
        f"flow = deployed_flow(\n    {str(project.folder)!r},\n{given})\n"
    )


def _described(
    file: Path,
    *,
    name: str,
    schedules: Sequence[DeploymentScheduleCreate],
    tags: list[str],
    work_pool: str = "",
) -> RunnerDeployment:
    made: RunnerDeployment = RunnerDeployment.from_entrypoint(
        f"{file}:flow",
        name=name,
        tags=tags,
        enforce_parameter_schema=True,
        work_pool_name=work_pool or None,
        concurrency_limit=1,  # concurrent runs would compete for the champion
    )
    made.schedules = list(schedules)
    return made


def _entry_point(project: Project, name: str) -> Path:
    if not re.fullmatch(r"[\w.-]{1,80}", name):
        raise UsageError(f"'{name}' is not a valid deployment name", "use letters, digits, '.', '_' and '-'")
    return project.home / "prefect" / "flows" / f"{project.declared.name}-{name}.py"


def _require_work_pool(name: str) -> None:
    if not name:
        return
    try:
        with get_client(sync_client=True) as client:
            client.read_work_pool(name)
    except ObjectNotFound as error:
        raise Unavailable(
            f"work pool '{name}' does not exist",
            f"create it with: prefect work-pool create --type process {name}",
        ) from error


def _server_failed(error: Exception) -> Unavailable:
    return Unavailable(f"Prefect's server failed: {without_secrets(_reason(error))}", "see: baton prefect up")


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
