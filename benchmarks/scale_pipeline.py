"""The duration pipeline as far as the booster: nothing is drawn, tracked or deployed.

In a pipeline that ends there, ``train`` is a task alone and not the group that records it too.
"""

from __future__ import annotations

from baton import Dag
from tripduration.parameters import DurationParameters
from tripduration.pipeline import (
    check_train,
    check_val,
    extract_train,
    extract_val,
    features,
    train,
    transform_train,
    transform_val,
)

__all__ = ["dag"]

dag = Dag(
    "scale",
    [
        extract_train,
        extract_val,
        check_train,
        check_val,
        transform_train,
        transform_val,
        features,
        train,
    ],
    parameters=DurationParameters,
    default="train",
)
