"""Check a model's hyperparameters with XGBoost itself before training."""

from __future__ import annotations

import difflib
import json
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Parameters that training sets itself, with the way to set them instead.
RESERVED = {
    "device": "use the setting `device`",
    "gpu_id": "use the setting `device`",
    "nthread": "use the setting `threads`",
    "n_jobs": "use the setting `threads`",
    "num_boost_round": "use the parameter `num_boost_round`",
    "early_stopping_rounds": "use the parameter `early_stopping_rounds`",
    "eval_metric": "leave it out: training follows the root mean squared error",
    "disable_default_eval_metric": "leave it out: training follows the root mean squared error",
    "max_cat_to_onehot": "leave it out: every zone pair is split off alone",
    "validate_parameters": "leave it out: parameters are always checked",
    "verbosity": "leave it out: progress is reported round by round",
}


class TrainingError(Exception):
    """Training failed.

    Parameters
    ----------
    message
        What failed, which one and why.
    hint
        What to do about it.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class HyperparameterError(TrainingError):
    """A hyperparameter that XGBoost does not know, or whose value it rejects."""


def check_hyperparameters(hyperparameters: Mapping[str, float | int | str]) -> None:
    """Reject hyperparameters that XGBoost does not know or whose values it rejects.

    Parameters
    ----------
    hyperparameters
        Names as in XGBoost's documentation, including aliases (``eta`` or ``learning_rate``).

    Raises
    ------
    HyperparameterError
        With every unknown hyperparameter and its nearest known name, or the rejected value.
    """
    import xgboost as xgb

    for name in hyperparameters:
        if name in RESERVED:
            message = f"`{name}` is not a hyperparameter of this model"
            raise HyperparameterError(message, RESERVED[name])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            rows = xgb.DMatrix(np.zeros((2, 2), np.float32), label=np.zeros(2))
            configuration = xgb.Booster(dict(hyperparameters), [rows]).save_config()
        except (xgb.core.XGBoostError, ValueError, TypeError) as error:
            raise refused(error) from error
    unknown = [name for name in hyperparameters if _is_named_unused(name, caught)]
    if unknown:
        raise _unknown(unknown, set(_names(json.loads(configuration))))


def refused(error: Exception) -> HyperparameterError:
    """Return our error for an error of XGBoost."""
    choices = re.findall(r"^Objective candidate: (\S+)$", str(error), re.MULTILINE)
    hint = (
        f"choose one of {', '.join(sorted(choices))}"
        if choices
        else "https://xgboost.readthedocs.io/en/stable/parameter.html lists names and ranges"
    )
    return HyperparameterError(f"XGBoost rejected the hyperparameters: {first_words(error)}", hint)


def first_words(error: Exception) -> str:
    """Return XGBoost's message as one line, without source position and stack trace."""
    first_line = str(error).strip().partition("\n")[0]
    return re.sub(r"^\[[\d:]+\] \S+:\d+: ", "", first_line).strip()


def _is_named_unused(name: str, caught: list[warnings.WarningMessage]) -> bool:
    """Whether XGBoost warned ``Parameters: { "name", ... } are not used.``."""
    return any(
        "are not used" in str(warning.message) and f'"{name}"' in str(warning.message) for warning in caught
    )


def _unknown(unknown: list[str], known: set[str]) -> HyperparameterError:
    names = ", ".join(f"`{name}`" for name in unknown)
    nearest = [
        f"`{match[0]}` for `{name}`"
        for name in unknown
        if (match := difflib.get_close_matches(name, sorted(known), n=1))
    ]
    hint = f"did you mean {' and '.join(nearest)}?" if nearest else f"leave out {names}"
    return HyperparameterError(f"XGBoost does not know or does not use {names}", hint)


def _names(node: Any) -> Iterator[str]:
    """Yield the names of all parameters in XGBoost's configuration: those with text values."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if isinstance(node, dict):
        yield from (name for name, value in node.items() if isinstance(value, str))
    for child in children:
        yield from _names(child)
