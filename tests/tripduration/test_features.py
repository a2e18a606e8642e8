"""Trips become the numbers the model is trained on, the same as the reference's."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction import DictVectorizer

from tripduration.features import (
    durations_min,
    encode,
    encode_categorical,
    encode_onehot,
    fit_pairs,
    onehot_shape,
)

if TYPE_CHECKING:
    from tests.tripduration.model_fixtures import Months

pytest_plugins = ("tests.tripduration.model_fixtures",)


@pytest.fixture
def three_trips() -> pl.DataFrame:
    return pl.DataFrame({"PU_DO": ["74_75", "9_9", "100_1"], "trip_distance": [1.25, 0.0, 260000.0]})


def test_pairs_are_distinct_and_sorted_as_text(three_trips: pl.DataFrame) -> None:
    assert fit_pairs([three_trips.lazy(), three_trips.head(2).lazy()]) == ["100_1", "74_75", "9_9"]


def test_a_pair_is_coded_by_its_position(three_trips: pl.DataFrame) -> None:
    matrix = encode_categorical(three_trips, fit_pairs([three_trips.lazy()]))
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [[1, 1.25], [2, 0], [0, 260000]]


def test_an_unseen_pair_is_missing_and_keeps_its_distance(three_trips: pl.DataFrame) -> None:
    matrix = encode_categorical(three_trips, ["74_75"])
    assert np.isnan(matrix[1:, 0]).all()
    assert matrix[:, 1].tolist() == [1.25, 0, 260000]


def test_without_any_known_pair_all_are_missing(three_trips: pl.DataFrame) -> None:
    assert np.isnan(encode_categorical(three_trips, [])[:, 0]).all()
    assert encode_onehot(three_trips, []).toarray().tolist() == [[1.25], [0], [260000]]


def test_one_hot_is_what_a_dict_vectorizer_gives(small_months: Months) -> None:
    for trips in (small_months.train, small_months.val, small_months.val.head(0)):
        assert_same_matrix(trips, small_months)


def test_one_hot_stores_a_distance_of_zero(three_trips: pl.DataFrame) -> None:
    matrix = encode_onehot(three_trips, ["74_75"])
    assert matrix.data.tolist() == [1, 1.25, 0, 260000]
    assert matrix.indices.tolist() == [0, 1, 1, 1]
    assert matrix.indptr.tolist() == [0, 2, 3, 4]


def test_the_shape_of_the_one_hot_matrix_is_known_beforehand(small_months: Months) -> None:
    matrix = encode_onehot(small_months.val, small_months.pairs)
    assert matrix.shape == onehot_shape(len(small_months.val), small_months.pairs)


def test_the_encoding_is_chosen_by_name(small_months: Months) -> None:
    trips, pairs = small_months.val, small_months.pairs
    months = [trips.head(100).lazy(), trips.slice(100).lazy()]
    dense, sparse = encode(months, pairs, "categorical"), encode(months, pairs, "onehot")
    np.testing.assert_array_equal(durations_min(months), trips["duration_min"].to_numpy())
    assert isinstance(dense, np.ndarray)
    np.testing.assert_array_equal(dense, encode_categorical(trips, pairs))
    assert (sparse != encode_onehot(trips, pairs)).nnz == 0


def test_real_trips_have_the_reference_s_columns(real_months: Months) -> None:
    assert (len(real_months.train), len(real_months.val)) == (73908, 61921)
    assert len(real_months.pairs) == 13220


def test_real_one_hot_is_what_a_dict_vectorizer_gives(real_months: Months) -> None:
    assert_same_matrix(real_months.train, real_months)
    assert_same_matrix(real_months.val, real_months)


def test_importing_the_model_s_modules_loads_no_heavy_library() -> None:
    """Neither XGBoost, scikit-learn, Matplotlib nor MLflow, and nothing of baton."""
    names = "devices evaluate features hyperparameters model onehot_form pictures report threads train"
    heavy = {"xgboost", "sklearn", "matplotlib", "mlflow", "jinja2", "pandas", "scipy", "baton"}
    code = (
        f"import sys\nfor name in {names.split()!r}: __import__('tripduration.' + name)\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def assert_same_matrix(trips: pl.DataFrame, months: Months) -> None:
    vectorizer = DictVectorizer(dtype=np.float32).fit(records(months.train))
    ours = encode_onehot(trips, months.pairs)
    assert ours.dtype == np.float32
    if not len(trips):  # what a DictVectorizer refuses
        assert ours.shape == (0, len(vectorizer.feature_names_))
        return
    theirs = vectorizer.transform(records(trips))
    assert ours.shape == theirs.shape
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))


def records(trips: pl.DataFrame) -> list[dict[str, Any]]:
    return trips.select("PU_DO", "trip_distance").to_dicts()
