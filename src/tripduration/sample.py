"""Generated months of trips: the published schema, invented places, no network.

All values come from seeded generators and are rounded (seconds, hundredths of a mile), so that every
machine generates the same rows. The shapes follow green-taxi months of 2021: a few zones have most
pickups, near zones are likelier drop-offs, and about 4 % of the trips are implausible.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import numpy as np

from tripduration.months import Month
from tripduration.sample_city import SEED, ZONES, city
from tripduration.service import Service, published_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.generic]
    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

_TRIPS = (73_500, 76_500)
_DETOUR = 1.3
"""Miles driven per mile of straight line."""

_ZONE_MILES = 0.6
"""Straight-line distance of a trip within one zone."""

_BOARDING_MIN = 2.0
_ONLY_GREEN = ("ehail_fee", "trip_type")
"""The columns that yellow-taxi files do not have."""

_MPH_BY_HOUR = np.concatenate(
    (
        [19.0, 20.0, 21.0, 21.0, 20.0, 19.0, 16.0, 13.5, 12.5, 12.5, 12.5, 12.5],
        [12.5, 12.5, 12.0, 11.5, 11.0, 11.0, 12.0, 13.5, 15.0, 16.0, 17.0, 18.0],
    )
)
_TRIPS_BY_HOUR = np.array(
    [2, 1.5, 1, 1, 1.2, 1.5, 3, 5, 6, 6, 6, 6, 6, 6.2, 6.8, 7.2, 7.4, 7.2, 6.4, 5, 3.8, 3.2, 3, 2.5]
)


class Column(NamedTuple):
    """A generated column.

    Parameters
    ----------
    values
        Shape (rows,).
    missing
        Shape (rows,), True for null values; None if there are none.
    """

    values: Numbers
    missing: Flags | None = None


def write_sample(month: Month, path: Path, service: Service = "green") -> Path:
    """Write a generated month to `path` atomically, and return `path`.

    Parameters
    ----------
    month
        Any month; each has different trips, all in one city.
    path
        A Parquet file in the schema published for 2021; its folder is created.
    service
        The taxis whose trips to generate.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    # pyarrow ships no types.
    import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
    import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

    arrays = {}
    for name, column in sample_columns(month, service).items():
        # An all-null column has no type, as in the files of 2021.
        kind = pa.null() if name == "ehail_fee" else None
        values = [None] * len(column.values) if kind else column.values
        arrays[name] = pa.array(values, type=kind, mask=None if kind else column.missing)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid4().hex[:8]}.new")
    pq.write_table(pa.table(arrays), temporary, compression="zstd")
    temporary.replace(path)
    return path


def sample_columns(month: Month, service: Service = "green") -> dict[str, Column]:
    """Generate a month's columns, with the published names and order.

    Yellow taxis have the trips of green ones, and as many.
    """
    generator = np.random.Generator(np.random.PCG64([SEED, month.year, month.month]))
    rows = int(generator.integers(*_TRIPS))
    # The published files end with the trips that lack details, sorted by time separately.
    missing = np.arange(rows) >= int(rows * generator.uniform(0.52, 0.56))
    pickup_s, hour = _pickup_seconds(generator, month, missing)
    pickup_zone, dropoff_zone = _zone_pairs(generator, rows)
    driven = _driven_miles(generator, pickup_zone, dropoff_zone)
    duration_s = _duration_seconds(generator, driven, hour)
    begins = np.datetime64(month.begins, "us")
    fare, tip, congestion = _charges(generator, driven, duration_s)
    pickup_at, dropoff_at = (published_column(f"{end}_datetime", service) for end in ("pickup", "dropoff"))
    columns = {
        "VendorID": Column(1 + (generator.random(rows) < 0.9).astype(np.int64)),
        pickup_at: Column(begins + pickup_s.astype("m8[s]")),
        dropoff_at: Column(begins + (pickup_s + duration_s).astype("m8[s]")),
        "store_and_fwd_flag": Column(np.where(generator.random(rows) < 0.006, "Y", "N"), missing),
        "RatecodeID": Column(_chosen(generator, rows, (1.0, 5.0, 2.0), (0.96, 0.03, 0.01)), missing),
        "PULocationID": Column(pickup_zone + 1),
        "DOLocationID": Column(dropoff_zone + 1),
        "passenger_count": Column(
            _chosen(generator, rows, (1.0, 2.0, 5.0, 0.0), (0.9, 0.06, 0.03, 0.01)), missing
        ),
        "trip_distance": Column(_recorded_miles(generator, driven)),
        "fare_amount": Column(fare),
        "extra": Column(_chosen(generator, rows, (0.0, 0.5, 1.0, 2.75), (0.4, 0.3, 0.15, 0.15))),
        "mta_tax": Column(np.where(missing, 0.0, 0.5)),
        "tip_amount": Column(tip),
        "tolls_amount": Column(_chosen(generator, rows, (0.0, 6.12), (0.95, 0.05))),
        "ehail_fee": Column(np.zeros(rows), np.ones(rows, dtype=np.bool_)),
        "improvement_surcharge": Column(np.full(rows, 0.3)),
        "total_amount": Column(np.round(fare + tip + congestion + 0.8, 2)),
        "payment_type": Column(_chosen(generator, rows, (1.0, 2.0, 3.0), (0.6, 0.38, 0.02)), missing),
        "trip_type": Column(_chosen(generator, rows, (1.0, 2.0), (0.97, 0.03)), missing),
        "congestion_surcharge": Column(congestion, missing),
    }
    of_others = _ONLY_GREEN if service == "yellow" else ()
    return {name: column for name, column in columns.items() if name not in of_others}


def _chosen(
    generator: np.random.Generator,
    rows: int,
    values: tuple[float, ...],
    shares: tuple[float, ...],
) -> Floats:
    """Draw one of `values` per row, with the given shares."""
    position = np.searchsorted(np.cumsum(shares[:-1]), generator.random(rows), side="right")
    return np.array(values)[position]


def _pickup_seconds(
    generator: np.random.Generator, month: Month, missing: Flags
) -> tuple[Integers, Integers]:
    """Draw the seconds from the start of the month to each pickup, and its hour of the day."""
    rows = len(missing)
    days = (month.next().begins - month.begins).days
    up_to = np.cumsum(_TRIPS_BY_HOUR)
    hour = np.searchsorted(up_to / up_to[-1], generator.random(rows), side="right")
    hour = np.minimum(hour, 23)
    second = generator.integers(0, days, rows) * 86_400 + hour * 3_600
    second += generator.integers(0, 3_600, rows)
    order = np.lexsort((second, missing))
    second, hour = second[order], hour[order]
    # A few meters have the clock of another month.
    strays = generator.integers(0, rows, 6)
    second[strays[:2]] = (datetime(2009, 1, 1) - month.begins).days * 86_400 + 205
    second[strays[2:]] = days * 86_400 + generator.integers(0, 3_600, 4)
    return second, hour


def _zone_pairs(generator: np.random.Generator, rows: int) -> tuple[Integers, Integers]:
    """Draw the start and end zone of each trip, as indices from 0."""
    pair = np.searchsorted(city().up_to, generator.random(rows), side="right")
    pickup, dropoff = np.divmod(np.minimum(pair, ZONES**2 - 1), ZONES)
    return pickup, dropoff


def _driven_miles(generator: np.random.Generator, pickup: Integers, dropoff: Integers) -> Floats:
    """Draw the miles driven between two zones, including the zones' own size."""
    straight = np.sqrt(city().miles[pickup, dropoff] ** 2 + _ZONE_MILES**2)
    return straight * _DETOUR * np.exp(0.2 * generator.standard_normal(len(pickup)))


def _recorded_miles(generator: np.random.Generator, driven: Floats) -> Floats:
    """Round miles as meters do, and break some meters."""
    recorded = np.round(driven, 2)
    chance = generator.random(len(driven))
    recorded[chance < 0.033] = 0.0
    broken = chance > 0.9995
    recorded[broken] = np.round(generator.uniform(1_000, 250_000, int(broken.sum())), 2)
    return recorded


def _duration_seconds(generator: np.random.Generator, driven: Floats, hour: Integers) -> Integers:
    """Draw whole seconds from distance, hour and chance; about 4 % of the trips are implausible."""
    rows = len(driven)
    # Longer trips use faster roads.
    mph = _MPH_BY_HOUR[hour] * (1.0 + 0.05 * np.minimum(driven, 12.0))
    minutes = _BOARDING_MIN + 60.0 * driven / mph
    minutes *= np.exp(0.26 * generator.standard_normal(rows))
    chance = generator.random(rows)
    minutes = np.where(chance < 0.019, generator.uniform(0.0, 0.98, rows), minutes)
    minutes = np.where(chance > 0.992, generator.uniform(61.0, 1_439.0, rows), minutes)
    return np.round(np.minimum(minutes, 1_440.0) * 60.0).astype(np.int64)


def _charges(
    generator: np.random.Generator, driven: Floats, duration_s: Integers
) -> tuple[Floats, Floats, Floats]:
    """Draw fare, tip and congestion surcharge in dollars."""
    rows = len(driven)
    fare = np.round((2.5 + 2.5 * driven + np.minimum(duration_s, 3_600) / 120.0) * 2.0) / 2.0
    tip = np.round(0.2 * fare * (generator.random(rows) < 0.45), 2)
    return fare, tip, _chosen(generator, rows, (0.0, 2.75), (0.78, 0.22))
