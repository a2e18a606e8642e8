"""The settings of all scripts: a program changes the file that people edit, and refuses what is wrong."""

from typing import Any

from scripts import run_config_script

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


if __name__ == "__main__":
    run_config_script(__doc__, get_config)
