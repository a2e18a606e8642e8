"""``baton clean``: remove what targets made."""

from __future__ import annotations

import click

from baton.cli import output
from baton.cli.options import ProjectCommand, json_option, place_options


@click.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed")
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, targets: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Forget the results of TARGETS (groups or tasks), or of the whole pipeline, so that they run again.

    Files that their effects left for people are removed. Models, tracking runs and downloads stay.
    """
    from baton.maintenance import cache

    cleaned = cache.clean(ctx.obj, targets, remove=not dry_run)
    if as_json:
        output.show_json(
            {
                "removed": not dry_run,
                "tasks": cleaned.tasks,
                "entries": [{"task": entry.task, "key": entry.key} for entry in cleaned.entries],
                "effects": cleaned.effects,
                "products": [str(path) for path in cleaned.products],
            }
        )
        return
    removed, forgot = ("would remove", "would forget") if dry_run else ("removed", "forgot")
    for path in cleaned.products:
        output.show_data(f"{removed} {path}")
    for task in cleaned.tasks:
        count = sum(entry.task == task for entry in cleaned.entries) + (task in cleaned.effects)
        if count:
            output.show_data(f"{forgot} {task} ({count} remembered)")
    if not (cleaned.products or cleaned.entries or cleaned.effects):
        output.say("there is nothing to remove")
    elif cleaned.entries and not dry_run:
        output.say("\nhint: free the space of what nothing refers to any more with: baton cache gc --yes")
