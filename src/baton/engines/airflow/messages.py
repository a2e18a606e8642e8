"""What a step passes on through an XCom: reports with references, always under 1 KB."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from baton.core.artifact import Artifact, Json, Kind
from baton.core.execute import ArtifactStore
from baton.core.outcome import TaskReport
from baton.engines.worker import decode_report, encode_report

MOST_BYTES = 1000
"""A longer message is kept in the store, and its reference is passed."""

_SHOWN = 300
"""Characters of a failure that are passed where the whole of it is kept in the store."""

_KIND = cast(type[Kind], Json)


@dataclass(frozen=True, slots=True)
class Message:
    """What one step tells those after it, or what several told together.

    Parameters
    ----------
    reports : tuple of TaskReport
        How its tasks ended, in order.
    tracking_run_id : str
        The execution's tracking run, where the step knows it.
    """

    reports: tuple[TaskReport, ...] = ()
    tracking_run_id: str = ""

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """References to everything that the tasks made, by artifact name."""
        return {name: made for report in self.reports for name, made in report.outputs.items()}


def encode(message: Message, store: ArtifactStore) -> dict[str, Any]:
    """Return a message as plain JSON values of at most `MOST_BYTES`."""
    content = encode_small(message)
    if _size(content) <= MOST_BYTES:
        return content
    short = {
        "stored": store.save("reports", _KIND, content).as_dict(),
        "tracking_run_id": message.tracking_run_id,
        "outcomes": {report.task: report.outcome.value for report in message.reports},
        "failures": {
            report.task: report.failure.message[:_SHOWN] for report in message.reports if report.failure
        },
    }
    for spare in ("failures", "outcomes"):  # only for who reads it in Airflow, or follows the run
        if _size(short) > MOST_BYTES:
            del short[spare]
    return short


def encode_small(message: Message) -> dict[str, Any]:
    """Return a message as plain JSON values, however long."""
    content = {
        "reports": [
            {name: value for name, value in encode_report(report).items() if value}
            for report in message.reports
        ],
        "tracking_run_id": message.tracking_run_id,
    }
    return dict(json.loads(json.dumps(content)))  # lists for tuples, which Airflow passes in its own form


def decode(content: Any, store: ArtifactStore) -> Message:
    """Return the message that `encode` was given; an empty one where nothing was passed."""
    if content is None:
        return Message()
    if "stored" in content:
        content = store.load(Artifact.from_dict(content["stored"]), _KIND)
    reports = tuple(decode_report(fields) for fields in content["reports"])
    return Message(reports, content["tracking_run_id"])


def _size(content: Any) -> int:
    return len(json.dumps(content))


def join(messages: Iterable[Message]) -> Message:
    """Put messages together, in order."""
    heard = list(messages)
    return Message(
        tuple(report for message in heard for report in message.reports),
        next((message.tracking_run_id for message in heard if message.tracking_run_id), ""),
    )
