"""What is stored with the served model: its signature, requirements and code."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

#: The model's code, which MLflow copies next to the model ("models from code").
SERVING_CODE = Path(__file__).with_name("serving.py")

#: Imports of ``serving.py``; pip resolves their dependencies.
_SERVING_PACKAGES = ("mlflow", "numpy", "pandas", "scipy", "xgboost")


def serving_signature() -> ModelSignature:
    """Return the inputs and outputs of the served model.

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
    """Return the packages that load the served model, pinned to the installed versions.

    Without them, MLflow would load the model in a new process to find out.
    """
    return [f"{name}=={importlib.metadata.version(name)}" for name in _SERVING_PACKAGES]


def booster_requirements() -> list[str]:
    """Return the packages that load the booster over the one-hot columns, pinned."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in ("mlflow", "xgboost", "scikit-learn")]
