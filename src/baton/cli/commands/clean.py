"""``baton clean``: delete the results of targets."""

from __future__ import annotations

import click

from baton.cli import output
from baton.cli.options import ProjectCommand, json_option, place_options


@click.command(cls=ProjectCommand)
@click.argument("targets", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted")
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, targets: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Delete the cached results of TARGETS (groups or tasks), or of the whole pipeline, so that they rerun.

    This also deletes the files that their effects left. Models, tracking runs and downloads stay.
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
    deleted = "would delete" if dry_run else "deleted"
    for path in cleaned.products:
        output.show_data(f"{deleted} {path}")
    for task in cleaned.tasks:
        count = sum(entry.task == task for entry in cleaned.entries) + (task in cleaned.effects)
        if count:
            output.show_data(f"{deleted} {task} ({count} cached)")
    if not (cleaned.products or cleaned.entries or cleaned.effects):
        output.say("nothing to delete")
    elif cleaned.entries and not dry_run:
        output.say("\nhint: free the space of unreferenced objects with: baton cache gc --yes")
