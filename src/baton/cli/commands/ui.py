"""``baton ui``: MLflow's pages over the local store."""

from __future__ import annotations

import subprocess
import sys

import click

from baton.child_processes import stop_group
from baton.cli import output
from baton.cli.options import ProjectCommand, place_options
from baton.core.addresses import without_secrets
from baton.errors import Unavailable
from baton.tracking.database import make_local_database
from baton.tracking.location import database_file, local_database

_STOP_WITHIN_S = 5.0


@click.command(cls=ProjectCommand)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, help="Port on 127.0.0.1 [5000]")
@place_options
@click.pass_context
def command(ctx: click.Context, port: int) -> int:
    """Serve MLflow's pages over the project's own store, on this machine only."""
    project = ctx.obj
    if database_file(project.tracking_uri) != local_database(project.home):
        raise Unavailable(
            "the records are not in the project's own store",
            f"open {without_secrets(project.tracking_uri)} instead",
        )
    project.require_writable()
    make_local_database(local_database(project.home))
    output.say(f"serving http://127.0.0.1:{port} - end it with Ctrl-C")
    arguments = [
        "ui",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--backend-store-uri",
        project.tracking_uri,
    ]
    server = subprocess.Popen([sys.executable, "-m", "mlflow", *arguments], start_new_session=True)
    try:
        return server.wait()
    finally:
        stop_group(server, within_s=_STOP_WITHIN_S)
