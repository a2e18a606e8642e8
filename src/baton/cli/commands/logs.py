"""``baton logs``: what tasks logged."""

from __future__ import annotations

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


@click.command(cls=ProjectCommand)
@click.argument("run", default="latest")
@click.argument("task", required=False)
@click.option("-f", "--follow", is_flag=True, help="Wait for more until the run ends")
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, run: str, task: str | None, follow: bool, as_json: bool) -> None:
    """Show the lines that the tasks of RUN logged [the latest], or those of TASK alone, with the time in UTC.

    A group or a task with elements stands for all its tasks.
    """
    from baton import api
    from baton.runs.known import known_lines

    project: Project = ctx.obj
    try:
        record = api.find_run(project, run)
    except UsageError as error:
        if task is None and run in project.dag.target_names:
            raise UsageError(error.message, f"name the run first: baton logs latest {run}") from error
        raise
    wanted = None if task is None else _named(task, record, project)
    lines = (
        line
        for line in known_lines(project, record.run_id, follow=follow)
        if wanted is None or line.task in wanted
    )
    if as_json:
        output.show_json({"run": record.run_id, "lines": [msgspec.to_builtins(line) for line in lines]})
        return
    seen = False
    for line in lines:
        seen = True
        output.show_data(_shown(line))
    if not seen:
        output.say(_why_nothing(task, api.find_run(project, record.run_id)))


def _shown(line: LogLine) -> str:
    attempt = f" (attempt {line.attempt})" if line.attempt > 1 else ""
    return f"{line.at[:23].replace('T', ' ')}  {line.task}{attempt}  {line.text}"


def _named(target: str, record: RunRecord, project: Project) -> frozenset[str]:
    """Return the tasks of a run that a name means: one, or those of a group or of a task with elements."""
    ran = {one.task for one in record.tasks}
    if target in ran:
        return frozenset({target})
    members: set[str] = set()
    if target in project.dag.target_names:
        members = {task.name for task in project.dag.members(target)}
    if ran:
        members &= ran
    if not members:
        known = ran or set(project.dag.target_names)
        raise UsageError(
            f"run {record.run_id} has no task '{target}'{nearest(target, known)}",
            f"list its tasks with: baton status --run {record.run_id}",
        )
    return frozenset(members)


def _why_nothing(target: str | None, record: RunRecord) -> str:
    """Say why there are no lines; for a cached task, which run computed it."""
    run = f"run {record.run_id}"
    so_far = " so far" if record.state == "running" else ""
    if target is None:
        return f"no task of {run} logged anything{so_far}"
    found = next((one for one in record.tasks if one.task == target), None)
    if found is not None and found.outcome == "cached":
        return f"task '{target}' did not run in {run}, because it was cached ({found.reason})"
    return f"'{target}' logged nothing in {run}{so_far}"
