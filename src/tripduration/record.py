"""Record an execution with the experiment tracker.

The task passes in the tracking run.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
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
    trips: Mapping[str, pl.DataFrame],
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
        ``{"training": ..., "validation": ...}``, for their schemas and sizes.
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
    for name, used in (("train", "training"), ("val", "validation")):
        table = trips[used]
        run.log_table(
            f"trips_{name}",
            digest=digests[f"{name}_trips"],
            source=str(origin.parameters.get("source") or origin.parameters.get("url_template")),
            columns={column: str(kind) for column, kind in table.schema.items()},
            rows=table.height,
            context=used,
        )
    model_digest = digests["reference_booster"]  # the same model in both encodings
    run.set_tags(
        {
            "model_digest": model_digest,
            "code_digest": origin.code_digest,
            **{f"data_digest.{name}": digests[name] for name in ("train_files", "val_files")},
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
