"""The data contract: the columns that the pipeline reads, their types, ranges and tolerances."""

from __future__ import annotations

from dataclasses import dataclass

import dataframely as dy
import polars as pl

SHORTEST_MIN = 1.0
LONGEST_MIN = 60.0
"""Shortest and longest plausible trip in minutes, inclusive (as in the reference)."""

LAST_ZONE = 265
"""Location ids run from 1 to this; 264 and 265 mean an unknown place (the zone table)."""

FARTHEST_MILES = 1000.0
"""Trips this long come from a broken meter."""


def known_zone(location: pl.Expr) -> pl.Expr:
    """Accept location ids in the zone table."""
    return location.is_between(1, LAST_ZONE)


def finite(distance: pl.Expr) -> pl.Expr:
    """Accept distances that are finite as float32, which training uses."""
    return distance.cast(pl.Float32).is_finite()


def not_negative(distance: pl.Expr) -> pl.Expr:
    """Accept distances that can be driven."""
    # NaN compares above every number, and is covered by the other rule.
    return distance >= 0


def below_farthest(distance: pl.Expr) -> pl.Expr:
    """Accept distances that a working meter shows."""
    return distance.is_nan() | (distance < FARTHEST_MILES)


class Trips(dy.Schema):
    """The columns that the pipeline reads, in any published schema, with uniform names and types.

    Published by the NYC Taxi and Limousine Commission: pick-up and drop-off in New York's local
    time without a zone, location ids of the zone table, distance in miles by the meter.
    """

    pickup_datetime = dy.Datetime(nullable=False, time_unit="us")
    dropoff_datetime = dy.Datetime(nullable=False, time_unit="us")
    PULocationID = dy.Int32(nullable=False, check=known_zone)
    DOLocationID = dy.Int32(nullable=False, check=known_zone)
    trip_distance = dy.Float64(
        nullable=False,
        allow_inf=True,
        allow_nan=True,
        check=[finite, not_negative, below_farthest],
    )


class TripsOfMonth(Trips):
    """Trips with the month in their file's name."""

    month_begins = dy.Datetime(nullable=False, time_unit="us")
    month_ends = dy.Datetime(nullable=False, time_unit="us")

    @dy.rule()
    def dropoff_after_pickup(cls) -> pl.Expr:
        """Accept drop-offs at or after the pick-up."""
        return pl.col("dropoff_datetime") >= pl.col("pickup_datetime")

    @dy.rule()
    def pickup_in_month(cls) -> pl.Expr:
        """Accept pick-ups within the file's month."""
        pickup = pl.col("pickup_datetime")
        return (pickup >= pl.col("month_begins")) & (pickup < pl.col("month_ends"))

    @dy.rule()
    def not_repeated(cls) -> pl.Expr:
        """Accept the first of several trips that are equal in every column read."""
        return pl.struct(NEEDED).is_first_distinct()


NEEDED = tuple(Trips.column_names())
"""The five columns that the pipeline reads; files call them as `tripduration.service` says."""


def duration_min() -> pl.Expr:
    """Return a trip's duration in minutes, rounded as pandas' ``total_seconds() / 60``."""
    duration = pl.col("dropoff_datetime") - pl.col("pickup_datetime")
    return duration.dt.total_microseconds().map_batches(_minutes, return_dtype=pl.Float64)


def plausible(minutes: pl.Expr) -> pl.Expr:
    """Accept durations of 1 to 60 minutes, inclusive."""
    return minutes.is_between(SHORTEST_MIN, LONGEST_MIN)


def _minutes(microseconds: pl.Series) -> pl.Series:
    # polars multiplies by the reciprocal of a constant, which changes last bits: numpy divides.
    return pl.Series(microseconds.name, microseconds.to_numpy() / 1e6 / 60)


@dataclass(frozen=True)
class Allowance:
    """A rule for rows, and the share of rows that may break it.

    Parameters
    ----------
    key
        dataframely's name of the rule.
    column, rule
        Its name in messages and reports, in which a column has its published name.
    allowed_share
        From 0 (every row must satisfy the rule) to 1.
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
    Allowance("dropoff_after_pickup", "dropoff_datetime", "is not before the pick-up", 0.01),
    Allowance("pickup_in_month", "pickup_datetime", "is in the file's month", 0.05),
    Allowance("not_repeated", "the trip", "is not repeated", 0.05),
)
"""All rules for rows. Published months stay far below the allowed shares: of the trips of 2021-01, 2021-02,
2021-03 and 2023-02, 0.16 to 0.29 % repeat an earlier one."""
