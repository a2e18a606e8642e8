"""The settings of all scripts: a program changes the file that people edit, and refuses what is wrong."""

from collections.abc import Callable
from typing import Any

import click

from baton.cli import output
from baton.cli.app import main
from baton.cli.commands.config import show_configuration
from baton.cli.options import Command
from baton.config.edit import ConfigurationFile
from tripduration.parameters import DurationParameters


class OrchestrationConfig(ConfigurationFile):
    """orchestration_config.json, by sections; what is left out stays as it is."""

    def update_mlflow_settings(self, tracking_server_host: str | None = None, **others: Any) -> None:
        """Set where runs are tracked: tracking_server_host, aws_profile, experiment_name, tracking_uri."""
        self.update("mlflow", tracking_server_host=tracking_server_host, **others)

    def update_data_settings(self, year: int | None = None, month: int | None = None, **others: Any) -> None:
        """Set which trips: year, month, source, url_template, ..."""
        self.update("data", year=year, month=month, **others)

    def save_config(self) -> None:
        """Write the changes into the file."""
        self.save()

    def get_script_config(self, script: str) -> dict[str, Any]:
        """Return all values as the script "simple", "airflow", "prefect" or "make" sees them."""
        config = self.as_dict()
        config["mlflow"]["experiment_name"] += f"-{script}"
        return config


def get_config() -> OrchestrationConfig:
    """Return the configuration of the current folder."""
    return OrchestrationConfig(DurationParameters, own_defaults={"experiment_name": "nyc-taxi-experiment"})


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


if __name__ == "__main__":
    run_config_script(__doc__, get_config)
