"""The duration pipeline as far as the booster: nothing is drawn, tracked or deployed.

In a pipeline that ends there, ``train`` is a task alone and not the group that records it too; the check has
a group of its own, so that ``extract`` does not run it.
"""

from __future__ import annotations

from baton import Dag
from tripduration.parameters import DurationParameters
from tripduration.pipeline import check, extract, features, train, transform

__all__ = ["dag"]

dag = Dag(
    "scale",
    [extract, check.bind("check", group="check"), transform, features, train],
    parameters=DurationParameters,
    default="train",
)
