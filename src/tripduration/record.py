"""Record an execution with the experiment tracker.

The task passes in the tracking run.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import xgboost as xgb

    from baton import Provenance, TrackingRun
    from tripduration.evaluate import Evaluation

BOOSTER_MODEL = "models_mlflow"
"""Name of the booster over the one-hot columns, used by the reference's consumers."""
SERVED_MODEL = "model"
"""Name of the model that takes raw records."""


def record_execution(
    run: TrackingRun,
    origin: Provenance,
    *,
    trips: Mapping[str, pl.LazyFrame],
    months: Mapping[str, Sequence[str]],
    evaluation: Evaluation,
    files: Mapping[str, Path],
    booster: xgb.Booster,
    reference_booster: xgb.Booster,
    pairs: Sequence[str],
    scratch: Path,
) -> dict[str, str]:
    """Record one execution with the tracker.

    Parameters
    ----------
    run
        The tracking run.
    origin
        Parameters and digests of the execution.
    trips
        The trips of each month, by names such as ``2021_01``, for their schemas and sizes.
    months
        ``{"training": ["2021-01"], "validation": ["2021-02"]}``.
    evaluation
        From `tripduration.evaluate.evaluate_predictions`.
    files
        Pictures and report by their attached names.
    booster
        The trained booster, in either encoding.
    reference_booster
        The booster over the one-hot columns.
    pairs
        The pairs of zones, sorted.
    scratch
        Folder for temporary files.

    Returns
    -------
    dict
        ``run_id``, ``model_uri`` (the served model), ``booster_uri`` and ``model_digest``.
    """
    from tripduration.model import (
        SERVING_CODE,
        booster_requirements,
        serving_requirements,
        serving_signature,
    )

    digests = origin.digests
    run.log_parameters({**origin.parameters, "features": len(pairs) + 1})
    run.log_metrics(
        dict(evaluation["metrics"]),
        {f"{name}_rmse": errors for name, errors in evaluation["learning_curve"].items()},
    )
    of_month = {month: month.replace("-", "_") for used in months.values() for month in used}
    for context, used in months.items():
        for month in used:
            table = trips[of_month[month]]
            run.log_table(
                f"trips_{month}",
                digest=digests[f"trips_{of_month[month]}"],
                source=str(origin.parameters.get("source") or origin.parameters.get("url_template")),
                columns={column: str(kind) for column, kind in table.collect_schema().items()},
                rows=table.select(pl.len()).collect().item(),
                context=context,
            )
    model_digest = digests["reference_booster"]  # the same model in both encodings
    run.set_tags(
        {
            "model_digest": model_digest,
            "code_digest": origin.code_digest,
            **{
                f"data_digest.{context}": _digest_of_all(
                    digests[f"files_{of_month[month]}"] for month in used
                )
                for context, used in months.items()
            },
        }
    )
    run.log_files({**files, "preprocessor/preprocessor.b": _preprocessor(pairs, scratch)})
    booster_uri = run.log_model(
        reference_booster, BOOSTER_MODEL, flavor="xgboost", requirements=booster_requirements()
    )
    model_uri = run.log_python_model(
        SERVED_MODEL,
        script=SERVING_CODE,
        files=_served_files(booster, pairs, scratch),
        signature=serving_signature(),
        requirements=serving_requirements(),
    )
    return {
        "run_id": run.run_id,
        "model_uri": model_uri,
        "booster_uri": booster_uri,
        "model_digest": model_digest,
    }


def _digest_of_all(digests: Iterable[str]) -> str:
    """Return the digest of the only one, or one of them all in their order."""
    first, *others = digests
    return hashlib.sha256("\n".join([first, *others]).encode()).hexdigest() if others else first


def _preprocessor(pairs: Sequence[str], scratch: Path) -> Path:
    """Write the fitted DictVectorizer for the reference's consumers: pickled.

    Nothing here ever reads it.
    """
    from tripduration.onehot_form import dict_vectorizer

    path = scratch / "preprocessor.b"
    path.write_bytes(pickle.dumps(dict_vectorizer(pairs)))
    return path


def _served_files(booster: xgb.Booster, pairs: Sequence[str], scratch: Path) -> dict[str, Path]:
    booster_path, pairs_path = scratch / "booster.ubj", scratch / "pairs.json"
    booster.save_model(booster_path)
    pairs_path.write_text(json.dumps(list(pairs)), encoding="utf-8")
    return {"booster": booster_path, "pairs": pairs_path}
