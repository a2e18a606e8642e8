"""``baton ui``: MLflow's UI for the local store."""

from __future__ import annotations

import os

import click

from baton.cli import output
from baton.cli.options import ProjectCommand, place_options
from baton.core.addresses import without_secrets
from baton.errors import Unavailable
from baton.processes.server import HOST, LocalServer, require_free
from baton.tracking.database import make_local_database
from baton.tracking.location import database_file, local_database
from baton.tracking.moved import follow_move

_READY_WITHIN_S = 90.0
_STOP_WITHIN_S = 5.0
_WITHOUT_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""MLflow's jobs evaluate language models, in five processes that the UI does not need."""


@click.command(cls=ProjectCommand)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, help="Port on 127.0.0.1 [5000]")
@place_options
@click.pass_context
def command(ctx: click.Context, port: int) -> int:
    """Serve MLflow's UI for the project's own store, on this machine only."""
    project = ctx.obj
    if database_file(project.tracking_uri) != local_database(project.home):
        raise Unavailable(
            "the records are not in the project's own store",
            f"open {without_secrets(project.tracking_uri)} instead",
        )
    project.require_writable()
    make_local_database(local_database(project.home))
    follow_move(local_database(project.home))
    require_free(port)
    address = f"http://{HOST}:{port}"
    place = ("--host", HOST, "--port", str(port), "--workers", "1")
    server = LocalServer(
        name="MLflow",
        command=("mlflow", "ui", *place, "--backend-store-uri", project.tracking_uri),
        environ={**_WITHOUT_JOBS, **os.environ},
        log=project.home / "mlflow" / "ui.log",
        health=f"{address}/health",
        is_healthy=lambda answer: answer.is_success,
        ready_within_s=_READY_WITHIN_S,
        stop_within_s=_STOP_WITHIN_S,
    )
    output.say("starting MLflow's UI, this takes some seconds")
    with server.running() as process:
        output.say(f"serving {address} - stop with Ctrl-C")
        return process.wait()
