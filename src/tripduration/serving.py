"""The served model: raw pickup zone, drop-off zone and distance in, minutes out.

MLflow copies this file next to the model and runs it to load the model ("models from code"), so it imports
nothing from tripduration. Log it with::

    mlflow.pyfunc.log_model(
        name="model",
        python_model=str(tripduration.model.SERVING_CODE),
        artifacts={"booster": "booster.ubj", "pairs": "pairs.json"},
        signature=tripduration.model.serving_signature(),
        pip_requirements=tripduration.model.serving_requirements(),
    )

where ``booster.ubj`` is the booster, in either encoding, and ``pairs.json`` the list of its pairs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from scipy.sparse import csr_matrix

COLUMNS = ("PULocationID", "DOLocationID", "trip_distance")

#: Larger than every location id (1 to 265), to combine two ids into one number.
_ID_LIMIT = 2**20


class TripDurationModel(PythonModel):
    """Predict the duration of taxi trips from raw records."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the booster and its pairs.

        Parameters
        ----------
        context
            With the artifacts ``booster`` (UBJSON) and ``pairs`` (JSON, a list such as
            ``["74_75", ...]``).
        """
        self._booster = xgb.Booster(model_file=context.artifacts["booster"])
        pairs = json.loads(Path(context.artifacts["pairs"]).read_text(encoding="utf-8"))
        ids = np.array([pair.split("_") for pair in pairs], dtype=np.int64).reshape(-1, 2)
        self._pairs = pd.Index(_pair_numbers(ids[:, 0], ids[:, 1]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Predict durations.

        Parameters
        ----------
        context
            Not used.
        model_input
            One row per trip with ``PULocationID``, ``DOLocationID`` (any type of number) and
            ``trip_distance`` (miles). Other columns are ignored. For a pair of zones without training
            trips, the prediction uses the distance only.
        params
            Not used.

        Returns
        -------
        ndarray of float32, shape (n,)
            Minutes.

        Raises
        ------
        MlflowException
            If a column is missing or is not numeric, or a distance is infinite.
        """
        del context, params
        pickup_ids, dropoff_ids, distances = _numbers(pd.DataFrame(model_input))
        if not len(distances):
            return np.empty(0, np.float32)
        known = _are_ids(pickup_ids) & _are_ids(dropoff_ids)
        codes = np.full(len(known), np.nan, np.float32)
        found = self._pairs.get_indexer(pd.Index(_pair_numbers(pickup_ids[known], dropoff_ids[known])))
        codes[known] = np.where(found < 0, np.nan, found)
        is_categorical = self._booster.num_features() == 2
        rows = _dense(codes, distances) if is_categorical else _onehot(codes, distances, len(self._pairs))
        return self._booster.predict(rows)


def _dense(codes: npt.NDArray[np.float32], distances: npt.NDArray[np.float64]) -> xgb.DMatrix:
    """Return the rows for a booster trained on one categorical column."""
    return xgb.DMatrix(
        np.column_stack([codes, distances.astype(np.float32)]),
        feature_names=["PU_DO", "trip_distance"],
        feature_types=["c", "q"],
        enable_categorical=True,
    )


def _onehot(
    codes: npt.NDArray[np.float32], distances: npt.NDArray[np.float64], pair_count: int
) -> xgb.DMatrix:
    """Return the rows for a booster trained on one column per pair."""
    known = ~np.isnan(codes)
    ends = np.cumsum(known + 1)
    at_distance = ends - 1
    columns = np.full(ends[-1] if len(ends) else 0, pair_count, np.int32)
    numbers = np.ones(len(columns), np.float32)
    columns[at_distance[known] - 1] = codes[known].astype(np.int32)
    numbers[at_distance] = distances
    starts = np.concatenate([[0], ends])
    return xgb.DMatrix(csr_matrix((numbers, columns, starts), shape=(len(codes), pair_count + 1)))


def _numbers(records: pd.DataFrame) -> list[npt.NDArray[np.float64]]:
    """Return the model's columns, with NaN for missing values."""
    missing = [name for name in COLUMNS if name not in records.columns]
    if missing:
        message = (
            f"the records lack {', '.join(missing)}: the model needs {', '.join(COLUMNS)} "
            f"but got {', '.join(map(str, records.columns)) or 'no columns'}"
        )
        raise MlflowException(message, error_code=INVALID_PARAMETER_VALUE)
    columns = []
    for name in COLUMNS:
        try:
            numbers = pd.to_numeric(records[name])
        except (TypeError, ValueError) as error:
            message = f"the column {name} must hold numbers: {error}"
            raise MlflowException(message, error_code=INVALID_PARAMETER_VALUE) from error
        columns.append(numbers.to_numpy(np.float64, na_value=np.nan))
    with np.errstate(over="ignore"):
        is_infinite = np.isinf(columns[-1].astype(np.float32))
    if is_infinite.any():
        message = (
            f"the column {COLUMNS[-1]} must hold finite numbers: {is_infinite.sum()} are not, as float32"
        )
        raise MlflowException(message, error_code=INVALID_PARAMETER_VALUE)
    return columns


def _are_ids(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which numbers can be location ids; missing or invalid ones are not."""
    in_range = (numbers >= 0) & (numbers < _ID_LIMIT)
    return np.equal(numbers % 1, 0) & in_range


def _pair_numbers(
    pickup_ids: npt.NDArray[np.number], dropoff_ids: npt.NDArray[np.number]
) -> npt.NDArray[np.int64]:
    """Return one number per pair of location ids."""
    return pickup_ids.astype(np.int64) * _ID_LIMIT + dropoff_ids.astype(np.int64)


mlflow.models.set_model(TripDurationModel())
