"""Choose the device that XGBoost trains on."""

from __future__ import annotations

import json
import warnings
from typing import Literal

from tripduration.hyperparameters import TrainingError

Device = Literal["cpu", "cuda"]
DeviceChoice = Literal["auto", "cpu", "cuda"]


class DeviceError(TrainingError):
    """The requested device cannot be used."""


def choose_device(choice: DeviceChoice) -> Device:
    """Return the device to train on.

    Parameters
    ----------
    choice
        ``"auto"`` is ``"cuda"`` if XGBoost can use a GPU, else ``"cpu"``.

    Raises
    ------
    DeviceError
        If ``"cuda"`` is requested and XGBoost was built without CUDA or finds no GPU.
    """
    if choice == "cpu":
        return "cpu"
    reason = why_no_gpu()
    if reason is None:
        return "cuda"
    if choice == "auto":
        return "cpu"
    message = f"cannot train on the device `cuda`: {reason}"
    raise DeviceError(message, "choose `cpu`, or `auto` to use a GPU if there is one")


def why_no_gpu() -> str | None:
    """Return why XGBoost cannot use a GPU here, or None if it can."""
    import xgboost as xgb

    if not xgb.build_info()["USE_CUDA"]:
        return "XGBoost was built without CUDA"
    with warnings.catch_warnings():
        # XGBoost falls back to the CPU with a warning; its configuration shows it.
        warnings.simplefilter("ignore")
        try:
            configuration = json.loads(xgb.Booster({"device": "cuda"}).save_config())
        except xgb.core.XGBoostError as error:
            return str(error).splitlines()[0]
    used: str = configuration["learner"]["generic_param"]["device"]
    return None if used.startswith("cuda") else "XGBoost finds no GPU"
