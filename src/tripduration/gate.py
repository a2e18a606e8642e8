"""The gate before deployment: limits on the error, and a comparison with the champion."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import polars as pl

    from baton import Champion, TrackingRun

_STAYS = "the champion is unchanged; see the report, or change the limits"
_REPLACE = (
    "replace it without a comparison: --compare-champion false; "
    "or give the alias 'champion' to a version that can be loaded here"
)
_AS_ASKED = "compare_champion is false"

TRAINED_ON = "trained_on"
"""Tag of a registered version: its training months, such as ``2021-01 2021-02``."""


def judge(
    registry: TrackingRun,
    *,
    rmse: float,
    val_trips: pl.DataFrame,
    val_months: Sequence[str],
    model_digest: str,
    model_name: str,
    min_rmse: float,
    max_rmse: float,
    max_regression: float,
    compare_champion: bool = True,
) -> dict[str, Any]:
    """Decide whether a model may be deployed.

    A champion that was trained on validation trips is not compared: it knows their durations, so no model
    could win.

    Parameters
    ----------
    registry
        The registry with the champion.
    rmse
        The model's root mean squared error in minutes on `val_trips`.
    val_trips
        The validation trips.
    val_months
        Their months, as ``2021-02``.
    model_digest
        Digest of the model; the champion is not compared with itself.
    model_name
        Name in the registry.
    min_rmse, max_rmse
        Limits in minutes, inclusive.
    max_regression
        Share, 0.05 for 5 %, by which the error may exceed the champion's on the same trips.
    compare_champion
        False if only the limits decide, for example if the champion cannot be loaded.

    Returns
    -------
    dict
        ``accepted``, ``reason``, ``rmse``, ``champion_version`` and ``champion_rmse`` (None without a
        comparison); a refusal also has a ``hint``.
    """
    verdict: dict[str, Any] = {"rmse": rmse, "champion_version": None, "champion_rmse": None}
    if not math.isfinite(rmse) or rmse < min_rmse:
        reason = f"RMSE {rmse:.4f} is below min_rmse {min_rmse:g}: too good to be true"
        return {**verdict, "accepted": False, "reason": reason, "hint": _STAYS}
    if rmse > max_rmse:
        reason = f"RMSE {rmse:.4f} is above max_rmse {max_rmse:g}"
        return {**verdict, "accepted": False, "reason": reason, "hint": _STAYS}
    champion = registry.champion(model_name)
    if champion is None:
        reason = f"RMSE {rmse:.4f} is within {min_rmse:g} to {max_rmse:g}; there is no champion yet"
        return {**verdict, "accepted": True, "reason": reason}
    verdict["champion_version"] = champion.version
    if champion.tags.get("model_digest") == model_digest:
        return {
            **verdict,
            "champion_rmse": rmse,
            "accepted": True,
            "reason": "it is the champion's own model",
        }
    seen = sorted(set(val_months) & set(champion.tags.get(TRAINED_ON, "").split()))
    if seen or not compare_champion:
        why = f"it was trained on {', '.join(seen)}, the trips to compare on" if seen else _AS_ASKED
        reason = (
            f"RMSE {rmse:.4f} is within {min_rmse:g} to {max_rmse:g}; "
            f"champion version {champion.version} is not compared, because {why}"
        )
        return {**verdict, "accepted": True, "reason": reason}
    try:
        theirs = _rmse_of(registry, champion, val_trips)
    except ValueError as error:
        reason = f"champion version {champion.version} of {model_name} cannot be compared with: {error}"
        return {**verdict, "accepted": False, "reason": reason, "hint": _REPLACE}
    limit = theirs * (1 + max_regression)
    verdict["champion_rmse"] = theirs
    result = f"RMSE {rmse:.4f} against {theirs:.4f} of champion version {champion.version} on the same trips"
    if rmse > limit:
        reason = f"{result}: worse by more than {max_regression:.0%}"
        return {**verdict, "accepted": False, "reason": reason, "hint": _STAYS}
    return {**verdict, "accepted": True, "reason": result}


def champion_since(
    registry: TrackingRun, *, verdict: Mapping[str, Any], model_digest: str, model_name: str
) -> str | None:
    """Return the version of a champion that is newer than a verdict.

    Parameters
    ----------
    registry
        The registry with the champion.
    verdict
        From `judge`.
    model_digest
        Digest of the judged model; if the champion is that model, the verdict holds.
    model_name
        Name in the registry.

    Returns
    -------
    str or None
        The version that the gate has not compared with; None if the verdict still holds.
    """
    champion = registry.champion(model_name)
    if champion is None or champion.tags.get("model_digest") == model_digest:
        return None
    return champion.version if champion.version != verdict["champion_version"] else None


def _rmse_of(registry: TrackingRun, champion: Champion, val_trips: pl.DataFrame) -> float:
    """Return the champion's error on the trips.

    Raises
    ------
    ValueError
        If it cannot be judged; the message says why, as a clause about it.
    """
    import pandas as pd

    # MLflow checks records against the model's signature, whose location ids are 64-bit integers.
    records = pd.DataFrame(
        {
            "PULocationID": val_trips["PULocationID"].to_numpy().astype(np.int64),
            "DOLocationID": val_trips["DOLocationID"].to_numpy().astype(np.int64),
            "trip_distance": val_trips["trip_distance"].to_numpy(),
        }
    )
    predictions = _numbers(registry.predict(champion.uri, records), len(records))
    errors = predictions - val_trips["duration_min"].to_numpy()
    return float(np.sqrt(np.mean(np.square(errors))))


def _numbers(predictions: Any, count: int) -> npt.NDArray[np.float64]:
    """Return a model's predictions as one number per trip."""
    try:
        numbers = np.asarray(predictions, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise ValueError("its predictions are not numbers") from error
    if len(numbers) != count:
        raise ValueError(f"it predicts {len(numbers):,} numbers for {count:,} trips")
    if not np.isfinite(numbers).all():
        raise ValueError("some of its predictions are not finite")
    return numbers
