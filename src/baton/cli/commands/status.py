"""``baton status``: the latest runs."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import click
import msgspec

from baton.cli import output
from baton.cli.options import ProjectCommand, json_option, place_options
from baton.store.shown import plain

if TYPE_CHECKING:
    from baton.runs.records import RunRecord


@click.command(cls=ProjectCommand)
@click.option("--run", "run_id", metavar="RUN", help="Show one run in full; 'latest' for the latest")
@click.option("-n", "limit", type=click.IntRange(min=1), default=10, help="Number of runs [10]")
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, run_id: str | None, limit: int, as_json: bool) -> None:
    """Show the latest runs, or one run with its tasks and results."""
    from baton import api

    if run_id is not None:
        record = api.find_run(ctx.obj, run_id)
        if as_json:
            output.show_json(_as_json(record))
        else:
            _show_one(record)
        return
    records = api.status(ctx.obj, limit, output.say)
    if as_json:
        output.show_json([_as_json(record) for record in records])
        return
    if not records:
        output.say("no runs yet; start one with: baton run")
        return
    headline = ctx.obj.declared.headline or ""
    machines = {record.machine for record in records} | {platform.node()}
    columns = {
        "run": [record.run_id for record in records],
        "pipeline": [record.pipeline for record in records],
        "engine": [record.engine for record in records],
        **({"machine": [record.machine for record in records]} if len(machines) > 1 else {}),
        "targets": [",".join(record.targets) for record in records],
        "state": [record.state for record in records],
        "time": [f"{record.duration_s:.1f} s" for record in records],
        headline: [dict(record.facts).get(headline, "") for record in records],
    }
    output.show_table(tuple(columns), list(zip(*columns.values(), strict=True)))


def _as_json(record: RunRecord) -> Any:
    """Return a record as plain JSON values, without secrets in its parameters."""
    return {**msgspec.to_builtins(record), "parameters": plain("", record.parameters)}


def _show_one(record: RunRecord) -> None:
    where = f"{record.pipeline} on {record.engine}"
    output.show_data(f"run {record.run_id}: {where}, {record.state}, {record.duration_s:.2f} s")
    for system, name in record.known_as.items():
        output.show_data(f"in {system}: {name}")
    if record.machine and record.machine != platform.node():
        output.show_data(f"on machine {record.machine}")
    if record.commit:
        changed = " with changes that are not committed" if record.dirty else ""
        output.show_data(f"started by {record.user or 'somebody'} from commit {record.commit[:12]}{changed}")
    rows = [
        (task.task, task.outcome, f"{task.duration_s:.2f} s", task.message or task.reason)
        for task in record.tasks
    ]
    output.show_table(("task", "outcome", "time", "why"), rows)
    for label, value in record.facts:
        output.show_data(f"{label}: {value}")
    for task in record.tasks:
        if task.traceback:
            output.show_data(f"\n{task.task}:\n{task.traceback}")
