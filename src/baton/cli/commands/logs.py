"""``baton logs``: what tasks logged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from baton.cli import output
from baton.cli.options import ProjectCommand, json_option, place_options
from baton.errors import UsageError, nearest

if TYPE_CHECKING:
    from baton.runs.logs import LogLine
    from baton.runs.project import Project
    from baton.runs.records import RunRecord

_ASK_AGAIN_AFTER_S = 0.5


@click.command(cls=ProjectCommand)
@click.argument("run", default="latest")
@click.argument("task", required=False)
@click.option("-f", "--follow", is_flag=True, help="Wait for more until the run ends")
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, run: str, task: str | None, follow: bool, as_json: bool) -> None:
    """Show the lines that the tasks of RUN logged [the latest], or those of TASK alone."""
    from baton import api

    project: Project = ctx.obj
    record = api.read_run(project.home, run)
    if task is not None:
        _refuse_unknown(task, record, project)
    if as_json:
        shown = [line for line in _lines(project, record.run_id, follow=follow) if task in (None, line.task)]
        output.show_json({"run": record.run_id, "lines": [msgspec.to_builtins(line) for line in shown]})
        return
    seen = False
    for line in _lines(project, record.run_id, follow=follow):
        if task in (None, line.task):
            seen = True
            output.show_data(f"{line.at[:23].replace('T', ' ')}  {line.task}  {line.text}")
    if not seen:
        output.say(_why_nothing(task, record))


def _lines(project: Project, run_id: str, *, follow: bool) -> Iterator[LogLine]:
    from baton.runs.logs import read_lines
    from baton.runs.records import has_ended

    position = 0
    while True:
        ended = not follow or has_ended(project.home, run_id)
        lines, position = read_lines(project.home, run_id, position)
        yield from lines
        if ended:
            return
        time.sleep(_ASK_AGAIN_AFTER_S)


def _refuse_unknown(task: str, record: RunRecord, project: Project) -> None:
    known = {one.task for one in record.tasks} or {one.name for one in project.dag.tasks}
    if task not in known:
        raise UsageError(
            f"run {record.run_id} has no task '{task}'{nearest(task, known)}",
            f"list its tasks with: baton status --run {record.run_id}",
        )


def _why_nothing(task: str | None, record: RunRecord) -> str:
    """Say why there are no lines; for a cached task, which run computed it."""
    if task is None:
        return f"no task of run {record.run_id} logged anything"
    found = next((one for one in record.tasks if one.task == task), None)
    reason = f" ({found.reason})" if found is not None and found.outcome == "cached" else ""
    return f"task '{task}' logged nothing in run {record.run_id}{reason}"
