"""``baton prefect``: a server for development, and the pipeline as a deployment."""

from __future__ import annotations

import click

from baton.cli import output
from baton.cli.options import Group, ProjectCommand, place_options
from baton.errors import Unavailable

name_option = click.option("--name", default="monthly", help="The deployment's name [monthly]")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Run a Prefect server, and the pipeline as a Prefect deployment."""


@command.command(cls=ProjectCommand)
@click.option("--port", type=click.IntRange(1, 65535), default=4200, help="Port on 127.0.0.1 [4200]")
@place_options
@click.pass_context
def up(ctx: click.Context, port: int) -> int:
    """Start a Prefect server on this machine, for development, until Ctrl-C."""
    from baton.engines.prefect.environment import prepare_environment, require_prefect

    project = ctx.obj
    require_prefect()
    project.require_writable()
    prepare_environment(project.home)
    from baton.engines.prefect.server import serve_until_stopped

    def ready(url: str) -> None:
        output.say(f"Prefect UI: {url.removesuffix('/api')} - stop with Ctrl-C; in other terminals:")
        output.show_data(f"export PREFECT_API_URL={url}")

    return serve_until_stopped(port, project.home / "prefect" / "server.log", ready)


@command.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@name_option
@click.option("--cron", default="0 6 2 * *", help="Schedule, in cron's five fields [0 6 2 * *]")
@click.option("--timezone", default="UTC", help="Time zone of the schedule [UTC]")
@click.option("--active/--paused", default=False, help="Whether the schedule starts immediately [paused]")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Label the deployment; may be repeated")
@click.option(
    "--lag",
    type=click.IntRange(min=0),
    help="Periods between a run's own and its scheduled one [as declared]",
)
@click.option("--work-pool", default="", help="Work pool whose workers run it; without one, serve it")
@place_options
@click.pass_context
def deploy(
    ctx: click.Context,
    targets: tuple[str, ...],
    name: str,
    cron: str,
    timezone: str,
    active: bool,
    tags: tuple[str, ...],
    lag: int | None,
    work_pool: str,
) -> None:
    """Deploy the pipeline, or the part that TARGETS need, to the Prefect server."""
    _require_server(ctx)
    from baton.engines.prefect.deployment import Plan, deploy

    plan = Plan(name, targets, cron, timezone, active, tags, lag, work_pool)
    full_name = deploy(ctx.obj, plan)
    output.show_data(full_name)
    output.say(
        f"deployed {full_name}; its schedule '{cron}' ({timezone}) is {'active' if active else 'paused'}"
    )
    serving = (
        f"prefect worker start --pool {work_pool}" if work_pool else f"baton prefect serve --name {name}"
    )
    output.say(f"execute its flow runs: {serving}")
    output.say(f"start one: prefect deployment run {full_name}")


@command.command(cls=ProjectCommand)
@name_option
@click.option("--limit", type=click.IntRange(min=1), default=1, help="Number of concurrent flow runs [1]")
@place_options
@click.pass_context
def serve(ctx: click.Context, name: str, limit: int) -> None:
    """Execute a deployment's flow runs on this machine, until Ctrl-C."""
    _require_server(ctx)
    from baton.engines.prefect.deployment import serve

    def ready() -> None:
        output.say(f"serving {ctx.obj.declared.name}/{name} - stop with Ctrl-C")

    serve(ctx.obj, name, limit=limit, ready=ready)


def _require_server(ctx: click.Context) -> None:
    from baton.engines.prefect.environment import (
        chosen_api_url,
        prepare_environment,
        require_prefect,
        require_server,
    )

    require_prefect()
    ctx.obj.require_writable()
    prepare_environment(ctx.obj.home)
    url = chosen_api_url()
    if not url:
        raise Unavailable(
            "PREFECT_API_URL is not set",
            "start one with: baton prefect up; then: export PREFECT_API_URL=http://127.0.0.1:4200/api",
        )
    require_server(url)
