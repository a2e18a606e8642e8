"""Train the booster that predicts trip durations.

The model is the reference's: the same parameters, rounds and early stopping. Trained on the
categorical encoding it has the same trees in a third of the time; the two settings that are added
change the cost and not the model. ``max_cat_to_onehot`` above the number of pairs makes XGBoost
split off one pair at a time, as one-hot columns do, and ``max_cached_hist_node`` bounds the memory
for histograms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tripduration.devices import Device, DeviceChoice, DeviceError, choose_device
from tripduration.hyperparameters import (
    HyperparameterError,
    TrainingError,
    check_hyperparameters,
    refused,
)
from tripduration.threads import choose_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import xgboost as xgb
    from scipy.sparse import csr_matrix

    Matrix = npt.NDArray[np.float32] | csr_matrix[np.float32]

__all__ = ["DeviceError", "HyperparameterError", "Trained", "TrainingError", "train_booster"]

#: Histograms kept per tree: 358 MB at the peak instead of 1,044 MB, at the same speed.
CACHED_HISTOGRAMS = 16


@dataclass(frozen=True)
class Trained:
    """A trained booster and what was learned about it on the way.

    Attributes
    ----------
    booster
        The rounds up to the best one. Its predictions on the validation matrix are
        ``val_predictions`` to the last bit, and its bytes do not depend on the machine's load,
        the number of threads or the time.
    history
        ``{"train": [...], "validation": [...]}``: root mean squared error in minutes after each
        round trained, those after the best one included.
    val_predictions
        Minutes, float32, shape (n,): the predictions of ``booster`` on the validation matrix.
    best_iteration
        The last round in ``booster``, counted from 0: the one with the lowest validation error,
        or the last trained if early stopping is off.
    device
        The device that was used.
    threads
        The number of threads that was used.
    """

    booster: xgb.Booster
    history: dict[str, list[float]]
    val_predictions: npt.NDArray[np.float32]
    best_iteration: int
    device: Device
    threads: int


def train_booster(
    train_matrix: Matrix,
    train_duration_min: npt.NDArray[np.float64],
    val_matrix: Matrix,
    val_duration_min: npt.NDArray[np.float64],
    *,
    hyperparameters: Mapping[str, float | int | str],
    num_boost_round: int,
    early_stopping_rounds: int,
    device: DeviceChoice = "auto",
    threads: int = 0,
    on_round: Callable[[int, int, float], None] | None = None,
) -> Trained:
    """Train a booster and keep its best round on the validation data.

    Parameters
    ----------
    train_matrix, val_matrix
        Both from `tripduration.features.encode` in the same encoding: dense (n, 2) float32 for
        categorical, sparse (n, pairs + 1) float32 for one-hot.
    train_duration_min, val_duration_min
        Durations in minutes, shape (n,).
    hyperparameters
        XGBoost's parameters of the model.
    num_boost_round
        Rounds to train at most, at least 1.
    early_stopping_rounds
        Stop after this many rounds in a row without a lower validation error; 0 trains all rounds
        and keeps them all.
    device
        ``"auto"`` takes a GPU where there is one. A GPU may give a slightly different model.
    threads
        0 chooses by the cores that are free. The model is the same for every number.
    on_round
        Called after each round with the rounds done, ``num_boost_round`` and the validation error
        in minutes.

    Raises
    ------
    HyperparameterError
        If XGBoost does not know a hyperparameter or refuses its value.
    DeviceError
        If ``device`` is ``"cuda"`` and no GPU can be used.
    TrainingError
        If the number of rounds is below 1.
    """
    import xgboost as xgb

    if num_boost_round < 1:
        message = f"cannot train {num_boost_round} rounds"
        raise TrainingError(message, "set `num_boost_round` to 1 or more")
    check_hyperparameters(hyperparameters)
    used_device, used_threads = choose_device(device), choose_threads(threads)
    parameters = {
        **hyperparameters,
        **_cost_parameters(train_matrix, hyperparameters),
        "device": used_device,
        "nthread": used_threads,
    }
    train_rows = _dmatrix(train_matrix, train_duration_min, used_threads)
    val_rows = _dmatrix(val_matrix, val_duration_min, used_threads)
    watch = _Watch(
        {"train": (train_rows, train_duration_min), "validation": (val_rows, val_duration_min)},
        patience=early_stopping_rounds,
        on_round=on_round and (lambda done, error: on_round(done, num_boost_round, error)),
    )
    try:
        booster = xgb.train(
            parameters,
            train_rows,
            num_boost_round,
            callbacks=[_as_callback(watch)],
            verbose_eval=False,
        )
    except xgb.core.XGBoostError as error:
        raise refused(error) from error
    best = watch.best_iteration
    if best + 1 < booster.num_boosted_rounds():
        booster = booster[: best + 1]
    booster.set_attr(best_iteration=str(best), best_score=repr(watch.history["validation"][best]))
    return Trained(booster, watch.history, watch.best_predictions, best, used_device, used_threads)


def _cost_parameters(matrix: Matrix, hyperparameters: Mapping[str, float | int | str]) -> dict[str, int]:
    """Return the parameters that change what training costs and not what it gives."""
    parameters = {}
    if hyperparameters.get("tree_method") != "exact":
        parameters["max_cached_hist_node"] = CACHED_HISTOGRAMS
    if isinstance(matrix, np.ndarray):
        parameters["max_cat_to_onehot"] = int(np.nanmax(matrix[:, 0], initial=0)) + 2
    return parameters


def _dmatrix(matrix: Matrix, duration_min: npt.NDArray[np.float64], threads: int) -> xgb.DMatrix:
    import xgboost as xgb

    if isinstance(matrix, np.ndarray):
        return xgb.DMatrix(
            matrix,
            label=duration_min,
            feature_names=["PU_DO", "trip_distance"],
            feature_types=["c", "q"],
            enable_categorical=True,
            nthread=threads,
        )
    return xgb.DMatrix(matrix, label=duration_min, nthread=threads)


class _Watch:
    """Follow the errors round by round, keep the best predictions and say when to stop.

    XGBoost keeps the predictions on matrices it has seen and adds each round's tree to them, so
    asking for them every round costs less than one prediction afterwards. Its own error is a sum
    over threads whose last bits vary with their number; the one here does not.
    """

    def __init__(
        self,
        data: Mapping[str, tuple[xgb.DMatrix, npt.NDArray[np.float64]]],
        *,
        patience: int,
        on_round: Callable[[int, float], None] | None,
    ) -> None:
        self._data = data
        self._patience = patience
        self._on_round = on_round
        self.history: dict[str, list[float]] = {name: [] for name in data}
        self.best_iteration = 0
        self.best_predictions = np.empty(0, np.float32)

    def after_round(self, booster: xgb.Booster, iteration: int) -> bool:
        """Take note of the round just trained; return whether to stop."""
        predictions = np.empty(0, np.float32)
        for name, (rows, duration_min) in self._data.items():
            predictions = booster.predict(rows)
            error_min = duration_min - predictions
            self.history[name].append(float(np.sqrt(np.mean(error_min**2))))
        errors = self.history["validation"]
        if not self._patience or iteration == 0 or errors[-1] < errors[self.best_iteration]:
            self.best_iteration, self.best_predictions = iteration, predictions
        if self._on_round is not None:
            self._on_round(iteration + 1, errors[-1])
        return 0 < self._patience <= iteration - self.best_iteration


def _as_callback(watch: _Watch) -> xgb.callback.TrainingCallback:
    """Return the watch as a callback of XGBoost, whose base class is imported only here."""
    import xgboost as xgb

    class WatchCallback(xgb.callback.TrainingCallback):
        def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: object) -> bool:
            del evals_log  # empty: the watch measures the errors
            return watch.after_round(model, epoch)

    return WatchCallback()
