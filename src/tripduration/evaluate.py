"""Measure how well the model predicts, overall and by hour, distance and borough.

An error is prediction minus duration, in minutes: positive if the prediction is too long.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypedDict

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import polars as pl
    import xgboost as xgb

    Zones = Mapping[str, Mapping[str, str]]

#: Upper ends of the distance buckets in miles, inclusive. Thousands of trips
#: have a distance of exactly 0: their meter did not measure it.
DISTANCE_ENDS_MILES = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, math.inf)
DISTANCE_NAMES = ("0", "0-1", "1-2", "2-3", "3-5", "5-10", "10-20", "over 20")

QUANTILES = (0.5, 0.9, 0.95, 0.99)

UNKNOWN_BOROUGH = "Unknown"


class GroupErrors(TypedDict):
    """The errors of one group of trips: ``n`` trips, the rest in minutes."""

    group: str
    n: int
    rmse: float
    mae: float
    bias: float


class Importance(TypedDict):
    """A feature's share, 0 to 1, of the total gain of all splits."""

    feature: str
    gain_share: float


class Evaluation(TypedDict):
    """All results about a model's errors on the validation trips, ready for JSON.

    ``metrics`` holds ``rmse``, ``mae``, ``bias``, ``baseline_rmse`` and
    ``absolute_error_p50``, ``_p90``, ``_p95``, ``_p99`` in minutes, ``r2`` (at most 1) and ``n``
    (trips). ``baseline_rmse`` is the error of always predicting the validation trips' mean.
    ``learning_curve`` is the error in minutes after each round. Tables list their groups in natural
    order, without empty groups; ``by_borough`` is that of the pickup, largest
    first, and empty without zones.
    """

    metrics: dict[str, float]
    learning_curve: dict[str, list[float]]
    by_hour: list[GroupErrors]
    by_distance: list[GroupErrors]
    by_borough: list[GroupErrors]
    importance: list[Importance]


def evaluate_predictions(
    trips_val: pl.DataFrame,
    predictions: npt.NDArray[np.float32],
    history: Mapping[str, Sequence[float]],
    zones: Zones,
    importance: Sequence[Importance] = (),
) -> Evaluation:
    """Compare predictions with the actual durations.

    Parameters
    ----------
    trips_val
        The validation trips, n rows, with the columns ``pickup_hour``, ``PULocationID``,
        ``trip_distance`` (miles) and ``duration_min``.
    predictions
        Minutes, shape (n,).
    history
        The learning curve from `tripduration.train.Trained`.
    zones
        By location id as text, ``{"1": {"borough": "EWR", "zone": "Newark Airport"}}``; empty for
        no table by borough.
    importance
        From `rank_importance`.

    Raises
    ------
    ValueError
        If there are no trips, or not one prediction per trip.
    """
    duration_min = trips_val["duration_min"].to_numpy()
    if not len(duration_min) or predictions.shape != duration_min.shape:
        message = f"{len(duration_min)} trips and predictions of shape {predictions.shape}"
        raise ValueError(message)
    error_min = predictions.astype(np.float64) - duration_min
    hours = trips_val["pickup_hour"].to_numpy()
    distances = trips_val["trip_distance"].to_numpy()
    by_borough: list[GroupErrors] = []
    if zones:
        codes, names = _boroughs(trips_val["PULocationID"].to_numpy(), zones)
        by_borough = sorted(_by_group(error_min, codes, names), key=lambda row: -row["n"])
    return {
        "metrics": measure_errors(duration_min, error_min),
        "learning_curve": {name: list(errors) for name, errors in history.items()},
        "by_hour": _by_group(error_min, hours, [f"{hour:02d}" for hour in range(24)]),
        "by_distance": _by_group(error_min, np.searchsorted(DISTANCE_ENDS_MILES, distances), DISTANCE_NAMES),
        "by_borough": by_borough,
        "importance": list(importance),
    }


def measure_errors(
    duration_min: npt.NDArray[np.float64], error_min: npt.NDArray[np.float64]
) -> dict[str, float]:
    """Return the metrics over all trips, see `Evaluation`.

    ``rmse`` is sqrt(mean(error**2)) in float64, bit for bit scikit-learn's
    ``root_mean_squared_error``; ``r2`` is 1 - rmse**2 / variance, and 0 without variance.
    """
    absolute = np.abs(error_min)
    mean_square = float(np.mean(error_min**2))
    variance = float(np.var(duration_min))
    quantiles = np.quantile(absolute, QUANTILES)
    return {
        "n": len(error_min),
        "rmse": math.sqrt(mean_square),
        "mae": float(np.mean(absolute)),
        "bias": float(np.mean(error_min)),
        "r2": 1 - mean_square / variance if variance else 0.0,
        "baseline_rmse": math.sqrt(variance),
        **{
            f"absolute_error_p{round(100 * share)}": float(value)
            for share, value in zip(QUANTILES, quantiles, strict=True)
        },
    }


def rank_importance(onehot_booster: xgb.Booster, pairs: Sequence[str], most: int = 20) -> list[Importance]:
    """Return the contributions of the distance and the strongest pairs to the model.

    Parameters
    ----------
    onehot_booster
        A booster over the one-hot columns, from `tripduration.onehot_form.to_onehot_form`.
    pairs
        The pairs of these columns.
    most
        Maximum number of pairs to return.

    Returns
    -------
    list of Importance
        Strongest first. Shares are of the gain of all splits in all trees, so they sum to 1 over all
        features, including those not returned.
    """
    gains = onehot_booster.get_score(importance_type="total_gain")
    names = [*pairs, "trip_distance"]
    by_name = {names[int(column[1:])]: _one_number(gain) for column, gain in gains.items()}
    total = math.fsum(by_name.values()) or 1.0
    distance = by_name.pop("trip_distance", 0.0)
    strongest = sorted(by_name.items(), key=lambda item: (-item[1], item[0]))[:most]
    ranked = sorted([("trip_distance", distance), *strongest], key=lambda item: -item[1])
    return [{"feature": name, "gain_share": gain / total} for name, gain in ranked]


def _one_number(gain: float | list[float]) -> float:
    """Return the gain; XGBoost returns a list only for models with several outputs."""
    return gain if isinstance(gain, float) else math.fsum(gain)


def _boroughs(location_ids: npt.NDArray[np.int32], zones: Zones) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return each trip's index in the list of boroughs, and the list."""
    ids, positions = np.unique(location_ids, return_inverse=True)
    of_id = [zones.get(str(i), {}).get("borough") or UNKNOWN_BOROUGH for i in ids]
    names = sorted(set(of_id))
    return np.array([names.index(name) for name in of_id], np.int64)[positions], names


def _by_group(
    error_min: npt.NDArray[np.float64], codes: npt.NDArray[np.int_], names: Sequence[str]
) -> list[GroupErrors]:
    """Return the errors of each non-empty group; a trip's code is the index of its group."""
    counts = np.bincount(codes, minlength=len(names))
    held = np.maximum(counts, 1)
    bias = np.bincount(codes, error_min, len(names)) / held
    mae = np.bincount(codes, np.abs(error_min), len(names)) / held
    rmse = np.sqrt(np.bincount(codes, error_min**2, len(names)) / held)
    return [
        {
            "group": name,
            "n": int(counts[i]),
            "rmse": float(rmse[i]),
            "mae": float(mae[i]),
            "bias": float(bias[i]),
        }
        for i, name in enumerate(names)
        if counts[i]
    ]
