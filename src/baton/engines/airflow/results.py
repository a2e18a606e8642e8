"""What a step passes on through an XCom: reports with references, always under 1 KB."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from baton.core.artifact import Artifact, Kind
from baton.core.execute import ArtifactStore
from baton.core.outcome import TaskReport
from baton.engines.protocol import decode_report, encode_report
from baton.kinds.plain import Json

MOST_BYTES = 1000
"""Longer results are stored, and only their reference is passed."""

_SHOWN = 300
"""Maximum length of a failure in an XCom, if the store has the full text."""

_KIND = cast(type[Kind], Json)


@dataclass(frozen=True, slots=True)
class Results:
    """What one step, or several together, pass on to later steps.

    Parameters
    ----------
    reports : tuple of TaskReport
        The reports of its tasks, in order.
    tracking_run_id : str
        The execution's tracking run, if the step knows it.
    """

    reports: tuple[TaskReport, ...] = ()
    tracking_run_id: str = ""


def to_xcom(results: Results, store: ArtifactStore) -> dict[str, Any]:
    """Return results as plain JSON values of at most `MOST_BYTES`."""
    content = to_long_xcom(results)
    if _size(content) <= MOST_BYTES:
        return content
    short = {
        "stored": store.save("reports", _KIND, content).as_dict(),
        "tracking_run_id": results.tracking_run_id,
        "outcomes": {report.task: report.outcome.value for report in results.reports},
        "failures": {
            report.task: report.failure.message[:_SHOWN] for report in results.reports if report.failure
        },
    }
    for spare in ("failures", "outcomes"):  # only for readers in Airflow and for `watch`
        if _size(short) > MOST_BYTES:
            del short[spare]
    return short


def to_long_xcom(results: Results) -> dict[str, Any]:
    """Return results as plain JSON values of any length."""
    content = {
        "reports": [
            {name: value for name, value in encode_report(report).items() if value}
            for report in results.reports
        ],
        "tracking_run_id": results.tracking_run_id,
    }
    return dict(json.loads(json.dumps(content)))  # lists for tuples, which Airflow encodes in its own way


def from_xcom(content: Any, store: ArtifactStore) -> Results:
    """Return the results encoded by `to_xcom`; empty ones if nothing was passed."""
    if content is None:
        return Results()
    if "stored" in content:
        content = store.load(Artifact.from_dict(content["stored"]), _KIND)
    reports = tuple(decode_report(fields) for fields in content["reports"])
    return Results(reports, content["tracking_run_id"])


def _size(content: Any) -> int:
    return len(json.dumps(content))


def merge(several: Iterable[Results]) -> Results:
    """Combine results, in order."""
    received = list(several)
    return Results(
        tuple(report for results in received for report in results.reports),
        next((results.tracking_run_id for results in received if results.tracking_run_id), ""),
    )
