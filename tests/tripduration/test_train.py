"""Training gives the reference's model, at any number of threads, and its best round."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import xgboost as xgb
from sklearn.metrics import root_mean_squared_error

from tests.tripduration.model_fixtures import Months
from tripduration.devices import why_no_gpu
from tripduration.features import encode, fit_pairs
from tripduration.train import (
    DeviceError,
    HyperparameterError,
    Trained,
    TrainingError,
    train_booster,
)

if TYPE_CHECKING:
    from tripduration.features import Encoding

pytest_plugins = ("tests.tripduration.model_fixtures",)


@dataclass(frozen=True)
class Training:
    """Trains on the small months; what a test does not name is as usual."""

    months: Months
    hyperparameters: dict[str, float | int | str]

    def __call__(self, encoding: Encoding = "categorical", **chosen: Any) -> Trained:
        train_duration_min, val_duration_min = self.months.durations_min
        usual = {
            "hyperparameters": self.hyperparameters,
            "num_boost_round": 4,
            "early_stopping_rounds": 50,
            "device": "cpu",
            "threads": 1,
        }
        return train_booster(
            encode([self.months.train.lazy()], self.months.pairs, encoding),
            train_duration_min,
            encode([self.months.val.lazy()], self.months.pairs, encoding),
            val_duration_min,
            **{**usual, **chosen},
        )


@pytest.fixture
def train(small_months: Months, hyperparameters: dict[str, float | int | str]) -> Training:
    return Training(small_months, hyperparameters)


@pytest.fixture
def overfitting(hyperparameters: dict[str, float | int | str]) -> dict[str, float | int | str]:
    """Return hyperparameters with which the validation error soon grows."""
    return {**hyperparameters, "learning_rate": 0.9}


def test_both_encodings_give_the_same_predictions_to_the_last_bit(train: Training) -> None:
    categorical, onehot = train("categorical"), train("onehot")
    np.testing.assert_array_equal(categorical.val_predictions, onehot.val_predictions)
    assert categorical.history == onehot.history


@pytest.mark.parametrize("encoding", ["categorical", "onehot"])
def test_the_model_is_the_same_at_any_number_of_threads(train: Training, encoding: Encoding) -> None:
    one, two = train(encoding, threads=1), train(encoding, threads=2)
    assert (one.threads, two.threads) == (1, 2)
    assert digest(one) == digest(two)
    assert one.history == two.history


@pytest.mark.parametrize("rounds", [1, 127, 128, 255, 256, 300, 1000])
def test_both_encodings_give_one_model_of_any_number_of_rounds(
    train: Training, hyperparameters: dict[str, float | int | str], rounds: int
) -> None:
    few_trips = train.months.train.head(60)
    few = Months(few_trips, train.months.val.head(20), fit_pairs([few_trips.lazy()]))
    trained = [
        Training(few, {**hyperparameters, "max_depth": 2})(
            encoding, num_boost_round=rounds, early_stopping_rounds=0
        ).reference_booster
        for encoding in ("categorical", "onehot")
    ]
    assert [booster.num_boosted_rounds() for booster in trained] == [rounds, rounds]
    categorical, onehot = (hashlib.sha256(booster.save_raw("ubj")).hexdigest() for booster in trained)
    assert categorical == onehot


def test_training_again_gives_the_same_bytes(train: Training) -> None:
    assert digest(train()) == digest(train())


def test_validation_predictions_are_those_of_the_booster(train: Training, small_months: Months) -> None:
    trained = train()
    assert trained.val_predictions.dtype == np.float32
    np.testing.assert_array_equal(
        trained.val_predictions, trained.booster.predict(validation_rows(small_months))
    )


def test_history_holds_the_error_of_each_round(train: Training, small_months: Months) -> None:
    trained = train(num_boost_round=6)
    assert list(trained.history) == ["train", "validation"]
    assert [len(errors) for errors in trained.history.values()] == [6, 6]
    assert trained.history["validation"][-1] == root_mean_squared_error(
        small_months.durations_min[1], trained.val_predictions
    )


def test_early_stopping_returns_the_best_round(
    train: Training, small_months: Months, overfitting: dict[str, float | int | str]
) -> None:
    trained = train(hyperparameters=overfitting, num_boost_round=40, early_stopping_rounds=3)
    errors = trained.history["validation"]
    assert trained.best_iteration == int(np.argmin(errors))
    assert len(errors) == trained.best_iteration + 1 + 3
    assert trained.booster.num_boosted_rounds() == trained.best_iteration + 1
    np.testing.assert_array_equal(
        trained.val_predictions, trained.booster.predict(validation_rows(small_months))
    )


def test_early_stopping_stops_where_xgboost_s_own_does(
    train: Training, small_months: Months, overfitting: dict[str, float | int | str]
) -> None:
    trained = train("onehot", hyperparameters=overfitting, num_boost_round=40, early_stopping_rounds=3)
    train_min, val_min = small_months.durations_min
    theirs = xgb.train(
        overfitting,
        xgb.DMatrix(encode([small_months.train.lazy()], small_months.pairs, "onehot"), label=train_min),
        40,
        evals=[
            (
                xgb.DMatrix(encode([small_months.val.lazy()], small_months.pairs, "onehot"), label=val_min),
                "validation",
            )
        ],
        early_stopping_rounds=3,
        verbose_eval=False,
    )
    assert trained.best_iteration == theirs.best_iteration
    assert len(trained.history["validation"]) == theirs.num_boosted_rounds()


def test_the_best_round_is_kept_even_when_all_rounds_were_trained(
    train: Training, overfitting: dict[str, float | int | str]
) -> None:
    trained = train(hyperparameters=overfitting, num_boost_round=12, early_stopping_rounds=50)
    assert len(trained.history["validation"]) == 12
    assert trained.booster.num_boosted_rounds() == trained.best_iteration + 1 < 12


def test_without_early_stopping_all_rounds_are_kept(
    train: Training, overfitting: dict[str, float | int | str]
) -> None:
    trained = train(hyperparameters=overfitting, num_boost_round=12, early_stopping_rounds=0)
    assert trained.best_iteration == 11
    assert trained.booster.num_boosted_rounds() == 12


def test_the_booster_says_its_best_round_and_error(train: Training) -> None:
    trained = train()
    assert trained.booster.best_iteration == trained.best_iteration
    assert trained.booster.best_score == trained.history["validation"][trained.best_iteration]
    assert set(trained.booster.attributes()) == {"best_iteration", "best_score"}


def test_following_the_validation_trips_afterwards_gives_what_following_them_meanwhile_gives(
    train: Training,
) -> None:
    # Where training may stop early, the validation trips must be followed meanwhile.
    afterwards, meanwhile = (train(num_boost_round=4, early_stopping_rounds=n) for n in (50, 3))
    assert afterwards.history == meanwhile.history
    assert digest(afterwards) == digest(meanwhile)
    np.testing.assert_array_equal(afterwards.val_predictions, meanwhile.val_predictions)


@pytest.mark.parametrize("changed", [{"objective": "reg:tweedie"}, {"num_parallel_tree": 2}])
def test_other_objectives_and_forests_give_the_booster_s_own_predictions(
    train: Training,
    small_months: Months,
    hyperparameters: dict[str, float | int | str],
    changed: dict[str, float | int | str],
) -> None:
    trained = train(hyperparameters={**hyperparameters, **changed})
    np.testing.assert_array_equal(
        trained.val_predictions, trained.booster.predict(validation_rows(small_months))
    )


def test_the_reference_booster_is_cut_after_the_best_round_too(
    train: Training, small_months: Months, overfitting: dict[str, float | int | str]
) -> None:
    trained = train(hyperparameters=overfitting, num_boost_round=12, early_stopping_rounds=50)
    onehot = xgb.DMatrix(encode([small_months.val.lazy()], small_months.pairs, "onehot"))
    assert trained.reference_booster.attributes() == trained.booster.attributes()
    np.testing.assert_array_equal(trained.reference_booster.predict(onehot), trained.val_predictions)


def test_each_round_is_reported(train: Training) -> None:
    reports: list[tuple[int, int, float, float | None]] = []
    trained = train(num_boost_round=3, on_round=lambda *report: reports.append(report))
    errors = trained.history["train"]
    assert reports == [(i + 1, 3, error, None) for i, error in enumerate(errors)]


def test_validation_can_be_followed_without_changing_the_model(train: Training) -> None:
    reports: list[float | None] = []
    followed = train(
        num_boost_round=3, follow_validation=True, on_round=lambda *report: reports.append(report[-1])
    )
    trained = train(num_boost_round=3)
    assert reports == followed.history["validation"] == trained.history["validation"]
    assert digest(followed) == digest(trained)
    np.testing.assert_array_equal(followed.val_predictions, trained.val_predictions)


def test_an_unknown_hyperparameter_is_named_with_its_nearest(
    train: Training, hyperparameters: dict[str, float | int | str]
) -> None:
    with pytest.raises(HyperparameterError, match="`max_dept`, `zzz`") as caught:
        train(hyperparameters={**hyperparameters, "max_dept": 3, "zzz": 1})
    assert "`max_depth` for `max_dept`" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("max_depth", "deep", "max_depth"),
        ("subsample", 3.0, "subsample"),
        ("learning_rate", -1, "learning_rate"),
        ("tree_method", "fast", "'fast'"),
        ("booster", "gbforest", "gbforest"),
    ],
)
def test_a_refused_value_is_named(
    train: Training,
    hyperparameters: dict[str, float | int | str],
    name: str,
    value: float | str,
    said: str,
) -> None:
    with pytest.raises(HyperparameterError, match=said) as caught:
        train(hyperparameters={**hyperparameters, name: value})
    assert "Stack trace" not in str(caught.value)
    assert caught.value.hint


def test_an_unknown_objective_is_answered_with_the_known_ones(
    train: Training, hyperparameters: dict[str, float | int | str]
) -> None:
    with pytest.raises(HyperparameterError) as caught:
        train(hyperparameters={**hyperparameters, "objective": "reg:sqarederror"})
    assert "reg:squarederror" in caught.value.hint


def test_what_training_decides_is_no_hyperparameter(train: Training) -> None:
    with pytest.raises(HyperparameterError, match="`nthread`") as caught:
        train(hyperparameters={"nthread": 4})
    assert "`threads`" in caught.value.hint


def test_a_tree_method_without_categories_is_refused_with_a_hint(train: Training) -> None:
    with pytest.raises(HyperparameterError) as caught:
        train(hyperparameters={"tree_method": "exact"})
    assert caught.value.hint


@pytest.mark.parametrize("encoding", ["categorical", "onehot"])
@pytest.mark.parametrize("distance", [math.inf, -math.inf, 1e39])
@pytest.mark.parametrize("part", ["train", "val"])
def test_infinite_distances_are_refused_in_one_line(
    train: Training, encoding: Encoding, distance: float, part: str
) -> None:
    trips = getattr(train.months, part).with_columns(trip_distance=pl.lit(distance))
    infinite = Training(replace(train.months, **{part: trips}), train.hyperparameters)
    with pytest.raises(TrainingError, match=r"^XGBoost rejected the trips: .*inf[^\n]*$") as caught:
        infinite(encoding, num_boost_round=1)
    assert caught.value.hint


def test_training_that_diverges_is_refused(
    train: Training, hyperparameters: dict[str, float | int | str]
) -> None:
    wild = {"objective": "survival:cox", "learning_rate": 1.0, "reg_lambda": 0.0, "reg_alpha": 0.0}
    with pytest.raises(TrainingError, match="training diverged: after round 1 the error is inf") as caught:
        train(hyperparameters={**hyperparameters, **wild, "min_child_weight": 0.0})
    assert "learning_rate" in caught.value.hint


@pytest.mark.filterwarnings("ignore:.*reg.linear is now deprecated:UserWarning")
@pytest.mark.parametrize("encoding", ["categorical", "onehot"])
def test_the_old_name_of_an_objective_can_be_cut_after_the_best_round(
    train: Training, overfitting: dict[str, float | int | str], encoding: Encoding
) -> None:
    old, new = (
        train(encoding, hyperparameters={**overfitting, "objective": objective}, num_boost_round=12)
        for objective in ("reg:linear", "reg:squarederror")
    )
    assert old.booster.num_boosted_rounds() < 12
    assert digest(old) == digest(new)


def test_no_rounds_are_refused(train: Training) -> None:
    with pytest.raises(TrainingError, match="0 rounds"):
        train(num_boost_round=0)


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU")
def test_cuda_without_a_gpu_is_an_error_that_says_what_to_choose(train: Training) -> None:
    with pytest.raises(DeviceError, match="`cuda`") as caught:
        train(device="cuda")
    assert "`cpu`" in caught.value.hint


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU")
def test_the_automatic_device_is_the_cpu_without_a_gpu(train: Training) -> None:
    trained = train(device="auto")
    assert trained.device == "cpu"
    assert digest(trained) == digest(train(device="cpu"))


def test_the_real_month_gives_the_reference_s_error(real_trained: Trained) -> None:
    assert real_trained.history["validation"][-1] == 6.607733723268311
    assert real_trained.best_iteration == 29


def digest(trained: Trained) -> str:
    return hashlib.sha256(trained.booster.save_raw("ubj")).hexdigest()


def validation_rows(months: Months) -> xgb.DMatrix:
    return xgb.DMatrix(
        encode([months.val.lazy()], months.pairs, "categorical"),
        feature_names=["PU_DO", "trip_distance"],
        feature_types=["c", "q"],
        enable_categorical=True,
    )
