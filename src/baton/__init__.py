"""Declare a training pipeline once and run it unchanged on every engine.

These names are for pipeline declarations; `baton.api` is for programs.
"""

import baton.core.imported  # noqa: F401  # first: it notes the time
from baton.core.artifact import Kind
from baton.core.context import Provenance, TaskContext
from baton.core.dag import Dag
from baton.core.parameters import Parameters, flatten, parameter
from baton.core.period import Period
from baton.core.secret import Secret
from baton.core.task import Task, task
from baton.core.tracker import Champion, ModelRegistry, TrackingRun
from baton.errors import BatonError, Skip, TaskError
from baton.kinds.arrow import Arrow
from baton.kinds.catboost import CatBoost
from baton.kinds.figure import Figure
from baton.kinds.lightgbm import LightGBM
from baton.kinds.numpy import Matrix
from baton.kinds.pandas import Frame
from baton.kinds.plain import File, Files, Folder, InputFile, InputFolder, InputModel, Json, Registered
from baton.kinds.polars import Scan, Table
from baton.kinds.sklearn import Estimator, EstimatorKind
from baton.kinds.torch import Torch
from baton.kinds.xgboost import Booster

__version__ = "0.1.0"

__all__ = [
    "Arrow",
    "BatonError",
    "Booster",
    "CatBoost",
    "Champion",
    "Dag",
    "Estimator",
    "EstimatorKind",
    "Figure",
    "File",
    "Files",
    "Folder",
    "Frame",
    "InputFile",
    "InputFolder",
    "InputModel",
    "Json",
    "Kind",
    "LightGBM",
    "Matrix",
    "ModelRegistry",
    "Parameters",
    "Period",
    "Provenance",
    "Registered",
    "Scan",
    "Secret",
    "Skip",
    "Table",
    "Task",
    "TaskContext",
    "TaskError",
    "Torch",
    "TrackingRun",
    "__version__",
    "flatten",
    "parameter",
    "task",
]
