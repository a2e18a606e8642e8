"""Train the booster that predicts trip durations.

The model is the reference's: the same parameters, rounds and early stopping. The categorical encoding
gives the same trees in a third of the time; the two added settings change the cost but not the model.
With ``max_cat_to_onehot`` above the number of pairs, XGBoost splits off one pair at a time, like
one-hot columns, and ``max_cached_hist_node`` bounds the memory for histograms.
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

#: Histograms kept per tree: a peak of 358 MB instead of 1,044 MB, at the same speed.
CACHED_HISTOGRAMS = 16


@dataclass(frozen=True)
class Trained:
    """A trained booster and the results of its training.

    Attributes
    ----------
    booster
        The rounds up to the best one. Its predictions on the validation matrix equal
        ``val_predictions`` bit for bit, and its bytes do not depend on the machine's load, the number of
        threads or the time.
    reference_booster
        The same model over the one-hot columns; ``booster`` itself if it was trained on them.
    history
        ``{"train": [...], "validation": [...]}``: root mean squared error in minutes after each
        trained round, including those after the best one.
    val_predictions
        Minutes, float32, shape (n,): the predictions of ``booster`` on the validation matrix.
    best_iteration
        The last round in ``booster``, counted from 0: the one with the lowest validation error, or
        the last one if early stopping is off.
    device
        The device used.
    threads
        The number of threads used.
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
    follow_validation: bool = False,
    on_round: Callable[[int, int, float, float | None], None] | None = None,
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
        Maximum number of rounds, at least 1.
    early_stopping_rounds
        Stop after this many consecutive rounds without a lower validation error; 0 trains and keeps all
        rounds.
    device
        ``"auto"`` uses a GPU if there is one. A GPU may give a slightly different model.
    threads
        0 uses the number of free cores. The model is the same for every number.
    follow_validation
        Whether to compute the error on the validation trips after each round, which costs more.
    on_round
        Called after each round with the finished rounds, ``num_boost_round`` and the errors in minutes on the
        training and the validation trips; None for the latter if it is computed at the end.

    Raises
    ------
    HyperparameterError
        If XGBoost does not know a hyperparameter or rejects its value.
    DeviceError
        If ``device`` is ``"cuda"`` and there is no usable GPU.
    TrainingError
        If the number of rounds is below 1, the matrices or durations contain values that XGBoost cannot
        use, or predictions overflow.
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
    stops_early = 0 < early_stopping_rounds < num_boost_round
    can_be_afterwards = _can_follow_afterwards(val_matrix, hyperparameters)
    afterwards = can_be_afterwards and not stops_early and not follow_validation
    rounds = _Rounds(
        (train_rows, _Errors(train_duration_min)),
        (val_rows, _Errors(val_duration_min, keeps_best=early_stopping_rounds > 0)),
        patience=early_stopping_rounds,
        follows_validation=not afterwards,
        on_round=on_round and (lambda done, *errors: on_round(done, num_boost_round, *errors)),
    )
    try:
        # Not `xgb.train`: its early stopping uses XGBoost's errors, which vary with the number of threads.
        booster = xgb.Booster(parameters, [train_rows])
        for iteration in range(num_boost_round):
            booster.update(train_rows, iteration)
            if rounds.after_round(booster, iteration):
                break
    except xgb.core.XGBoostError as error:
        raise refused(error) from error
    booster = xgb.Booster(model_file=booster.save_raw("ubj"))  # drops references to the training data
    reference_booster = booster
    if isinstance(train_matrix, np.ndarray):
        pair_count = _pair_count(train_matrix)
        form = to_onehot_form(booster, pair_count)
        reference_booster = form.booster
        if afterwards and isinstance(val_matrix, np.ndarray):
            for predictions in form.predict_by_round(to_onehot(val_matrix, pair_count)):
                rounds.val_errors.add(predictions)
    return rounds.trained(booster, reference_booster, used_device, used_threads)


def _can_follow_afterwards(matrix: Matrix, hyperparameters: Mapping[str, float | int | str]) -> bool:
    """Whether all validation errors can be computed after the last round, which is cheaper.

    XGBoost looks up categories slowly; the one-hot form predicts all rounds in one pass. It must exist,
    and the prediction must be the plain sum of one tree per round.
    """
    plain = {"booster": "gbtree", "objective": "reg:squarederror", "num_parallel_tree": 1}
    return isinstance(matrix, np.ndarray) and all(
        hyperparameters.get(name, value) == value for name, value in plain.items()
    )


def _cut_after(best: int, booster: xgb.Booster, best_score: float) -> xgb.Booster:
    """Return the booster up to its best round, with that round and its error as attributes."""
    if best + 1 < booster.num_boosted_rounds():
        booster = booster[: best + 1]
    booster.set_attr(best_iteration=str(best), best_score=repr(best_score))
    return booster


def _pair_count(matrix: npt.NDArray[np.float32]) -> int:
    """Return the number of pairs in the categorical matrix of the training trips."""
    return int(np.nanmax(matrix[:, 0], initial=-1)) + 1


def _cost_parameters(matrix: Matrix, hyperparameters: Mapping[str, float | int | str]) -> dict[str, int]:
    """Return the parameters that affect the cost of training but not its result."""
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
        message = f"XGBoost rejected the trips: {first_words(error)}"
        raise TrainingError(message, "leave out trips whose distance or duration is not finite") from error


class _Errors:
    """The errors on one matrix round by round, and the predictions of the best round.

    XGBoost's own error is a sum over threads, whose last bits vary with their number; this one does not.
    """

    def __init__(self, duration_min: npt.NDArray[np.float64], *, keeps_best: bool = False) -> None:
        self._duration_min = duration_min
        self._keeps_best = keeps_best
        self.history: list[float] = []
        self.best_iteration = 0
        self.best_predictions = np.empty(0, np.float32)

    def add(self, predictions: npt.NDArray[np.float32]) -> None:
        """Add one round; without ``keeps_best`` the last round is the best."""
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
    """Follows the rounds: measures errors, decides when to stop, and cuts after the best round."""

    def __init__(
        self,
        train: tuple[xgb.DMatrix, _Errors],
        validation: tuple[xgb.DMatrix, _Errors],
        *,
        patience: int,
        follows_validation: bool,
        on_round: Callable[[int, float, float | None], None] | None,
    ) -> None:
        self._train_rows, self._train_errors = train
        self._val_rows, self.val_errors = validation
        self._patience = patience
        self._follows_validation = follows_validation
        self._on_round = on_round

    def after_round(self, booster: xgb.Booster, iteration: int) -> bool:
        """Process the round just trained; return whether to stop."""
        # XGBoost caches predictions on matrices it has seen, and adds each round's tree.
        self._train_errors.add(booster.predict(self._train_rows))
        if self._follows_validation:
            self.val_errors.add(booster.predict(self._val_rows))
        if self._on_round is not None:
            on_validation = self.val_errors.history[-1] if self._follows_validation else None
            self._on_round(iteration + 1, self._train_errors.history[-1], on_validation)
        if not self._follows_validation:
            return False
        return 0 < self._patience <= iteration - self.val_errors.best_iteration

    def trained(
        self, booster: xgb.Booster, reference_booster: xgb.Booster, device: Device, threads: int
    ) -> Trained:
        """Return both boosters up to the best round, with the training results."""
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
