"""Alerts: tell people through Apprise how a run ended, wherever they read it."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from baton.core.events import RunNoted
from baton.core.outcome import Outcome, RunReport
from baton.errors import BatonError, ExtraMissing

if TYPE_CHECKING:
    from baton.core.secret import Secret
    from baton.runs.execution import Execution

DEPLOY = "deploy"
"""The name of the task or group whose success is a deployment."""


class Alert(NamedTuple):
    """A message, and where it goes."""

    title: str
    body: str
    places: tuple[Secret, ...]


def require_alerts(execution: Execution) -> None:
    """Check before a run that its alerts can be sent, as far as that is known.

    Raises
    ------
    ExtraMissing
        If Apprise is needed but not installed.
    UsageError
        If an address is not set.
    """
    chosen = execution.project.configuration.settings.notify
    places = (*chosen.on_failure, *chosen.on_success, *chosen.on_deploy)
    if places and importlib.util.find_spec("apprise") is None:
        raise ExtraMissing("sending alerts", "notify")
    for place in places:
        place.require()


def send_alerts(execution: Execution, ended: RunReport) -> None:
    """Send the alerts about a run that ended; one that cannot be sent is noted, and changes nothing."""
    for alert in alerts_for(execution, ended):
        for place in alert.places:
            problem = _send(alert, place)
            if problem:
                execution.report(RunNoted(f"no alert was sent to {place}: {problem}"))


def alerts_for(execution: Execution, ended: RunReport) -> Iterator[Alert]:
    """Yield the alerts about a run that ended, those with nowhere to go left out."""
    chosen = execution.project.configuration.settings.notify
    name = execution.dag.name
    run = f"run {ended.run_id} on {execution.engine}, {platform.node()}"
    tracked = [f"MLflow run {ended.tracking_run_id}"] if ended.tracking_run_id else []
    facts = [f"{label}: {value}" for label, value in dict(ended.facts).items()]
    failed = [task for task in ended.tasks if task.failure is not None]
    if failed and chosen.on_failure:
        lines = []
        for task in failed:
            assert task.failure is not None
            lines.append(f"{task.task}: {task.failure.message}")
            lines += [f"hint: {task.failure.hint}"] if task.failure.hint else []
        title = f"{name} failed: {', '.join(task.task for task in failed)}"
        resume = f"resume: baton run --resume {ended.run_id}"
        yield Alert(title, "\n".join([*lines, *facts, run, *tracked, resume]), chosen.on_failure)
    if ended.is_good and chosen.on_success:
        yield Alert(f"{name} succeeded", "\n".join([*facts, run, *tracked]), chosen.on_success)
    deployed = [
        task
        for task in ended.tasks
        if task.outcome is Outcome.SUCCEEDED and DEPLOY in (task.task, execution.dag.task(task.task).group)
    ]
    if deployed and chosen.on_deploy:
        yield Alert(f"{name} deployed", "\n".join([*facts, run, *tracked]), chosen.on_deploy)


def _send(alert: Alert, place: Secret) -> str:
    """Send an alert, and return what went wrong."""
    import apprise  # type: ignore[import-not-found, import-untyped, unused-ignore]  # ships no types

    try:
        address = place.reveal()
    except BatonError as error:
        return error.message
    sender = apprise.Apprise()
    if not sender.add(address):
        return "Apprise does not know such an address"
    try:
        sent = sender.notify(body=alert.body, title=alert.title)
    except Exception as error:  # a plugin may raise anything
        return type(error).__name__
    return "" if sent else "the service did not take it"
