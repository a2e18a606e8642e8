"""The data contract: the columns that the pipeline reads, their types, ranges and allowances."""

from __future__ import annotations

from dataclasses import dataclass

import dataframely as dy
import polars as pl

SHORTEST_MIN = 1.0
LONGEST_MIN = 60.0
"""Minutes of the shortest and the longest trip that counts, both included (the reference)."""

LAST_ZONE = 265
"""Location ids run from 1 to here; 264 and 265 mean an unknown place (the zone table)."""

FARTHEST_MILES = 1000.0
"""A trip as long as this is a broken meter."""


def known_zone(location: pl.Expr) -> pl.Expr:
    """Accept a location id of the zone table."""
    return location.is_between(1, LAST_ZONE)


def finite(distance: pl.Expr) -> pl.Expr:
    """Accept a distance that is finite as the float32 that training makes of it."""
    return distance.cast(pl.Float32).is_finite()


def not_negative(distance: pl.Expr) -> pl.Expr:
    """Accept a distance that can be driven."""
    # Comparison puts NaN above every number; NaN is the other rule's finding.
    return distance >= 0


def below_farthest(distance: pl.Expr) -> pl.Expr:
    """Accept a distance that a meter in order shows."""
    return distance.is_nan() | (distance < FARTHEST_MILES)


class Trips(dy.Schema):
    """The columns that the pipeline reads, of every published schema, as one set of types.

    Published by the NYC Taxi and Limousine Commission: pick-up and drop-off in New York's local
    time without a zone, location ids of the zone table, distance in miles by the meter.
    """

    lpep_pickup_datetime = dy.Datetime(nullable=False, time_unit="us")
    lpep_dropoff_datetime = dy.Datetime(nullable=False, time_unit="us")
    PULocationID = dy.Int32(nullable=False, check=known_zone)
    DOLocationID = dy.Int32(nullable=False, check=known_zone)
    trip_distance = dy.Float64(
        nullable=False,
        allow_inf=True,
        allow_nan=True,
        check=[finite, not_negative, below_farthest],
    )


class TripsOfMonth(Trips):
    """Trips beside the month that their file is named for."""

    month_begins = dy.Datetime(nullable=False, time_unit="us")
    month_ends = dy.Datetime(nullable=False, time_unit="us")

    @dy.rule()
    def dropoff_after_pickup(cls) -> pl.Expr:
        """Accept a drop-off at or after the pick-up."""
        return pl.col("lpep_dropoff_datetime") >= pl.col("lpep_pickup_datetime")

    @dy.rule()
    def pickup_in_month(cls) -> pl.Expr:
        """Accept a pick-up within the file's month."""
        pickup = pl.col("lpep_pickup_datetime")
        return (pickup >= pl.col("month_begins")) & (pickup < pl.col("month_ends"))

    @dy.rule()
    def not_repeated(cls) -> pl.Expr:
        """Accept the first of the trips that agree in every column that is read."""
        return pl.struct(NEEDED).is_first_distinct()


NEEDED = tuple(Trips.column_names())
"""The five published columns that the pipeline reads."""


def duration_min() -> pl.Expr:
    """Return a trip's duration in minutes, rounded as pandas' ``total_seconds() / 60``."""
    duration = pl.col("lpep_dropoff_datetime") - pl.col("lpep_pickup_datetime")
    return duration.dt.total_microseconds().map_batches(_minutes, return_dtype=pl.Float64)


def plausible(minutes: pl.Expr) -> pl.Expr:
    """Accept a duration of 1 to 60 minutes, both included."""
    return minutes.is_between(SHORTEST_MIN, LONGEST_MIN)


def _minutes(microseconds: pl.Series) -> pl.Series:
    # polars multiplies by the reciprocal of a constant, which changes last bits: numpy divides.
    return pl.Series(microseconds.name, microseconds.to_numpy() / 1e6 / 60)


@dataclass(frozen=True)
class Allowance:
    """A rule on rows, and the share of rows that may break it.

    Parameters
    ----------
    key
        What dataframely calls the rule.
    column, rule
        What messages and reports call it.
    allowed_share
        0 (every row must keep the rule) to 1.
    """

    key: str
    column: str
    rule: str
    allowed_share: float


ALLOWANCES = (
    *(Allowance(f"{name}|nullability", name, "is not null", 0.0) for name in NEEDED),
    Allowance("PULocationID|check__known_zone", "PULocationID", "is 1 to 265", 0.0),
    Allowance("DOLocationID|check__known_zone", "DOLocationID", "is 1 to 265", 0.0),
    Allowance("trip_distance|check__finite", "trip_distance", "is finite", 0.0),
    Allowance("trip_distance|check__not_negative", "trip_distance", "is not negative", 0.01),
    Allowance("trip_distance|check__below_farthest", "trip_distance", "is below 1,000 miles", 0.02),
    Allowance("dropoff_after_pickup", "lpep_dropoff_datetime", "is not before the pick-up", 0.01),
    Allowance("pickup_in_month", "lpep_pickup_datetime", "is in the file's month", 0.05),
    Allowance("not_repeated", "the trip", "is not repeated", 0.05),
)
"""Every rule on rows. The months published so far stay far below the shares allowed: of the trips of
2021-01, 2021-02, 2021-03 and 2023-02, 0.16 to 0.29 % repeat an earlier one."""
