"""A champion that somebody else registered, with plain MLflow, is judged on the same trips or refused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost as xgb
from sklearn.linear_model import LinearRegression

from baton.core.tracker import UnusableModel
from baton.tracking.mlflow import MlflowRun, MlflowTracker
from tripduration.gate import judge

MODEL = "colleagues model"
COLUMNS = ["PULocationID", "DOLocationID", "trip_distance"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # plain MLflow's advice to the colleague
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of a store that a team shares."""
    return f"sqlite:///{tmp_path_factory.mktemp('team')}/team.db"


@pytest.fixture
def ours(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowRun]:
    """Return a tracking run of ours; MLflow itself knows nothing of the store, and nothing stray is left."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield MlflowTracker(store, tmp_path / "home", "ours").start(name="one", tags={})
    assert list((tmp_path / "here").iterdir()) == []


@pytest.fixture
def register(store: str, ours: MlflowRun) -> Callable[..., Any]:
    """Return a function by which a colleague makes a champion in plain MLflow, in their own folder."""

    def make(log_model: Callable[..., Any], model: object, **options: Any) -> Any:
        before, there = Path.cwd(), Path(store.removeprefix("sqlite:///")).parent
        os.chdir(there)
        mlflow.set_tracking_uri(store)
        mlflow.set_experiment("colleague")
        try:
            with mlflow.start_run():
                logged = log_model(model, name="m", pip_requirements=["mlflow"], **options)
            version = mlflow.register_model(logged.model_uri, MODEL)
        finally:
            mlflow.set_tracking_uri(None)
            os.environ.pop("MLFLOW_TRACKING_URI", None)
            os.chdir(before)
        ours.promote(MODEL, version.version)
        return version

    return make


@pytest.fixture(scope="module")
def trips() -> pl.DataFrame:
    ids = np.arange(1, 201, dtype=np.int32)
    miles = np.linspace(0.5, 20.0, 200)
    return pl.DataFrame(
        {
            "PULocationID": ids,
            "DOLocationID": ids[::-1],
            "trip_distance": miles,
            "duration_min": 3.0 * miles + 1.0,
        }
    )


@pytest.fixture
def verdict(ours: MlflowRun, trips: pl.DataFrame) -> Callable[..., dict[str, Any]]:
    """Return a function that judges a model with an RMSE of 0.5."""

    def decide(**changes: Any) -> dict[str, Any]:
        given = {
            "rmse": 0.5,
            "val_trips": trips,
            "val_months": ["2021-02"],
            "model_digest": "ab" * 32,
            "model_name": MODEL,
            "min_rmse": 0.1,
            "max_rmse": 8.0,
            "max_regression": 0.05,
        }
        return judge(ours, **{**given, **changes})

    return decide


def records(trips: pl.DataFrame, kinds: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame({c: trips[c].to_numpy().astype(k) for c, k in zip(COLUMNS, kinds, strict=True)})


def booster(frame: pd.DataFrame, trips: pl.DataFrame) -> xgb.Booster:
    rows = xgb.DMatrix(frame, label=trips["duration_min"].to_numpy())
    return xgb.train({"max_depth": 4, "nthread": 1}, rows, 5)


def log_answers(answer: object, **options: Any) -> Any:
    """Log a Python model that answers so, or as a function of the table says."""

    class Says(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: pd.DataFrame, params=None):
            return answer(model_input) if callable(answer) else answer

    return mlflow.pyfunc.log_model(python_model=Says(), **options)


def log_booster(model: xgb.Booster, **options: Any) -> Any:
    return mlflow.xgboost.log_model(model, **options)


def log_sklearn(model: object, **options: Any) -> Any:
    return mlflow.sklearn.log_model(model, serialization_format="cloudpickle", **options)


def twelve(frame):
    return np.full(len(frame), 12.0)


def refuse(frame):
    raise RuntimeError("only on Tuesdays")


class TestJudged:
    def test_a_model_of_any_flavour(self, register, verdict, trips):
        lines = LinearRegression().fit(records(trips, ("int64", "int64", "float64")), trips["duration_min"])
        register(log_sklearn, lines)
        compared = verdict()
        assert compared["champion_rmse"] == pytest.approx(0, abs=1e-6)
        assert not compared["accepted"]
        assert "worse by more than 5%" in compared["reason"]

    def test_one_whose_source_only_its_own_store_can_follow(self, register, verdict, ours):
        version = register(log_answers, twelve)
        assert version.source.startswith("models:/m-")
        compared = verdict()
        assert compared["accepted"]
        assert compared["champion_rmse"] > 10
        assert compared["champion_version"] == str(version.version)

    @pytest.mark.parametrize("kinds", [("int32", "int32", "float32"), ("float64", "float64", "float64")])
    def test_one_whose_signature_has_the_same_columns_in_other_types(self, register, verdict, trips, kinds):
        frame = records(trips, kinds)
        signature = mlflow.models.infer_signature(frame, trips["duration_min"].to_numpy())
        model = booster(frame, trips)
        register(log_booster, model, signature=signature)
        errors = model.predict(xgb.DMatrix(frame)) - trips["duration_min"].to_numpy()
        expected = float(np.sqrt(np.mean(np.square(errors))))
        assert verdict()["champion_rmse"] == pytest.approx(expected, rel=1e-6)

    def test_one_that_takes_zones_as_text(self, register, verdict):
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, Schema

        kinds = [DataType.string, DataType.string, DataType.double]
        inputs = Schema([ColSpec(kind, name) for kind, name in zip(kinds, COLUMNS, strict=True)])
        register(
            log_answers,
            lambda frame: np.where(frame["PULocationID"].str.len() > 0, 12.0, np.nan),
            signature=ModelSignature(inputs=inputs),
        )
        assert verdict()["champion_rmse"] > 10

    def test_a_copy_of_a_version_and_a_model_named_by_its_run(self, register, verdict, ours):
        version = register(log_answers, twelve)
        client = ours._client
        copied = client.copy_model_version(f"models:/{MODEL}/{version.version}", MODEL)
        by_run = client.create_model_version(MODEL, f"runs:/{version.run_id}/m", run_id=version.run_id)
        for number in (copied.version, by_run.version):
            ours.promote(MODEL, number)
            assert verdict()["champion_rmse"] > 10


class TestRefused:
    """Each in one sentence, with a hint that leads out."""

    def refused(self, verdict) -> str:
        compared = verdict()
        assert not compared["accepted"]
        assert "\n" not in compared["reason"]
        assert "--compare-champion false" in compared["hint"]
        told, _, why = compared["reason"].partition(" cannot be compared with: ")
        assert told == f"champion version {compared['champion_version']} of {MODEL}"
        replaced = verdict(compare_champion=False)
        assert replaced["accepted"]
        assert replaced["champion_version"] == compared["champion_version"]
        assert "compare_champion is false" in replaced["reason"]
        return why

    def test_one_with_other_columns(self, register, verdict, trips):
        frame = pd.DataFrame({"74_75": [0.0, 1.0], "trip_distance": [1.0, 2.0]})
        small = xgb.train({"nthread": 1}, xgb.DMatrix(frame, label=[1, 2]), 1)
        signature = mlflow.models.infer_signature(frame, np.array([1.0, 2.0]))
        register(log_booster, small, signature=signature)
        assert self.refused(verdict) == (
            "it needs the columns 74_75, trip_distance, but 74_75 is not in " + ", ".join(COLUMNS)
        )

    def test_one_with_other_columns_and_no_signature(self, register, verdict):
        frame = pd.DataFrame({"74_75": [0.0, 1.0], "trip_distance": [1.0, 2.0]})
        register(log_booster, xgb.train({}, xgb.DMatrix(frame, label=[1, 2]), 1))
        assert self.refused(verdict).startswith("it cannot predict: feature_names mismatch")

    def test_one_whose_files_are_gone(self, register, verdict, ours, store):
        version = register(log_answers, twelve)
        place = ours._client.get_model_version_download_uri(MODEL, version.version)
        shutil.rmtree(place.removeprefix("file://"))
        assert self.refused(verdict).startswith(f"its files at {place} cannot be read: ")

    def test_one_whose_model_file_is_gone(self, register, verdict, ours):
        version = register(log_answers, twelve)
        place = ours._client.get_model_version_download_uri(MODEL, version.version)
        Path(place.removeprefix("file://"), "MLmodel").unlink()
        assert self.refused(verdict) == f"its files are missing from {place}"

    def test_one_that_the_installed_xgboost_cannot_load(self, register, verdict, ours, trips):
        version = register(log_booster, booster(records(trips, ("int64", "int64", "float64")), trips))
        place = ours._client.get_model_version_download_uri(MODEL, version.version)
        (file,) = Path(place.removeprefix("file://")).glob("model.*")
        file.write_bytes(b"{from another time")
        assert self.refused(verdict).startswith("it cannot be loaded here: ")

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (refuse, "it cannot predict: only on Tuesdays"),
            (["long"] * 200, "its predictions are not numbers"),
            ([1.0, 2.0], "it predicts 2 numbers for 200 trips"),
            ([float("nan")] * 200, "some of its predictions are not finite"),
        ],
        ids=["raises", "labels", "too few", "not finite"],
    )
    def test_one_that_predicts_no_number_for_each_trip(self, register, verdict, answer, words):
        register(log_answers, answer)
        assert self.refused(verdict) == words


def test_a_model_that_mlflow_does_not_know_is_unusable(ours: MlflowRun, trips: pl.DataFrame) -> None:
    frame = records(trips, ("int64", "int64", "float64"))
    with pytest.raises(UnusableModel, match="it is missing from MLflow"):
        ours.predict(f"models:/m-{'0' * 32}", frame)
