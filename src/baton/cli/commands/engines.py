"""``baton engines``: the engines and whether they are available."""

from __future__ import annotations

import click

from baton.cli import output
from baton.cli.options import Command, json_option
from baton.engines.find import engine_names, find_engine
from baton.errors import BatonError


@click.command(cls=Command)
@json_option
def command(as_json: bool) -> None:
    """List the engines and whether they are available here."""
    rows = []
    for name in engine_names():
        engine = find_engine(name)
        try:
            engine.check()
            rows.append((name, True, engine.description, ""))
        except BatonError as error:
            rows.append((name, False, engine.description, error.hint))
    if as_json:
        output.show_json([{"engine": n, "usable": u, "description": d, "hint": h} for n, u, d, h in rows])
        return
    output.show_table(
        ("engine", "usable", "where tasks run", "hint"),
        [(n, "yes" if u else "no", d, h) for n, u, d, h in rows],
    )
