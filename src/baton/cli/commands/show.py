"""``baton show``: an artifact of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from baton.cli import output
from baton.cli.options import ProjectCommand, json_option, place_options

if TYPE_CHECKING:
    from baton.runs.artifacts import FoundArtifact

_ROWS = 10
_TABLES = (".parquet", ".arrow")


@click.command(cls=ProjectCommand)
@click.argument("artifact")
@click.option("--run", "run_id", metavar="RUN", default="latest", help="Of one run [the latest with it]")
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="Write it to a new file")
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, artifact: str, run_id: str, target: Path | None, as_json: bool) -> None:
    """Show ARTIFACT: the first rows of a table, JSON values, or where the file lies."""
    from baton.runs.artifacts import find_artifact

    found = find_artifact(ctx.obj, artifact, run_id)
    if target is not None:
        found.write_to(target)
        output.say(f"wrote {target}")
        return
    if as_json:
        output.show_json(_as_json(found))
        return
    one = found.artifact
    output.show_data(f"{one.name}: {one.kind}, {one.size:,} bytes, of run {found.run_id}")
    if found.kind.suffix in _TABLES:
        frame = _frame(found)
        output.show_data(f"{frame.height:,} rows of {frame.width} columns")
        output.show_table(
            [f"{name} ({kind})" for name, kind in frame.schema.items()], map(_texts, frame.head(_ROWS).rows())
        )
    elif one.kind == "json":
        output.show_data(json.dumps(found.load(), indent=2, ensure_ascii=False))
    else:
        output.show_data(str(found.path))


def _as_json(found: FoundArtifact) -> dict[str, Any]:
    shown: dict[str, Any] = {**found.artifact.as_dict(), "run": found.run_id, "path": str(found.path)}
    if found.kind.suffix in _TABLES:
        frame = _frame(found)
        shown["rows"] = frame.height
        shown["columns"] = {name: str(kind) for name, kind in frame.schema.items()}
        shown["head"] = [list(_texts(row)) for row in frame.head(_ROWS).rows()]
    elif found.artifact.kind == "json":
        shown["value"] = found.load()
    return shown


def _frame(found: FoundArtifact) -> Any:
    import polars as pl

    read = pl.read_parquet if found.kind.suffix == ".parquet" else pl.read_ipc
    return read(found.path)


def _texts(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple("" if value is None else str(value) for value in row)
