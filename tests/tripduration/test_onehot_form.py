"""The categorical booster can be had in the reference's form, without training again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost as xgb
from sklearn.feature_extraction import DictVectorizer

from tripduration.features import encode_categorical, encode_onehot
from tripduration.onehot_form import dict_vectorizer, to_onehot_form
from tripduration.train import train_booster

if TYPE_CHECKING:
    from tests.tripduration.model_fixtures import Months
    from tripduration.train import Trained

pytest_plugins = ("tests.tripduration.model_fixtures",)


def test_it_is_byte_for_byte_what_training_on_the_one_hot_matrix_gives(
    small_months: Months, small_trained: Trained, small_reference: xgb.Booster
) -> None:
    rewritten = to_onehot_form(small_trained.booster, len(small_months.pairs)).booster
    assert without_attributes(rewritten) == without_attributes(small_reference)


def test_it_predicts_the_same_bits_on_the_one_hot_matrix(
    small_months: Months, small_trained: Trained
) -> None:
    rewritten = to_onehot_form(small_trained.booster, len(small_months.pairs)).booster
    onehot = xgb.DMatrix(encode_onehot(small_months.val, small_months.pairs))
    np.testing.assert_array_equal(rewritten.predict(onehot), small_trained.val_predictions)


def test_it_is_followed_round_by_round_to_the_last_bit(small_months: Months, small_trained: Trained) -> None:
    form = to_onehot_form(small_trained.booster, len(small_months.pairs))
    matrix = encode_onehot(small_months.val, small_months.pairs)
    by_round = list(form.predict_by_round(matrix))
    assert len(by_round) == small_trained.booster.num_boosted_rounds()
    for rounds, predictions in enumerate(by_round, start=1):
        expected = form.booster.predict(xgb.DMatrix(matrix), iteration_range=(0, rounds))
        np.testing.assert_array_equal(predictions, expected)


def test_it_keeps_the_best_round_and_its_error(small_months: Months, small_trained: Trained) -> None:
    rewritten = to_onehot_form(small_trained.booster, len(small_months.pairs)).booster
    assert rewritten.attributes() == small_trained.booster.attributes()


def test_a_tree_of_one_leaf_is_rewritten_too(
    small_months: Months, hyperparameters: dict[str, float | int | str]
) -> None:
    duration_min = np.full(50, 10.0)
    trips = small_months.train.head(50)
    matrix = encode_categorical(trips, small_months.pairs)
    trained = train_booster(
        matrix,
        duration_min,
        matrix,
        duration_min,
        hyperparameters=hyperparameters,
        num_boost_round=2,
        early_stopping_rounds=0,
    )
    rewritten = to_onehot_form(trained.booster, len(small_months.pairs)).booster
    onehot = xgb.DMatrix(encode_onehot(trips, small_months.pairs))
    np.testing.assert_array_equal(rewritten.predict(onehot), trained.val_predictions)


def test_a_booster_of_another_encoding_is_refused(small_months: Months, small_reference: xgb.Booster) -> None:
    with pytest.raises(ValueError, match="not a booster of the categorical encoding"):
        to_onehot_form(small_reference, len(small_months.pairs))


def test_too_few_pairs_are_refused(small_months: Months, small_trained: Trained) -> None:
    with pytest.raises(ValueError, match="not one of 3 pairs"):
        to_onehot_form(small_trained.booster, 3)


def test_the_vectorizer_is_the_one_that_fitting_gives(small_months: Months) -> None:
    assert_same_vectorizer(small_months)


@pytest.mark.long
def test_a_model_trained_on_real_trips_becomes_the_reference_byte_for_byte(
    real_months: Months, real_trained: Trained, real_reference: xgb.Booster
) -> None:
    rewritten = to_onehot_form(real_trained.booster, len(real_months.pairs)).booster
    assert without_attributes(rewritten) == without_attributes(real_reference)


@pytest.mark.long
def test_real_predictions_are_those_of_the_reference_to_the_last_bit(
    real_months: Months, real_trained: Trained, real_reference: xgb.Booster
) -> None:
    onehot = xgb.DMatrix(encode_onehot(real_months.val, real_months.pairs))
    expected = real_reference.predict(onehot)
    np.testing.assert_array_equal(real_trained.val_predictions, expected)
    rewritten = to_onehot_form(real_trained.booster, len(real_months.pairs)).booster
    np.testing.assert_array_equal(rewritten.predict(onehot), expected)


def test_the_real_vectorizer_is_the_one_that_fitting_gives(real_months: Months) -> None:
    assert_same_vectorizer(real_months)


def assert_same_vectorizer(months: Months) -> None:
    records = months.train.select("PU_DO", "trip_distance").to_dicts()
    fitted = DictVectorizer(sparse=True).fit(records)
    ours = dict_vectorizer(months.pairs)
    assert vars(ours) == vars(fitted)
    assert list(ours.vocabulary_) == list(fitted.vocabulary_)
    some = records[:500]
    assert (ours.transform(some) != fitted.transform(some)).nnz == 0


def without_attributes(booster: xgb.Booster) -> dict[str, Any]:
    """Return the model without the best error, whose last bits are not XGBoost's own."""
    model: dict[str, Any] = json.loads(booster.save_raw("json"))
    del model["learner"]["attributes"]
    return model
