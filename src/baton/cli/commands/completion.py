"""``baton completion``: the shell completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from baton.cli import output
from baton.cli.options import Command


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL, for example: eval "$(baton completion bash)"."""
    from baton.cli.app import COMPLETE, app

    complete = get_completion_class(shell)
    assert complete is not None
    output.show_data(complete(app, {}, "baton", COMPLETE).source())
