"""``baton menu``: choose commands from a menu."""

from __future__ import annotations

import sys

import click

from baton.cli.options import ProjectCommand, place_options
from baton.errors import UsageError


@click.command(cls=ProjectCommand)
@place_options
@click.pass_context
def command(ctx: click.Context) -> None:
    """Choose commands from a menu, which shows and runs them.

    Settings and parameters given here are passed on to every command.
    """
    from baton.cli.menu import Menu
    from baton.runs.command_line import options_of

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "the menu needs a terminal",
            "without one, run the commands: baton run --engine ENGINE, baton compare, baton clean, "
            "baton cache clear --yes, baton config show, baton doctor",
        )
    Menu(ctx.obj.dag, options_of(ctx.obj, anywhere=ctx.meta.get("project") is not None)).run()
