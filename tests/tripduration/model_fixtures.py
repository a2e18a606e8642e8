"""Trips, small made-up ones and real months, for the tests of the model.

A test module that needs them says ``pytest_plugins = ("tests.tripduration.model_fixtures",)``.

PYTEST_DONT_REWRITE: there is nothing to rewrite, and pytest warns if it collected doctests first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from tripduration.features import encode_categorical, encode_onehot, fit_pairs
from tripduration.train import Trained, train_booster

if TYPE_CHECKING:
    import xgboost as xgb

HYPERPARAMETERS: dict[str, float | int | str] = {
    "learning_rate": 0.09585355369315604,
    "max_depth": 30,
    "min_child_weight": 1.060597050922164,
    "objective": "reg:squarederror",
    "reg_alpha": 0.018060244040060163,
    "reg_lambda": 0.011658731377413597,
    "seed": 42,
}


@dataclass(frozen=True)
class Months:
    """Training and validation trips, with the pairs of the former."""

    train: pl.DataFrame
    val: pl.DataFrame
    pairs: list[str]

    @property
    def durations_min(self) -> tuple[np.ndarray, np.ndarray]:
        """Durations of the training and of the validation trips."""
        return self.train["duration_min"].to_numpy(), self.val["duration_min"].to_numpy()


@pytest.fixture(scope="session")
def hyperparameters() -> dict[str, float | int | str]:
    """Return the reference pipeline's hyperparameters."""
    return dict(HYPERPARAMETERS)


@pytest.fixture(scope="session")
def small_months() -> Months:
    """Return 3,000 and 1,000 made-up trips; some validation pairs are in no training trip."""
    train, val = _made_up_trips(3000, 40, seed=1), _made_up_trips(1000, 60, seed=2)
    return Months(train, val, fit_pairs([train.lazy()]))


@pytest.fixture(scope="session")
def small_trained(small_months: Months) -> Trained:
    """Return what 8 rounds on the small months in the categorical encoding give."""
    return _train_categorical(small_months, num_boost_round=8)


@pytest.fixture(scope="session")
def small_reference(small_months: Months) -> xgb.Booster:
    """Return 8 rounds on the small months, trained as the reference pipeline trains."""
    return _train_as_the_reference(small_months, num_boost_round=8)


@pytest.fixture(scope="session")
def trip_files() -> Path:
    """Return the folder of the published months that the environment names."""
    folder = os.environ.get("BATON_TEST_DATA")
    if not folder:
        pytest.skip("BATON_TEST_DATA names no folder with the published trip files")
    return Path(folder)


@pytest.fixture(scope="session")
def real_months(trip_files: Path) -> Months:
    """Return 2021-01 to train on and 2021-02 to validate with: 73,908 and 61,921 trips."""
    train, val = (_real_trips(trip_files, month) for month in ("2021-01", "2021-02"))
    return Months(train, val, fit_pairs([train.lazy()]))


@pytest.fixture(scope="session")
def real_trained(real_months: Months) -> Trained:
    """Return the model of the reference's 30 rounds, trained in the categorical encoding."""
    return _train_categorical(real_months, num_boost_round=30)


@pytest.fixture(scope="session")
def real_reference(real_months: Months) -> xgb.Booster:
    """Return the model trained as the reference pipeline trains it: slow, about 20 s."""
    return _train_as_the_reference(real_months, num_boost_round=30)


@pytest.fixture(scope="session")
def zones() -> dict[str, dict[str, str]]:
    """Return boroughs of the made-up trips' zones; zone 40 is in none."""
    boroughs = ("Manhattan", "Queens", "Bronx")
    return {str(i): {"borough": boroughs[i % 3], "zone": f"Zone {i}"} for i in range(1, 40)}


def _train_categorical(months: Months, num_boost_round: int) -> Trained:
    train_duration_min, val_duration_min = months.durations_min
    return train_booster(
        encode_categorical(months.train, months.pairs),
        train_duration_min,
        encode_categorical(months.val, months.pairs),
        val_duration_min,
        hyperparameters=HYPERPARAMETERS,
        num_boost_round=num_boost_round,
        early_stopping_rounds=50,
        device="cpu",
    )


def _train_as_the_reference(months: Months, num_boost_round: int) -> xgb.Booster:
    import xgboost as xgb

    train_duration_min, val_duration_min = months.durations_min
    train = xgb.DMatrix(encode_onehot(months.train, months.pairs), label=train_duration_min)
    val = xgb.DMatrix(encode_onehot(months.val, months.pairs), label=val_duration_min)
    return xgb.train(
        HYPERPARAMETERS,
        train,
        num_boost_round,
        evals=[(val, "validation")],
        early_stopping_rounds=50,
        verbose_eval=False,
    )


def _made_up_trips(n: int, zone_count: int, seed: int) -> pl.DataFrame:
    """Make trips that last longer the further they go, one in twenty without a distance."""
    random = np.random.default_rng(seed)
    pickup, dropoff = random.integers(1, zone_count + 1, (2, n))
    distance = np.round(random.gamma(2, 1.5, n), 2) * (random.random(n) > 0.05)
    duration = np.clip(3 + 4 * distance + pickup % 7 + random.normal(0, 3, n), 1, 60)
    hour = random.integers(0, 24, n)
    return pl.DataFrame(
        {
            "pickup_at": np.datetime64("2021-01-01", "us") + hour * np.timedelta64(1, "h"),
            "pickup_hour": hour.astype(np.int8),
            "PULocationID": pickup.astype(np.int32),
            "DOLocationID": dropoff.astype(np.int32),
            "trip_distance": distance,
            "PU_DO": [f"{a}_{b}" for a, b in zip(pickup, dropoff, strict=True)],
            "duration_min": duration,
        }
    )


def _real_trips(folder: Path, month: str) -> pl.DataFrame:
    pickup, dropoff = pl.col("lpep_pickup_datetime"), pl.col("lpep_dropoff_datetime")
    ids = [pl.col(name).cast(pl.Int32) for name in ("PULocationID", "DOLocationID")]
    return (
        pl.scan_parquet(folder / f"green_tripdata_{month}.parquet")
        .select(
            pickup.alias("pickup_at"),
            pickup.dt.hour().alias("pickup_hour"),
            *ids,
            pl.col("trip_distance").cast(pl.Float64),
            pl.concat_str(ids, separator="_").alias("PU_DO"),
            ((dropoff - pickup).dt.total_microseconds() / 60e6).alias("duration_min"),
        )
        .filter(pl.col("duration_min").is_between(1, 60))
        .collect()
    )
