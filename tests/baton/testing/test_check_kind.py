"""`baton.testing.check_kind` finds what digests cannot rely on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xgboost
from matplotlib.figure import Figure
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from baton import (
    Arrow,
    Booster,
    Estimator,
    File,
    Files,
    Folder,
    Frame,
    Json,
    LightGBM,
    Matrix,
    Scan,
    Table,
)
from baton.kinds.figure import FigureKind
from baton.testing import check_kind
from tests.baton.testing.kinds_to_check import (
    BrokenKind,
    ForgetfulKind,
    HonestPickleKind,
    PickleKind,
    ScaledKind,
    UnorderedKind,
    ZippedKind,
    scale,
)

FINDINGS = {
    "order": (
        UnorderedKind,
        {f"text {number}" for number in range(30)},
        "kind 'pickle': the same value gives different bytes with another PYTHONHASHSEED: byte",
    ),
    "time": (
        ZippedKind,
        "text",
        "kind 'zipped': the same value gives different bytes two seconds later: byte",
    ),
    "round trip": (
        ForgetfulKind,
        4,
        "kind 'forgetful': a value that was read gives different bytes when written: $: 4 and 5",
    ),
    "code": (
        Annotated[Any, PickleKind],
        {"function": scale},
        f"kind 'pickle': its bytes refer to {scale.__module__}:scale, but code() does not",
    ),
    "nothing written": (
        BrokenKind,
        1,
        "kind 'broken': NotImplementedError: kind BrokenKind does not implement",
    ),
    "a value that cannot travel": (
        PickleKind,
        lambda: 1,
        "kind 'pickle': the value cannot be passed to another process",
    ),
    "no kind": (int, 1, "<class 'int'> is not a kind"),
}


@pytest.fixture(scope="module")
def findings() -> dict[str, str]:
    """Return what is found of each bad kind, all tried at once as most of the time is waiting."""

    def found(case: tuple[Any, Any, str]) -> str:
        try:
            check_kind(case[0], case[1])
        except AssertionError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(len(FINDINGS)) as threads:
        return dict(zip(FINDINGS, threads.map(found, FINDINGS.values()), strict=True))


@pytest.mark.parametrize("case", FINDINGS)
def test_what_digests_cannot_rely_on_is_found(findings, case):
    assert findings[case].startswith(FINDINGS[case][2]), findings[case]


def test_a_kind_inside_a_function_is_told_where_to_stand():
    class InnerKind(PickleKind):
        pass

    with pytest.raises(AssertionError, match="inside a function, where other processes cannot find it"):
        check_kind(InnerKind, 1)


def test_every_kind_that_comes_along_keeps_its_promises(tmp_path: Path):
    (tmp_path / "one.txt").write_text("one")
    features = np.eye(4)
    booster = xgboost.train({"max_depth": 2}, xgboost.DMatrix(features, np.arange(4)), 2)
    quiet = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 1}
    light = lightgbm.train(quiet, lightgbm.Dataset(np.arange(40.0).reshape(20, 2), np.arange(20)), 2)
    frame = pd.DataFrame(
        {
            "a": [1.5, None],
            "b": pd.Categorical(["x", "y"]),
            "c": ["ü", None],
            "d": pd.Timestamp("2021-01-31"),
        },
        index=pd.Index(["one", "two"], name="id"),
    )
    columns = ColumnTransformer([("a", StandardScaler(), ["a"]), ("b", OneHotEncoder(), ["b"])])
    forest = RandomForestClassifier(2, random_state=0).fit(features, [0, 1, 0, 1])
    figure = Figure()
    figure.subplots().plot([1, 3, 2])
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "inner" / "two.txt").write_text("two")
    values = [
        (Frame, frame),
        (Arrow, pa.table({"a": [1, None], "b": pa.chunked_array([["x"], ["y"]]).dictionary_encode()})),
        (Scan, pl.LazyFrame({"a": [1, 2]})),
        (Estimator, make_pipeline(columns).fit(frame)),
        (Estimator, forest),
        (ScaledKind, FunctionTransformer(scale)),
        (LightGBM, light),
        (FigureKind, figure),
        (Folder, tmp_path / "folder"),
        (Table, pl.DataFrame({"a": [1, None], "b": ["x", "y"]}, schema_overrides={"b": pl.Categorical})),
        (Matrix, features),
        (Matrix, sparse.csr_matrix(features)),
        (Booster, booster),
        (Json, {"b": [1.5, None], "a": "ü"}),
        (File, tmp_path / "one.txt"),
        (Files, {"folder/one.txt": tmp_path / "one.txt"}),
        (HonestPickleKind, {"function": scale}),
    ]
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda one: check_kind(*one), values))
