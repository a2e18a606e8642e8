"""``baton plan``: what would run and why."""

from __future__ import annotations

from dataclasses import asdict

import click

from baton.cli import output
from baton.cli.options import ProjectCommand, json_option, place_options


@click.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, targets: tuple[str, ...], as_json: bool) -> None:
    """Show what a run of TARGETS that uses the cache would do; nothing is run or written."""
    from baton import api

    planned = api.plan(ctx.obj, targets)
    if as_json:
        output.show_json([asdict(task) for task in planned])
        return
    rows = [(task.task, "run" if task.would_run else "cached", task.reason) for task in planned]
    output.show_table(("task", "would", "reason"), rows)
    output.say("\nhint: run it so with: baton run --cache")
