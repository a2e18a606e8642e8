"""The model's errors are measured as a whole and by group."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tripduration.evaluate import (
    DISTANCE_NAMES,
    Evaluation,
    GroupErrors,
    evaluate_predictions,
    rank_importance,
)
from tripduration.onehot_form import to_onehot_form

if TYPE_CHECKING:
    from tests.tripduration.model_fixtures import Months
    from tripduration.train import Trained

pytest_plugins = ("tests.tripduration.model_fixtures",)


@pytest.fixture
def evaluation(small_months: Months, small_trained: Trained, zones: dict[str, dict[str, str]]) -> Evaluation:
    return evaluate_predictions(small_months.val, small_trained.val_predictions, small_trained.history, zones)


@pytest.fixture
def four_trips() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "pickup_hour": [0, 0, 23, 7],
            "PULocationID": [1, 1, 2, 264],
            "trip_distance": [0.0, 1.0, 1.01, 300.0],
            "duration_min": [10.0, 20.0, 30.0, 40.0],
        },
        schema_overrides={"pickup_hour": pl.Int8, "PULocationID": pl.Int32},
    )


def test_the_metrics_are_those_of_scikit_learn(
    evaluation: Evaluation, small_months: Months, small_trained: Trained
) -> None:
    actual, predicted = small_months.durations_min[1], small_trained.val_predictions
    metrics = evaluation["metrics"]
    assert metrics["rmse"] == root_mean_squared_error(actual, predicted)
    assert metrics["mae"] == pytest.approx(mean_absolute_error(actual, predicted), rel=1e-12)
    assert metrics["r2"] == pytest.approx(r2_score(actual, predicted), rel=1e-12)
    assert metrics["absolute_error_p90"] == np.quantile(np.abs(predicted - actual), 0.9)


def test_the_baseline_is_the_error_of_predicting_the_mean(
    evaluation: Evaluation, small_months: Months
) -> None:
    actual = small_months.durations_min[1]
    expected = root_mean_squared_error(actual, np.full(len(actual), actual.mean()))
    assert evaluation["metrics"]["baseline_rmse"] == pytest.approx(expected, rel=1e-12)


def test_a_prediction_that_is_too_long_is_a_positive_bias(four_trips: pl.DataFrame) -> None:
    predictions = np.array([12, 24, 30, 40], np.float32)
    evaluation = evaluate_predictions(four_trips, predictions, {}, {})
    assert evaluation["metrics"]["bias"] == 1.5
    midnight = evaluation["by_hour"][0]
    assert midnight == {"group": "00", "n": 2, "rmse": np.sqrt(10), "mae": 3, "bias": 3}


def test_groups_keep_their_order_and_empty_ones_are_left_out(four_trips: pl.DataFrame) -> None:
    evaluation = evaluate_predictions(four_trips, np.zeros(4, np.float32), {}, {})
    assert names(evaluation["by_hour"]) == ["00", "07", "23"]
    assert names(evaluation["by_distance"]) == ["0", "0-1", "1-2", "over 20"]


def test_trips_of_a_zone_without_a_borough_are_unknown(four_trips: pl.DataFrame) -> None:
    zones = {"1": {"borough": "Queens", "zone": "a"}, "2": {"borough": "Bronx", "zone": "b"}}
    evaluation = evaluate_predictions(four_trips, np.zeros(4, np.float32), {}, zones)
    assert names(evaluation["by_borough"]) == ["Queens", "Bronx", "Unknown"]


def test_without_zones_there_is_no_table_by_borough(four_trips: pl.DataFrame) -> None:
    evaluation = evaluate_predictions(four_trips, np.zeros(4, np.float32), {}, {})
    assert evaluation["by_borough"] == []


def test_every_table_counts_every_trip(evaluation: Evaluation) -> None:
    for table in (evaluation["by_hour"], evaluation["by_distance"], evaluation["by_borough"]):
        assert sum(row["n"] for row in table) == evaluation["metrics"]["n"] == 1000
    assert set(names(evaluation["by_distance"])) <= set(DISTANCE_NAMES)


def test_an_evaluation_goes_through_json_unchanged(evaluation: Evaluation) -> None:
    assert json.loads(json.dumps(evaluation, allow_nan=False)) == evaluation


def test_importance_ranks_the_distance_and_the_strongest_pairs(
    small_months: Months, small_trained: Trained
) -> None:
    onehot = to_onehot_form(small_trained.booster, len(small_months.pairs)).booster
    importance = rank_importance(onehot, small_months.pairs, most=5)
    assert len(importance) == 6
    assert importance[0]["feature"] == "trip_distance"
    assert {row["feature"] for row in importance[1:]} <= set(small_months.pairs)
    shares = [row["gain_share"] for row in importance]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1


def test_all_shares_of_importance_sum_to_one(small_months: Months, small_trained: Trained) -> None:
    onehot = to_onehot_form(small_trained.booster, len(small_months.pairs)).booster
    importance = rank_importance(onehot, small_months.pairs, most=len(small_months.pairs))
    assert sum(row["gain_share"] for row in importance) == pytest.approx(1)


@pytest.mark.parametrize("count", [0, 3], ids=["no trips", "one prediction too few"])
def test_trips_and_predictions_must_match(four_trips: pl.DataFrame, count: int) -> None:
    trips = four_trips.head(0) if count == 0 else four_trips
    with pytest.raises(ValueError, match="trips and predictions of shape"):
        evaluate_predictions(trips, np.zeros(count, np.float32), {}, {})


def test_the_real_month_has_the_reference_s_error(real_months: Months, real_trained: Trained) -> None:
    evaluation = evaluate_predictions(real_months.val, real_trained.val_predictions, real_trained.history, {})
    assert evaluation["metrics"]["rmse"] == 6.607733723268311
    assert evaluation["metrics"]["n"] == 61921


def names(table: list[GroupErrors]) -> list[str]:
    return [row["group"] for row in table]
