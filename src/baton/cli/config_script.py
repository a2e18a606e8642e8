"""The configuration as a script of its own: show it, make the default one, change and save it."""

from __future__ import annotations

from collections.abc import Callable

import click

from baton.cli import output
from baton.cli.app import main
from baton.cli.commands.config import show_configuration
from baton.cli.options import Command
from baton.config.edit import ConfigurationFile


def run_config_script(about: str | None, open_file: Callable[[], ConfigurationFile]) -> None:
    """Parse the command line, do what it says, and exit with one of `ExitCode`.

    Parameters
    ----------
    about : str, optional
        What ``--help`` says: the script's own docstring.
    open_file : callable
        Returns the configuration file.
    """
    main(command=config_script_command(about, open_file))


def config_script_command(about: str | None, open_file: Callable[[], ConfigurationFile]) -> click.Command:
    """Return the command of the script; parameters as in `run_config_script`."""
    names = {"help_option_names": ["-h", "--help"]}

    @click.command(cls=Command, help=about, context_settings=names, no_args_is_help=True)
    @click.option("--show", is_flag=True, help="Show every value and where it came from")
    @click.option("--create-default", is_flag=True, help="Write a file with every default")
    @click.option("--update-mlflow-host", "host", metavar="HOST", help="Set mlflow.tracking_server_host")
    @click.option("--update-aws-profile", "profile", metavar="NAME", help="Set mlflow.aws_profile")
    @click.option("--update-year", "year", type=int, help="Set data.year")
    @click.option("--update-month", "month", type=int, help="Set data.month")
    @click.option("--save", is_flag=True, help="Write the changes into the file")
    def command(
        show: bool,
        create_default: bool,
        host: str | None,
        profile: str | None,
        year: int | None,
        month: int | None,
        save: bool,
    ) -> None:
        changed = open_file()
        if create_default:
            kept = changed.create_default()
            output.say(f"wrote {changed.path}" + (f"; the one before is {kept}" if kept else ""))
        changed.update("mlflow", tracking_server_host=host, aws_profile=profile)
        changed.update("data", year=year, month=month)
        changed.resolve()
        if show or (changed.is_changed and not save):
            show_configuration(changed.resolve())
        if save:
            output.say(f"saved {changed.save()}")
        elif changed.is_changed:
            output.say("\nhint: nothing is saved yet: add --save")

    return command
