"""Kinds of artifacts: what goes in comes out, the same value gives the same bytes, nothing is unpickled."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from baton import Booster, File, Json, Kind, Matrix, Table
from baton.core.artifact import Artifact

FRAME = pl.DataFrame(
    {"a": [1, None, 3], "b": [0.5, float("nan"), -0.0], "c": ["x", "", None], "d": [[1], [], None]}
).with_columns(day=pl.date(2021, 1, 1), kind=pl.col("c").cast(pl.Categorical))


@pytest.fixture(scope="module")
def booster():
    """Return a booster of two rounds."""
    import xgboost as xgb

    matrix = xgb.DMatrix(np.arange(20.0).reshape(10, 2), label=np.arange(10.0), feature_names=["a", "b"])
    return xgb.train({"max_depth": 2, "nthread": 1}, matrix, num_boost_round=2)


def back(kind, value, tmp_path):
    kind.write(value, tmp_path / "value")
    return kind.read(tmp_path / "value")


def written(kind, value, tmp_path) -> bytes:
    kind.write(value, tmp_path / "value")
    return (tmp_path / "value").read_bytes()


def test_a_table_comes_back(tmp_path):
    found = back(Table, FRAME, tmp_path)
    assert found.equals(FRAME)
    assert found.schema == FRAME.schema


def test_an_empty_table_comes_back_with_its_types(tmp_path):
    assert back(Table, FRAME.clear(), tmp_path).schema == FRAME.schema


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6, dtype=np.int8),
        np.array(1.5),
        np.zeros((0, 3)),
        np.array([float("nan"), float("inf"), -0.0]),
        np.array(["a", "bc"]),
    ],
    ids=["floats", "bytes", "no dimension", "empty", "special", "texts"],
)
def test_an_array_comes_back(tmp_path, value):
    found = back(Matrix, value, tmp_path)
    assert found.dtype == value.dtype
    assert found.shape == value.shape
    assert found.tobytes() == value.tobytes()


def test_a_sparse_matrix_comes_back(tmp_path):
    value = sparse.random(20, 30, density=0.1, format="csr", rng=np.random.default_rng(1), dtype=np.float32)
    found = back(Matrix, value, tmp_path)
    assert found.dtype == value.dtype
    assert found.shape == value.shape
    assert (found != value).nnz == 0


def test_a_booster_comes_back(tmp_path, booster):
    found = back(Booster, booster, tmp_path)
    assert found.save_raw("ubj") == booster.save_raw("ubj")
    assert found.feature_names == ["a", "b"]


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.5, "é", [1, [2, None]], {"b": {"a": 1}, "a": 0.1 + 0.2}], ids=repr
)
def test_json_comes_back(tmp_path, value):
    found = back(Json, value, tmp_path)
    assert found == value
    assert type(found) is type(value)


SAME = {
    "table in pieces": (Table, FRAME, lambda: pl.concat([FRAME[:1], FRAME[1:]], rechunk=False)),
    "table built again": (Table, FRAME, FRAME.clone),
    "array in another order": (
        Matrix,
        np.arange(6.0).reshape(2, 3),
        lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    ),
    "slice of an array": (Matrix, np.arange(3.0), lambda: np.arange(0, 3.0, 0.5)[::2]),
    "sparse with unsorted columns": (
        Matrix,
        sparse.csr_matrix(([1.0, 2.0], [0, 2], [0, 2]), shape=(1, 3)),
        lambda: sparse.csr_matrix(([2.0, 1.0], [2, 0], [0, 2]), shape=(1, 3)),
    ),
    "JSON in another order": (Json, {"a": 1, "b": [2]}, lambda: {"b": [2], "a": 1}),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_value_gives_the_same_bytes(tmp_path, case):
    kind, one, other = SAME[case]
    assert written(kind, one, tmp_path) == written(kind, other(), tmp_path)


def test_writing_changes_nothing_of_the_value(tmp_path):
    value = sparse.csr_matrix(([2.0, 1.0], [2, 0], [0, 2]), shape=(1, 3))
    Matrix.write(value, tmp_path / "value")
    assert value.indices.tolist() == [2, 0]


REFUSED = {
    "table: LazyFrame": (Table, FRAME.lazy()),
    "table: dict": (Table, {"a": [1]}),
    "matrix: list": (Matrix, [[1.0]]),
    "matrix: objects": (Matrix, np.array([{}, None], dtype=object)),
    "matrix: objects in fields": (Matrix, np.zeros(2, dtype=[("a", object)])),
    "matrix: masked": (Matrix, np.ma.masked_array([1.0], mask=[True])),
    "matrix: columns": (Matrix, sparse.csc_matrix(np.eye(2))),
    "matrix: table": (Matrix, FRAME),
    "booster: text": (Booster, "model"),
    "json: NaN": (Json, [float("nan")]),
    "json: infinity": (Json, {"a": float("inf")}),
    "json: set": (Json, {1, 2}),
    "json: number of numpy": (Json, np.float32(1)),
    "json: itself": (Json, (lambda value: value.append(value) or value)([])),
    "json: keys of two types": (Json, {1: 1, "a": 2}),
    "file: text": (File, "report.html"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_value_of_another_kind_is_refused(tmp_path, case):
    kind, value = REFUSED[case]
    with pytest.raises(TypeError):
        kind.write(value, tmp_path / "value")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TypeError, match="the path of a file"):
        File.write(tmp_path / "nowhere", tmp_path / "value")


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "value.npz", dense=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        Matrix.read(tmp_path / "value.npz")
    (tmp_path / "pickled").write_bytes(pickle.dumps({"a": 1}))
    for kind in (Matrix, Json):
        with pytest.raises(ValueError):  # noqa: PT011  # each library has words of its own
            kind.read(tmp_path / "pickled")


def test_a_kind_that_says_nothing_cannot_be_used(tmp_path):
    class Silent(Kind):
        name = "silent"

    with pytest.raises(NotImplementedError, match="Silent does not implement write"):
        Silent.write(1, tmp_path / "value")
    with pytest.raises(NotImplementedError, match="Silent does not implement read"):
        Silent.read(tmp_path / "value")


def test_a_reference_is_small_and_comes_back():
    import json

    artifact = Artifact("n" * 80, "table", "ab" * 32, 10**12)
    text = json.dumps(artifact.as_dict())
    assert len(text) < 1000
    assert Artifact.from_dict(json.loads(text)) == artifact
