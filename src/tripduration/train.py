"""Train the booster that predicts trip durations.

The model is the reference's: the same parameters, rounds and early stopping. Trained on the
categorical encoding it has the same trees in a third of the time; the two settings that are added
change the cost and not the model. ``max_cat_to_onehot`` above the number of pairs makes XGBoost
split off one pair at a time, as one-hot columns do, and ``max_cached_hist_node`` bounds the memory
for histograms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tripduration.devices import Device, DeviceChoice, DeviceError, choose_device
from tripduration.features import to_onehot
from tripduration.hyperparameters import (
    HyperparameterError,
    TrainingError,
    check_hyperparameters,
    first_words,
    refused,
)
from tripduration.onehot_form import to_onehot_form
from tripduration.threads import CoreTimes, choose_threads

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
    reference_booster
        The same model over the one-hot columns; ``booster`` itself where it was trained on them.
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
    reference_booster: xgb.Booster
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
        Called after each round with the rounds done, ``num_boost_round`` and the error in minutes
        on the training trips.

    Raises
    ------
    HyperparameterError
        If XGBoost does not know a hyperparameter or refuses its value.
    DeviceError
        If ``device`` is ``"cuda"`` and no GPU can be used.
    TrainingError
        If the number of rounds is below 1, a matrix or the durations hold what XGBoost cannot use, or
        predictions grow beyond all numbers.
    """
    before = CoreTimes.now()
    import xgboost as xgb

    if num_boost_round < 1:
        message = f"cannot train {num_boost_round} rounds"
        raise TrainingError(message, "set `num_boost_round` to 1 or more")
    check_hyperparameters(hyperparameters)
    used_device, used_threads = choose_device(device), choose_threads(threads, before)
    parameters = {
        **hyperparameters,
        **_cost_parameters(train_matrix, hyperparameters),
        "device": used_device,
        "nthread": used_threads,
    }
    train_rows = _dmatrix(train_matrix, train_duration_min, used_threads)
    val_rows = _dmatrix(val_matrix, val_duration_min, used_threads)
    afterwards = _can_follow_afterwards(val_matrix, hyperparameters) and not (
        0 < early_stopping_rounds < num_boost_round
    )
    rounds = _Rounds(
        (train_rows, _Errors(train_duration_min)),
        (val_rows, _Errors(val_duration_min, keeps_best=early_stopping_rounds > 0)),
        patience=early_stopping_rounds,
        follows_validation=not afterwards,
        on_round=on_round and (lambda done, error: on_round(done, num_boost_round, error)),
    )
    try:
        # Not `xgb.train`: it stops early by XGBoost's own errors, which vary with the number of threads.
        booster = xgb.Booster(parameters, [train_rows])
        for iteration in range(num_boost_round):
            booster.update(train_rows, iteration)
            if rounds.after_round(booster, iteration):
                break
    except xgb.core.XGBoostError as error:
        raise refused(error) from error
    booster = xgb.Booster(model_file=booster.save_raw("ubj"))  # forgets what it was trained with
    reference_booster = booster
    if isinstance(train_matrix, np.ndarray):
        pair_count = _pair_count(train_matrix)
        form = to_onehot_form(booster, pair_count)
        reference_booster = form.booster
        if afterwards and isinstance(val_matrix, np.ndarray):
            for predictions in form.predict_by_round(to_onehot(val_matrix, pair_count)):
                rounds.val_errors.take(predictions)
    return rounds.trained(booster, reference_booster, used_device, used_threads)


def _can_follow_afterwards(matrix: Matrix, hyperparameters: Mapping[str, float | int | str]) -> bool:
    """Whether the validation error of every round can be had after the last one, which costs less.

    XGBoost looks up categories slowly; the one-hot form is asked once for all rounds. That form
    must exist, and predict the plain sum of one tree for each round.
    """
    plain = {"booster": "gbtree", "objective": "reg:squarederror", "num_parallel_tree": 1}
    return isinstance(matrix, np.ndarray) and all(
        hyperparameters.get(name, value) == value for name, value in plain.items()
    )


def _cut_after(best: int, booster: xgb.Booster, best_score: float) -> xgb.Booster:
    """Return the booster up to its best round, which it names with its error."""
    if best + 1 < booster.num_boosted_rounds():
        booster = booster[: best + 1]
    booster.set_attr(best_iteration=str(best), best_score=repr(best_score))
    return booster


def _pair_count(matrix: npt.NDArray[np.float32]) -> int:
    """Return how many pairs the categorical matrix of the training trips encodes."""
    return int(np.nanmax(matrix[:, 0], initial=-1)) + 1


def _cost_parameters(matrix: Matrix, hyperparameters: Mapping[str, float | int | str]) -> dict[str, int]:
    """Return the parameters that change what training costs and not what it gives."""
    parameters = {}
    if hyperparameters.get("tree_method") != "exact":
        parameters["max_cached_hist_node"] = CACHED_HISTOGRAMS
    if isinstance(matrix, np.ndarray):
        parameters["max_cat_to_onehot"] = _pair_count(matrix) + 1
    return parameters


def _dmatrix(matrix: Matrix, duration_min: npt.NDArray[np.float64], threads: int) -> xgb.DMatrix:
    import xgboost as xgb

    described = (
        {"feature_names": ["PU_DO", "trip_distance"], "feature_types": ["c", "q"], "enable_categorical": True}
        if isinstance(matrix, np.ndarray)
        else {}
    )
    try:
        return xgb.DMatrix(matrix, label=duration_min, nthread=threads, **described)
    except xgb.core.XGBoostError as error:
        message = f"XGBoost refused the trips: {first_words(error)}"
        raise TrainingError(message, "leave out trips whose distance or duration is not finite") from error


class _Errors:
    """The errors on one matrix round by round, and the predictions of the best round.

    XGBoost's own error is a sum over threads whose last bits vary with their number; the one here
    does not.
    """

    def __init__(self, duration_min: npt.NDArray[np.float64], *, keeps_best: bool = False) -> None:
        self._duration_min = duration_min
        self._keeps_best = keeps_best
        self.history: list[float] = []
        self.best_iteration = 0
        self.best_predictions = np.empty(0, np.float32)

    def take(self, predictions: npt.NDArray[np.float32]) -> None:
        """Take note of one more round; without ``keeps_best`` the last one is the best."""
        with np.errstate(over="ignore", invalid="ignore"):
            error = float(np.sqrt(np.mean((self._duration_min - predictions) ** 2)))
        if not math.isfinite(error):
            message = f"training diverged: after round {len(self.history) + 1} the error is {error}"
            raise TrainingError(message, "choose another objective or a lower learning_rate")
        self.history.append(error)
        iteration = len(self.history) - 1
        is_best = iteration == 0 or self.history[iteration] < self.history[self.best_iteration]
        if is_best or not self._keeps_best:
            self.best_iteration, self.best_predictions = iteration, predictions


class _Rounds:
    """Follows the rounds: measures the errors, says when to stop, and cuts after the best round."""

    def __init__(
        self,
        train: tuple[xgb.DMatrix, _Errors],
        validation: tuple[xgb.DMatrix, _Errors],
        *,
        patience: int,
        follows_validation: bool,
        on_round: Callable[[int, float], None] | None,
    ) -> None:
        self._train_rows, self._train_errors = train
        self._val_rows, self.val_errors = validation
        self._patience = patience
        self._follows_validation = follows_validation
        self._on_round = on_round

    def after_round(self, booster: xgb.Booster, iteration: int) -> bool:
        """Take note of the round just trained; return whether to stop."""
        # XGBoost keeps the predictions on matrices it has seen and adds each round's tree to them.
        self._train_errors.take(booster.predict(self._train_rows))
        if self._on_round is not None:
            self._on_round(iteration + 1, self._train_errors.history[-1])
        if not self._follows_validation:
            return False
        self.val_errors.take(booster.predict(self._val_rows))
        return 0 < self._patience <= iteration - self.val_errors.best_iteration

    def trained(
        self, booster: xgb.Booster, reference_booster: xgb.Booster, device: Device, threads: int
    ) -> Trained:
        """Return both boosters up to the best round, with what was learned on the way."""
        best = self.val_errors.best_iteration
        best_score = self.val_errors.history[best]
        cut = _cut_after(best, booster, best_score)
        is_one = reference_booster is booster
        return Trained(
            booster=cut,
            reference_booster=cut if is_one else _cut_after(best, reference_booster, best_score),
            history={"train": self._train_errors.history, "validation": self.val_errors.history},
            val_predictions=self.val_errors.best_predictions,
            best_iteration=best,
            device=device,
            threads=threads,
        )
