"""``baton plan``: what would run and why."""

from __future__ import annotations

import shlex

import click

from baton.cli import output
from baton.cli.options import ProjectCommand, force_option, forced_tasks, json_option, place_options
from baton.runs.command_line import shown_word


@click.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@force_option("Plan as if run with --force")
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, targets: tuple[str, ...], forced: tuple[str, ...], as_json: bool) -> None:
    """Show what a run of TARGETS with the cache would do; nothing runs or is written."""
    from baton import api
    from baton.engines.find import find_engine

    planned = api.plan(ctx.obj, targets, forced=forced_tasks(ctx.obj, targets, forced))
    output.show_plan(planned, as_json=as_json)
    if as_json:
        return
    engine = find_engine(ctx.obj.configuration.settings.baton.engine)
    words = ["baton", "run", *([] if engine.uses_cache else ["--cache"]), *map(shown_word, ctx.meta["words"])]
    output.say(f"\nhint: run it with: {shlex.join(words)}")
