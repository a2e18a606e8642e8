"""The parameters of the duration pipeline, in the sections of the configuration file."""

from __future__ import annotations

from typing import Annotated, Literal

from baton import Parameters, parameter
from tripduration.service import Service

Encoding = Literal["categorical", "onehot"]
Device = Literal["auto", "cpu", "cuda"]


_FIRST_YEAR, _LAST_YEAR, _MONTHS = 2009, 2100, 12
_GREEN_MODEL = "nyc-taxi-duration"


class DataParameters(Parameters, frozen=True):
    """Which trips to use."""

    service: Annotated[Service, parameter("taxis whose trips to use")] = "green"
    year: Annotated[int, parameter("year of the last training month", ge=_FIRST_YEAR, le=_LAST_YEAR)] = 2021
    month: Annotated[int, parameter("last training month", ge=1, le=_MONTHS)] = 1
    train_months: Annotated[int, parameter("training months that end at year-month", ge=1, le=120)] = 1
    validation_year: Annotated[
        int | None, parameter("year of the validation month; none means the month after training")
    ] = None
    validation_month: Annotated[
        int | None, parameter("validation month; none means the month after training")
    ] = None
    source: Annotated[
        str, parameter("'sample', a folder, or an address with {year} and {month}; empty means url_template")
    ] = ""
    url_template: Annotated[
        str, parameter("address of a published month, with {year}, {month:02d} and, optionally, {service}")
    ] = "https://d37ci6vzurychx.cloudfront.net/trip-data/{service}_tripdata_{year}-{month:02d}.parquet"
    zone_url: Annotated[str, parameter("address of the table of taxi zones, for charts")] = (
        "https://d37ci6vzurychx.cloudfront.net/misc/taxi_zone_lookup.csv"
    )
    min_rows: Annotated[int, parameter("trips that a month must have", ge=1)] = 1000
    min_share_kept: Annotated[
        float, parameter("share of trips that must last 1 to 60 minutes", ge=0, le=1)
    ] = 0.5

    def __post_init__(self) -> None:
        """Reject a validation month that is invalid or a training month."""
        year, month = self.validation_year, self.validation_month
        if year is None or month is None:
            return  # a run needs both; they may be set one after the other
        if not (_FIRST_YEAR <= year <= _LAST_YEAR and 1 <= month <= _MONTHS):
            raise ValueError(f"the validation month {year}-{month:02d} does not exist")
        months_before_last = (self.year - year) * _MONTHS + self.month - month
        if 0 <= months_before_last < self.train_months:
            raise ValueError(f"the validation month {year}-{month:02d} is one of the training months")


class BoosterParameters(Parameters, frozen=True):
    """XGBoost's own parameters of the model; the defaults are the reference's."""

    learning_rate: Annotated[float, parameter("shrinkage of each round", gt=0, le=1)] = 0.09585355369315604
    max_depth: Annotated[int, parameter("levels of a tree", ge=1, le=64)] = 30
    min_child_weight: Annotated[float, parameter("least weight of a leaf", ge=0)] = 1.060597050922164
    objective: Annotated[str, parameter("what training minimises")] = "reg:squarederror"
    reg_alpha: Annotated[float, parameter("L1 regularisation", ge=0)] = 0.018060244040060163
    reg_lambda: Annotated[float, parameter("L2 regularisation", ge=0)] = 0.011658731377413597
    seed: Annotated[int, parameter("seed of XGBoost's random numbers", ge=0)] = 42


class ModelParameters(Parameters, frozen=True):
    """How the model is trained."""

    params: BoosterParameters = BoosterParameters()
    num_boost_round: Annotated[int, parameter("maximum number of boosting rounds", ge=1)] = 30
    early_stopping_rounds: Annotated[
        int, parameter("rounds without improvement before training stops; 0 disables it", ge=0)
    ] = 50
    encoding: Annotated[
        Encoding, parameter("form of PU_DO in training; both give the same model, categorical is faster")
    ] = "categorical"
    device: Annotated[Device, parameter("where to train; auto uses a GPU if there is one")] = "auto"
    check_memory: Annotated[
        bool, parameter("whether to refuse a training that needs more memory than is free")
    ] = True


class ValidationParameters(Parameters, frozen=True):
    """The gate before deployment."""

    min_rmse: Annotated[
        float, parameter("RMSE in minutes below which a model is too good to be true", ge=0)
    ] = 0.1
    max_rmse: Annotated[float, parameter("RMSE in minutes above which a model is refused", gt=0)] = 8.0
    max_regression: Annotated[
        float, parameter("share by which the RMSE may be worse than the champion's on the same trips", ge=0)
    ] = 0.05
    compare_champion: Annotated[
        bool, parameter("whether to compare with the champion; false replaces one that cannot be loaded")
    ] = True


class DeploymentParameters(Parameters, frozen=True):
    """Where the accepted model goes."""

    model_name: Annotated[str, parameter("name in the model registry", pattern=r"^[\w .-]{1,100}$")] = (
        _GREEN_MODEL
    )


class DurationParameters(Parameters, frozen=True):
    """All parameters of the duration pipeline."""

    data: DataParameters = DataParameters()
    model: ModelParameters = ModelParameters()
    validation: ValidationParameters = ValidationParameters()
    deployment: DeploymentParameters = DeploymentParameters()

    def __post_init__(self) -> None:
        """Reject a yellow model under the green one's name, which it would replace as champion."""
        if self.data.service != "green" and self.deployment.model_name == _GREEN_MODEL:
            raise ValueError(
                f"{_GREEN_MODEL} is the model for green taxis: set another model_name, "
                f"such as nyc-{self.data.service}-taxi-duration"
            )
