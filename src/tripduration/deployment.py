"""Make an accepted model the champion and write its record for people."""

from __future__ import annotations

import datetime
import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tripduration.gate import TRAINED_ON

if TYPE_CHECKING:
    from baton import Provenance, TrackingRun

RUN_ID_FILE = "run_id.txt"
"""Holds the tracking run's id, for programs that run after the pipeline."""


def deploy_model(
    registry: TrackingRun,
    origin: Provenance,
    *,
    tracked: Mapping[str, str],
    verdict: Mapping[str, Any],
    metrics: Mapping[str, float],
    train_months: Sequence[str],
    report: Path,
    model_name: str,
    models_dir: Path,
    project: Path,
) -> dict[str, str]:
    """Register the model, make it the champion, and write its record.

    A model that is the champion already, byte for byte, is not registered again.

    Parameters
    ----------
    registry
        The tracking run.
    origin
        Parameters and digests of the execution.
    tracked
        From `tripduration.record.record_execution`.
    verdict
        From `tripduration.gate.judge`.
    metrics
        Of the evaluation.
    train_months
        The training months, as ``2021-01``; the gate of later runs reads them.
    report
        The HTML report.
    model_name
        Name in the registry.
    models_dir
        Folder for ``deployment.json`` and ``report.html``.
    project
        Folder for ``run_id.txt``.

    Returns
    -------
    dict
        ``version``, and the paths ``record``, ``report`` and ``run_id_file`` as text.
    """
    tags = {
        "model_digest": tracked["model_digest"],
        "code_digest": origin.code_digest,
        "engine": origin.engine,
        "rmse": repr(metrics["rmse"]),
        TRAINED_ON: " ".join(train_months),
    }
    champion = registry.champion(model_name)
    if champion is not None and champion.tags.get("model_digest") == tracked["model_digest"]:
        version = champion.version  # the same model, byte for byte
    else:
        version = registry.register(model_name, tracked["model_uri"], tags)
        registry.promote(model_name, version)
    record = {
        "model": model_name,
        "version": version,
        "alias": "champion",
        "load": f"models:/{model_name}@champion",
        "tracking_run_id": tracked["run_id"],
        "tracking_url": registry.url,
        "model_digest": tracked["model_digest"],
        "code_digest": origin.code_digest,
        "engine": origin.engine,
        "run_id": origin.run_id,
        "deployed_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "parameters": dict(origin.parameters),
        "metrics": dict(metrics),
        "verdict": dict(verdict),
    }
    record_path, report_path = models_dir / "deployment.json", models_dir / "report.html"
    _write(record_path, json.dumps(record, indent=2) + "\n")
    _copy(report, report_path)
    _write(project / RUN_ID_FILE, tracked["run_id"] + "\n")
    return {
        "version": version,
        "record": _shown(record_path, project),
        "report": _shown(report_path, project),
        "run_id_file": _shown(project / RUN_ID_FILE, project),
    }


def _write(path: Path, text: str) -> None:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _copy(source: Path, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    shutil.copyfile(source, temporary)
    temporary.replace(path)


def _shown(path: Path, project: Path) -> str:
    """Return a path as a user in the project folder would write it."""
    return os.path.relpath(path, project) if path.is_relative_to(project) else str(path)
