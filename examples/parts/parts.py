"""One step for each file of a folder, then all together."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from baton import Dag, File, InputFolder, Json, Parameters, Table, TaskContext, task


class Chosen(Parameters):
    """What may be chosen for a run."""

    folder: InputFolder = Path("parts")


@task(over={"part": "folder"})
def processed(part: File) -> Table:
    """Double the values of one file."""
    return pl.read_csv(part).with_columns(pl.col("v") * 2)


@task
def combined(processed: Mapping[str, Table]) -> Table:
    """Put the files together, each with its name."""
    return pl.concat([part.with_columns(part=pl.lit(name)) for name, part in processed.items()])


@task
def total(combined: Table, context: TaskContext) -> Json:
    """Add up all values."""
    found = int(combined["v"].sum())
    context.fact("total", found)
    return found


dag = Dag("parts", [processed, combined, total], parameters=Chosen, headline="total")
