"""``baton explain``: why a task would or would not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from baton.cli import output
from baton.cli.options import ProjectCommand, json_option, place_options
from baton.core.values import as_text

if TYPE_CHECKING:
    from baton.runs.explanation import Explanation

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command(cls=ProjectCommand)
@click.argument("task")
@click.option("-v", "--verbose", "--full", "full", is_flag=True, help="Show everything in the cache key")
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, task: str, full: bool, as_json: bool) -> None:
    """Show why a run with the cache would or would not run TASK; nothing runs or is written."""
    from baton import api

    explained = api.explain(ctx.obj, task)
    if as_json:
        causes = [cause.as_dict() for cause in explained.causes]
        output.show_json({**asdict(explained), "causes": causes})
        return
    for line in [*_verdict(explained), *(_ingredients(explained) if full else ())]:
        output.show_data(line)


def _verdict(explained: Explanation) -> Iterator[str]:
    verdict = "would run" if explained.would_run else "would be skipped" if explained.would_skip else "cached"
    yield f"{explained.task}: {verdict}"
    if not explained.would_run:
        yield f"  {explained.reason}"
        if explained.computed is not None:
            yield f"    why it ran then: {explained.computed.reason}"
    for cause in explained.causes:
        yield f"  {cause.sentence}"
        if cause.note:
            yield f"    {cause.note}"
        for line in cause.diff.splitlines():
            yield "    " + click.style(line, fg=_COLOURS.get(line[:1]))
    if explained.compared_with:
        yield f"compared with run {explained.compared_with}"
    elif explained.last_run is not None and explained.would_run:
        last = explained.last_run
        yield f"last in run {last.run_id}: {last.outcome}, {last.reason}".rstrip(" ,")
    if explained.unresolved:
        yield "counts as a whole:"
        yield from (f"  {finding}" for finding in explained.unresolved)


def _ingredients(explained: Explanation) -> Iterator[str]:
    """Yield the contents of the key: a heading and one line per item."""
    yield f"key: {explained.key or 'unknown until its upstream tasks have run'}"
    yield from _listed("parameters", {n: as_text(v) for n, v in explained.parameters.items()})
    inputs = {
        name: f"{digest[:12] or 'not known yet'} from {explained.producers[name]}"
        for name, digest in explained.inputs.items()
    }
    yield from _listed("inputs", inputs)
    yield from _listed("code", {place: digest[:12] for place, digest in explained.code.items()})
    yield from _listed("packages", explained.packages)
    for kind, facts in explained.observed.items():
        yield from _listed(f"seen: {kind}", {name: value[:12] for name, value in facts.items()})
    if explained.world:
        yield from _listed("world", {"version=": explained.world})


def _listed(heading: str, rows: Mapping[str, Any]) -> Iterator[str]:
    if rows:
        width = max(map(len, rows))
        yield f"{heading}:"
        yield from (f"  {name:{width}}  {value}" for name, value in rows.items())
