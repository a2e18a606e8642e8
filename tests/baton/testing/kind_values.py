"""One value of each kind that comes with baton, and of two that are declared as a project would."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from baton import (
    Arrow,
    Booster,
    CatBoost,
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
    Torch,
)
from baton.kinds.figure import FigureKind
from tests.baton.testing.kinds_to_check import HonestPickleKind, ScaledKind, scale

ROWS = np.arange(40.0).reshape(20, 2)
"""Features of a small model; its target is the row's number."""


def library(name: str) -> Any:
    """Return a library that the lock may lack; skip the test where it does."""
    return pytest.importorskip(name, reason=f"{name} is not installed: it is in an extra outside of the lock")


def frame(_: Path) -> Any:
    return pd.DataFrame(
        {
            "a": [1.5, None],
            "b": pd.Categorical(["x", "y"]),
            "c": ["ü", None],
            "d": pd.Timestamp("2021-01-31"),
        },
        index=pd.Index(["one", "two"], name="id"),
    )


def arrow(_: Path) -> Any:
    return pa.table({"a": [1, None], "b": pa.chunked_array([["x"], ["y"]]).dictionary_encode()})


def table(_: Path) -> Any:
    return pl.DataFrame({"a": [1, None], "b": ["x", "y"]}, schema_overrides={"b": pl.Categorical})


def columns(folder: Path) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    steps = ColumnTransformer([("a", StandardScaler(), ["a"]), ("b", OneHotEncoder(), ["b"])])
    return make_pipeline(steps).fit(frame(folder))


def forest(_: Path) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(2, random_state=0).fit(np.eye(4), [0, 1, 0, 1])


def transformer(_: Path) -> Any:
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(scale)


def booster(_: Path) -> Any:
    import xgboost

    return xgboost.train({"max_depth": 2}, xgboost.DMatrix(ROWS, np.arange(20)), 2)


def light(_: Path) -> Any:
    lightgbm = library("lightgbm")
    quiet = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 1}
    return lightgbm.train(quiet, lightgbm.Dataset(ROWS, np.arange(20)), 2)


def cat(_: Path, kind: str = "CatBoostRegressor", **options: Any) -> Any:
    catboost = library("catboost")
    quiet = {"iterations": 3, "thread_count": 1, "verbose": False, "allow_writing_files": False}
    model = getattr(catboost, kind)(**quiet | options)
    words = ["x", "y", "z", "y"] * 5
    features = pd.DataFrame({"number": ROWS[:, 0], "word": words})
    target = np.arange(20) % 2 if kind == "CatBoostClassifier" else np.arange(20.0)
    return model.fit(features, target, cat_features=["word"])


def tensors(_: Path) -> Any:
    torch = library("torch")
    library("safetensors")
    torch.manual_seed(1)
    tied = torch.nn.Linear(3, 3, bias=False)
    model = torch.nn.Sequential(tied, torch.nn.BatchNorm1d(3), tied)
    return {**model.state_dict(), "half": torch.ones(2, 3, dtype=torch.bfloat16).T}


def picture(_: Path) -> Any:
    from matplotlib.figure import Figure

    drawn = Figure()
    drawn.subplots().plot([1, 3, 2])
    return drawn


def page(_: Path) -> Any:
    graphs = importlib.import_module(f"{library('plotly').__name__}.graph_objects")
    drawn = graphs.Figure([graphs.Scatter(x=np.arange(3), y=[1.5, None, 2], name="</script>")])
    return drawn.update_layout(title={"text": "ü"})


def file(folder: Path) -> Any:
    (folder / "one.txt").write_text("one")
    return folder / "one.txt"


def directory(folder: Path) -> Any:
    (folder / "given" / "inner").mkdir(parents=True)
    (folder / "given" / "inner" / "two.txt").write_text("two")
    return folder / "given"


VALUES: dict[str, tuple[Any, Callable[[Path], Any]]] = {
    "Frame": (Frame, frame),
    "Arrow": (Arrow, arrow),
    "Scan": (Scan, lambda _: pl.LazyFrame({"a": [1, 2]})),
    "Estimator of columns": (Estimator, columns),
    "Estimator, a forest": (Estimator, forest),
    "EstimatorKind with a function": (ScaledKind, transformer),
    "LightGBM": (LightGBM, light),
    "CatBoost": (CatBoost, cat),
    "CatBoost, a classifier": (CatBoost, functools.partial(cat, kind="CatBoostClassifier")),
    "Torch": (Torch, tensors),
    "Figure of matplotlib": (FigureKind, picture),
    "Figure of plotly": (FigureKind, page),
    "Folder": (Folder, directory),
    "Table": (Table, table),
    "Matrix": (Matrix, lambda _: np.eye(4)),
    "Matrix, sparse": (Matrix, lambda _: sparse.csr_matrix(np.eye(4))),
    "Booster": (Booster, booster),
    "Json": (Json, lambda _: {"b": [1.5, None], "a": "ü"}),
    "File": (File, file),
    "Files": (Files, lambda folder: {"folder/one.txt": file(folder)}),
    "a kind of one's own": (HonestPickleKind, lambda _: {"function": scale}),
}
"""By name: the kind, and what makes a value in a folder."""


def value_of(name: str, folder: Path) -> tuple[Any, Any]:
    """Return a kind and a value of it."""
    kind, make = VALUES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that are not in the lock
        return kind, make(folder)
