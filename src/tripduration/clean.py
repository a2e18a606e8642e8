"""Turn published months into the one table that features are made from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from tripduration.contract import LONGEST_MIN, SHORTEST_MIN, duration_min, plausible
from tripduration.errors import NoTripsLeft
from tripduration.schema import read_month
from tripduration.service import Service

TRIP_SCHEMA = pl.Schema(
    {
        "pickup_at": pl.Datetime("us"),
        "pickup_hour": pl.Int8(),
        "PULocationID": pl.Int32(),
        "DOLocationID": pl.Int32(),
        "trip_distance": pl.Float64(),
        "PU_DO": pl.String(),
        "duration_min": pl.Float64(),
    }
)
"""The table of trips: `pickup_at` is New York's local time, `pickup_hour` 0 to 23,
`trip_distance` miles, `PU_DO` the ids of both zones as ``43_151``, `duration_min` 1 to 60."""


def clean_trips(paths: Iterable[Path], service: Service = "green") -> pl.DataFrame:
    """Read months of any published schema and keep the plausible trips, as one table.

    Parameters
    ----------
    paths
        Published files, one per month; the rows keep this order and that of the files.
    service
        The taxis whose trips they are.

    Returns
    -------
    polars.DataFrame
        Of `TRIP_SCHEMA`.

    Raises
    ------
    NoTripsLeft
        No trip lasts 1 to 60 minutes, or there are no files.
    ContractBroken, NotParquet
        A file cannot be read as trips of the service.
    """
    names = []
    months = []
    for path in paths:
        names.append(path.name)
        months.append(clean_month(read_month(path, service)))
    if not any(month.height for month in months):
        raise NoTripsLeft(
            f"no trip of {SHORTEST_MIN:g} to {LONGEST_MIN:g} minutes is in "
            f"{', '.join(names) or 'no file at all'}",
            hint="check the chosen months and their data check report",
        )
    return pl.concat(months)


def clean_month(published: pl.DataFrame) -> pl.DataFrame:
    """Convert one month from `read_month` to rows of `TRIP_SCHEMA`."""
    return keep_plausible(published.with_columns(duration_min=duration_min())).select(
        pl.col("pickup_datetime").alias("pickup_at"),
        pl.col("pickup_datetime").dt.hour().alias("pickup_hour"),
        "PULocationID",
        "DOLocationID",
        "trip_distance",
        pl.format("{}_{}", "PULocationID", "DOLocationID").alias("PU_DO"),
        "duration_min",
    )


def keep_plausible(trips: pl.DataFrame) -> pl.DataFrame:
    """Keep the trips whose `duration_min` is 1 to 60, inclusive."""
    return trips.filter(plausible(pl.col("duration_min")))
