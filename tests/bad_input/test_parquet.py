"""Parquet files that nobody should publish: refused with a reason, or read right; never a surprise."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tripduration.clean import TRIP_SCHEMA, clean_trips
from tripduration.contract import NEEDED
from tripduration.errors import DataError
from tripduration.months import Month
from tripduration.schema import check_trips, raise_if_broken, report_text
from tripduration.service import published_column
from tripduration.source import fetch_month

ROWS = 20
PUBLISHED = tuple(published_column(name, "green") for name in NEEDED)
BEGINS = datetime(2021, 1, 1)


def good_columns() -> dict[str, pa.Array]:
    pickups = [BEGINS + timedelta(minutes=10 * row) for row in range(ROWS)]
    return {
        "lpep_pickup_datetime": pa.array(pickups, pa.timestamp("us")),
        "lpep_dropoff_datetime": pa.array([p + timedelta(minutes=7) for p in pickups], pa.timestamp("us")),
        "PULocationID": pa.array(range(1, ROWS + 1), pa.int64()),
        "DOLocationID": pa.array([7] * ROWS, pa.int64()),
        "trip_distance": pa.array([1.5] * ROWS, pa.float64()),
    }


def judge(path: Path) -> tuple[dict[str, Any] | None, pl.DataFrame | None]:
    """Take a month through extract, check and clean; return the report and the trips kept."""
    try:
        same = fetch_month(Month(2021, 1), source=str(path.parent), url_template="", folder=path.parent / "d")
        assert same == path
        report = check_trips({"2021-01": path}, min_rows=1)
        report_text(report)
        raise_if_broken(report)
    except DataError as error:
        return (None, None) if error.message and error.hint else pytest.fail("it does not explain itself")
    trips = clean_trips([path])
    assert trips.schema == TRIP_SCHEMA
    assert trips["duration_min"].is_between(1, 60).all()
    assert trips.null_count().sum_horizontal().item() == 0
    assert trips["PULocationID"].is_between(1, 265).all()
    assert trips["DOLocationID"].is_between(1, 265).all()
    assert trips["PU_DO"].str.contains(r"^\d+_\d+$").all()
    return report, trips


def write(folder: Path, names: list[str], arrays: list[pa.Array], **options: Any) -> Path:
    path = folder / "green_tripdata_2021-01.parquet"
    pq.write_table(pa.Table.from_arrays(arrays, names=names), path, **options)
    return path


def written(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    return write(folder, list(columns), list(columns.values()), **options)


HOSTILE: dict[str, dict[str, Any]] = {
    "ids below zero": {"PULocationID": pa.array([-1] * ROWS)},
    "ids beyond 32 bits": {"PULocationID": pa.array([2**40] * ROWS)},
    "ids beyond 64 bits with a sign": {"PULocationID": pa.array([2**63 + 5] * ROWS, pa.uint64())},
    "ids that are fractions": {"PULocationID": pa.array([1.5] * ROWS)},
    "ids that are texts": {"PULocationID": pa.array(["1"] * ROWS)},
    "ids that are truths": {"PULocationID": pa.array([True] * ROWS)},
    "ids that are words of a dictionary": {"PULocationID": pa.array(["1"] * ROWS).dictionary_encode()},
    "ids that are decimals with fractions": {"PULocationID": pa.array([Decimal("1.5")] * ROWS)},
    "ids without an end": {"PULocationID": pa.array([float("inf")] * ROWS)},
    "ids that are not numbers": {"PULocationID": pa.array([float("nan")] * ROWS)},
    "ids in lists": {"PULocationID": pa.array([[1]] * ROWS)},
    "ids in structures": {"PULocationID": pa.array([{"a": 1}] * ROWS)},
    "ids in maps": {"PULocationID": pa.array([[("a", 1)]] * ROWS, pa.map_(pa.string(), pa.int64()))},
    "nothing but nulls": {"PULocationID": pa.nulls(ROWS)},
    "null ids": {"PULocationID": pa.array([None] * ROWS, pa.int64())},
    "distances that are not numbers": {"trip_distance": pa.array([float("nan")] * ROWS)},
    "infinite distances": {"trip_distance": pa.array([float("inf")] * ROWS)},
    "distances below zero": {"trip_distance": pa.array([-1e300] * ROWS)},
    "distances in metres": {"trip_distance": pa.array([2414.0] * ROWS)},
    "distances that are texts": {"trip_distance": pa.array(["1.5"] * ROWS)},
    "times with a zone": {"lpep_pickup_datetime": pa.array([BEGINS] * ROWS, pa.timestamp("us", "UTC"))},
    "times that are dates": {"lpep_pickup_datetime": pa.array([date(2021, 1, 1)] * ROWS)},
    "times of a day": {"lpep_pickup_datetime": pa.array([time(1)] * ROWS)},
    "times that are numbers": {"lpep_pickup_datetime": pa.array([1609459200] * ROWS)},
    "times that are texts": {"lpep_pickup_datetime": pa.array(["2021-01-01 00:00:00"] * ROWS)},
    "times at the end of time": {
        "lpep_dropoff_datetime": pa.array([2**63 - 1] * ROWS).cast(pa.timestamp("us"))
    },
    "times at its beginning": {
        "lpep_pickup_datetime": pa.array([-(2**63) + 1] * ROWS).cast(pa.timestamp("us"))
    },
    "seconds of the far future": {"lpep_pickup_datetime": pa.array([2**31] * ROWS).cast(pa.timestamp("s"))},
    "milliseconds beyond microseconds": {
        "lpep_dropoff_datetime": pa.array([2**62] * ROWS).cast(pa.timestamp("ms"))
    },
    "drop-offs before pick-ups": {"lpep_dropoff_datetime": pa.array([BEGINS] * ROWS, pa.timestamp("us"))},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_column_is_refused_with_a_reason(case: str, tmp_path: Path) -> None:
    report, trips = judge(written(tmp_path, {**good_columns(), **HOSTILE[case]}))
    assert (report, trips) == (None, None)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_every_unit_of_time_gives_the_same_minutes(unit: str, tmp_path: Path) -> None:
    columns = good_columns()
    for name in ("lpep_pickup_datetime", "lpep_dropoff_datetime"):
        columns[name] = columns[name].cast(pa.timestamp(unit))
    _, trips = judge(written(tmp_path, columns, version="2.6"))
    assert trips is not None
    assert trips["duration_min"].to_list() == [7.0] * ROWS


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_column_that_is_there_twice_is_refused(name: str, tmp_path: Path) -> None:
    columns = good_columns()
    path = write(tmp_path, [*columns, name], [*columns.values(), columns[name]])
    assert judge(path) == (None, None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_two_columns_that_differ_by_letters_alone_are_taken_for_neither(name: str, tmp_path: Path) -> None:
    columns = {(key.upper() + " " if key == name else key): value for key, value in good_columns().items()}
    _, trips = judge(written(tmp_path, columns))
    assert trips is not None
    assert trips.height == ROWS
    columns[name.title()] = good_columns()[name]
    assert judge(written(tmp_path, columns)) == (None, None)
    columns[name] = good_columns()[name]
    _, exact = judge(written(tmp_path, columns))
    assert exact is not None
    assert exact.equals(trips)


def test_no_columns_and_no_rows_are_refused(tmp_path: Path) -> None:
    assert judge(written(tmp_path, {"a": pa.array([], pa.int64())})) == (None, None)
    assert judge(written(tmp_path, {k: v.slice(0, 0) for k, v in good_columns().items()})) == (None, None)


def test_columns_that_nobody_reads_may_be_anything(tmp_path: Path) -> None:
    odd = {
        "": pa.array([1] * ROWS),
        "<script>": pa.array([{"a": [{"b": None}]}] * ROWS),
        "nested": pa.array([[[]]] * ROWS, pa.list_(pa.list_(pa.null()))),
    }
    _, trips = judge(written(tmp_path, {**good_columns(), **odd}))
    assert trips is not None
    assert trips.height == ROWS


VALUES = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=3), st.booleans(),
    st.datetimes(), st.dates(), st.binary(max_size=3), st.lists(st.integers(0, 3), max_size=2),
    st.just({"a": 1}),
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(
    changed=st.dictionaries(
        st.sampled_from(PUBLISHED),
        st.lists(VALUES, min_size=1, max_size=1).map(lambda one: one * ROWS),
        max_size=2,
    ),
    dropped=st.sets(st.sampled_from(PUBLISHED), max_size=1),
)
def test_no_month_is_a_surprise(
    changed: dict[str, list[Any]], dropped: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    columns = {name: array for name, array in good_columns().items() if name not in dropped}
    columns |= {name: pa.array(values) for name, values in changed.items()}
    judge(written(tmp_path_factory.mktemp("month"), columns))


@settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_no_damage_to_a_file_is_a_surprise(
    position: float, value: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("month"), good_columns())
    content = bytearray(path.read_bytes())
    place = int(position * len(content))
    if cut:
        del content[place : place + value]
    else:
        content[place] = value
    path.write_bytes(content)
    judge(path)
