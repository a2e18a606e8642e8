"""What is stored beside the served model: its signature, its requirements and its code."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

#: The model's code, which MLflow copies beside the model ("models from code").
SERVING_CODE = Path(__file__).with_name("serving.py")

#: What ``serving.py`` imports; what these need in turn, pip finds.
_SERVING_PACKAGES = ("mlflow", "numpy", "pandas", "scipy", "xgboost")


def serving_signature() -> ModelSignature:
    """Return what the served model takes and gives.

    Returns
    -------
    mlflow.models.ModelSignature
        In: ``PULocationID`` and ``DOLocationID`` (location ids, 1 to 265) and ``trip_distance``
        (miles). Out: minutes, float32.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    inputs = Schema(
        [
            ColSpec(DataType.long, "PULocationID"),
            ColSpec(DataType.long, "DOLocationID"),
            ColSpec(DataType.double, "trip_distance"),
        ]
    )
    return ModelSignature(inputs=inputs, outputs=Schema([ColSpec(DataType.float)]))


def serving_requirements() -> list[str]:
    """Return the packages that loading the served model needs, pinned to the versions here.

    They are given to MLflow, which would otherwise load the model in a new process to find them.
    """
    return [f"{name}=={importlib.metadata.version(name)}" for name in _SERVING_PACKAGES]


def booster_requirements() -> list[str]:
    """Return the packages that loading the booster over the one-hot columns needs, pinned."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in ("mlflow", "xgboost", "scikit-learn")]
