"""The served model takes raw records and predicts what the pipeline predicted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from tripduration.model import SERVING_CODE, serving_requirements, serving_signature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tripduration.model_fixtures import Months
    from tripduration.train import Trained

pytest_plugins = ("tests.tripduration.model_fixtures",)

pytestmark = [
    # MLflow's own: from inside its store, from importing it, and the advice to log an example.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*An input example was not provided:UserWarning"),
]

IDS = ["PULocationID", "DOLocationID"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Use an MLflow store in a new folder."""
    folder = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("serving", artifact_location=folder.as_uri())
    )
    yield folder
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def model_uri(store: Path, small_trained: Trained, small_months: Months) -> str:
    return log_model(store, small_trained, small_months)


@pytest.fixture(scope="module")
def served(model_uri: str) -> Any:
    return mlflow.pyfunc.load_model(model_uri)


@pytest.fixture
def model(served: Any) -> Any:
    """Return the model itself, which MLflow's check of the signature does not stand before."""
    return served.unwrap_python_model()


@pytest.fixture
def records(small_months: Months) -> pd.DataFrame:
    return raw_records(small_months)


def test_a_fresh_process_predicts_the_pipeline_s_bits(
    model_uri: str, store: Path, small_months: Months, small_trained: Trained, tmp_path: Path
) -> None:
    """It imports nothing of tripduration, and the files that were logged are gone from there."""
    predictions = predict_elsewhere(model_uri, raw_records(small_months), store, tmp_path)
    assert predictions.dtype == np.float32
    np.testing.assert_array_equal(predictions, small_trained.val_predictions)


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "float32", "float64", "Int64"])
def test_ids_of_any_type_of_number_are_taken(
    model: Any, records: pd.DataFrame, small_trained: Trained, dtype: str
) -> None:
    predictions = model.predict(None, records.astype(dict.fromkeys(IDS, dtype)))
    np.testing.assert_array_equal(predictions, small_trained.val_predictions)


def test_other_columns_and_their_order_do_not_matter(
    served: Any, records: pd.DataFrame, small_trained: Trained
) -> None:
    more = records.assign(fare_amount=1.0, lpep_pickup_datetime="2021-02-01")
    predictions = served.predict(more[more.columns[::-1]])
    np.testing.assert_array_equal(predictions, small_trained.val_predictions)


def test_an_unknown_pair_is_predicted_from_its_distance(served: Any, small_months: Months) -> None:
    """So are pairs of ids that no number of a zone can be."""
    assert "264_265" not in small_months.pairs
    trips = pd.DataFrame(
        {
            "PULocationID": [264, -1, 2**40, 0],
            "DOLocationID": [265, 7, 1, 0],
            "trip_distance": [2.0] * 4,
        }
    )
    predictions = served.predict(trips)
    assert 1 < predictions[0] < 60
    assert len(set(predictions.tolist())) == 1


def test_a_missing_id_is_an_unknown_pair(model: Any) -> None:
    trips = pd.DataFrame(
        {"PULocationID": [np.nan, 264.5], "DOLocationID": [1, 1], "trip_distance": [2.0, 2.0]}
    )
    unknown = trips.assign(PULocationID=264, DOLocationID=265)
    np.testing.assert_array_equal(model.predict(None, trips), model.predict(None, unknown))


def test_no_records_give_no_predictions(model: Any, records: pd.DataFrame) -> None:
    assert model.predict(None, records.head(0)).shape == (0,)


@pytest.mark.parametrize("column", [*IDS, "trip_distance"])
def test_a_missing_column_is_named(served: Any, model: Any, records: pd.DataFrame, column: str) -> None:
    for predict in (served.predict, lambda rows: model.predict(None, rows)):
        with pytest.raises(MlflowException, match=column):
            predict(records.drop(columns=column))


def test_text_in_place_of_a_number_is_refused_with_its_column(model: Any, records: pd.DataFrame) -> None:
    with pytest.raises(MlflowException, match="the column trip_distance must hold numbers"):
        model.predict(None, records.assign(trip_distance="far"))


@pytest.mark.parametrize("distance", [np.inf, -np.inf, 1e39])
def test_an_infinite_distance_is_refused(model: Any, records: pd.DataFrame, distance: float) -> None:
    some = records.head(3).assign(trip_distance=[1.0, distance, 2.0])
    with pytest.raises(MlflowException, match="trip_distance must hold finite numbers: 1 are not"):
        model.predict(None, some)


def test_the_logged_model_has_the_signature_and_pinned_requirements(model_uri: str) -> None:
    info = mlflow.models.get_model_info(model_uri)
    assert info.signature == serving_signature()
    folder = Path(mlflow.artifacts.download_artifacts(model_uri))
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert lines == serving_requirements()
    assert all("==" in line for line in lines)


def test_real_records_are_predicted_with_the_pipeline_s_bits(
    store: Path, real_months: Months, real_trained: Trained, tmp_path: Path
) -> None:
    uri = log_model(store, real_trained, real_months)
    predictions = predict_elsewhere(uri, raw_records(real_months), store, tmp_path)
    np.testing.assert_array_equal(predictions, real_trained.val_predictions)


def raw_records(months: Months) -> pd.DataFrame:
    columns = [*IDS, "trip_distance"]
    return pd.DataFrame({name: months.val[name].to_numpy() for name in columns})


def log_model(store: Path, trained: Trained, months: Months) -> str:
    """Log the model from files that are deleted then."""
    folder = store / "logged from"
    folder.mkdir()
    artifacts = {"booster": folder / "booster.ubj", "pairs": folder / "pairs.json"}
    trained.booster.save_model(artifacts["booster"])
    artifacts["pairs"].write_text(json.dumps(months.pairs), encoding="utf-8")
    uri: str = mlflow.pyfunc.log_model(
        name="model",
        python_model=shutil.copy(SERVING_CODE, folder),
        artifacts={name: str(path) for name, path in artifacts.items()},
        signature=serving_signature(),
        pip_requirements=serving_requirements(),
    ).model_uri
    shutil.rmtree(folder)
    return uri


def predict_elsewhere(model_uri: str, records: pd.DataFrame, store: Path, folder: Path) -> np.ndarray:
    """Load the model in a new process, away from this checkout, and predict."""
    records.to_parquet(folder / "records.parquet")
    code = """
import sys, mlflow, numpy as np, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
np.save("predictions.npy", model.predict(pd.read_parquet("records.parquet")))
assert not {"tripduration", "baton"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, model_uri],
        cwd=folder,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store}/mlflow.db"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "predictions.npy")
