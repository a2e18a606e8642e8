"""Cleaning: the real counts, one table for every published schema, the edges of what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from tripduration.clean import TRIP_SCHEMA, clean_month, clean_trips, keep_plausible
from tripduration.errors import ContractBroken, NoTripsLeft
from tripduration.schema import read_month

Written = Callable[[pl.DataFrame], Path]


def real_month(folder: Path, month: str) -> Path:
    return folder / f"green_tripdata_{month}.parquet"


def lasting(trips: pl.DataFrame, seconds: float) -> pl.DataFrame:
    """Let every trip last the same time."""
    micros = pl.duration(microseconds=round(seconds * 1e6))
    dropoff = (pl.col("lpep_pickup_datetime") + micros).alias("lpep_dropoff_datetime")
    return trips.with_columns(dropoff)


@pytest.mark.parametrize(
    ("month", "rows"),
    [("2021-01", 73_908), ("2021-02", 61_921), ("2021-03", 80_372), ("2023-02", 62_574)],
)
def test_real_months_keep_the_trips_of_1_to_60_minutes(month: str, rows: int, real_data: Path) -> None:
    trips = clean_trips([real_month(real_data, month)])
    assert trips.height == rows
    assert trips.schema == TRIP_SCHEMA


def test_the_pairs_of_january_are_the_references(real_data: Path) -> None:
    assert clean_trips([real_month(real_data, "2021-01")])["PU_DO"].n_unique() == 13_220


def test_durations_and_pairs_are_bit_for_bit_those_of_pandas(real_data: Path) -> None:
    path = real_month(real_data, "2021-01")
    frame = pd.read_parquet(path)
    duration = frame["lpep_dropoff_datetime"] - frame["lpep_pickup_datetime"]
    frame["duration"] = duration.map(lambda lasted: lasted.total_seconds() / 60)
    assert frame["duration"].equals(duration.dt.total_seconds() / 60)
    frame = frame[(frame["duration"] >= 1) & (frame["duration"] <= 60)]
    pairs = frame["PULocationID"].astype(str) + "_" + frame["DOLocationID"].astype(str)
    trips = clean_trips([path])
    assert trips["duration_min"].to_list() == frame["duration"].to_list()
    assert trips["PU_DO"].to_list() == pairs.to_list()
    assert trips["trip_distance"].to_list() == frame["trip_distance"].to_list()


def test_a_window_of_differently_published_months_is_one_table_in_the_order_given(
    real_data: Path,
) -> None:
    paths = [real_month(real_data, "2023-02"), real_month(real_data, "2021-01")]
    trips = clean_trips(paths)
    assert trips.height == 62_574 + 73_908
    assert trips.schema == TRIP_SCHEMA
    assert trips.head(5).equals(clean_trips(paths[:1]).head(5))
    assert trips.tail(5).equals(clean_trips(paths[1:]).tail(5))


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [(59.999999, False), (60, True), (3600, True), (3600.000001, False), (-60, False), (0, False)],
)
def test_both_ends_of_1_to_60_minutes_are_kept(
    january_trips: pl.DataFrame, written: Written, seconds: float, kept: bool
) -> None:
    month = clean_month(read_month(written(lasting(january_trips, seconds))))
    assert month.height == (january_trips.height if kept else 0)


def test_only_the_duration_decides_what_is_kept() -> None:
    trips = pl.DataFrame({"duration_min": [None, 0.5, 1.0, 60.0, 60.5], "other": [0, 1, 2, 3, 4]})
    assert keep_plausible(trips)["other"].to_list() == [2, 3]


def test_the_columns_say_where_when_and_how_long(january_trips: pl.DataFrame, written: Written) -> None:
    trips = clean_trips([written(january_trips)])
    assert trips.columns == list(TRIP_SCHEMA)
    row = trips.row(61, named=True)
    assert str(row["pickup_at"]) == "2021-01-01 01:01:00"
    assert row["pickup_hour"] == 1
    assert (row["PULocationID"], row["DOLocationID"]) == (62, 6)
    assert row["PU_DO"] == "62_6"
    assert row["duration_min"] == 10.0


def test_a_month_without_plausible_trips_does_not_stop_the_others(
    january_trips: pl.DataFrame, written: Written, tmp_path: Path
) -> None:
    other = tmp_path / "other.parquet"
    lasting(january_trips, 1).write_parquet(other)
    assert clean_trips([other, written(january_trips)]).height == january_trips.height


def test_nothing_left_is_an_error_that_names_the_files(january_trips: pl.DataFrame, written: Written) -> None:
    path = written(lasting(january_trips, 1))
    with pytest.raises(NoTripsLeft, match=r"green_tripdata_2021-01\.parquet") as caught:
        clean_trips([path])
    assert caught.value.hint


def test_no_file_at_all_is_an_error() -> None:
    with pytest.raises(NoTripsLeft, match="no file at all"):
        clean_trips([])


def test_a_file_without_the_columns_is_an_error(january_trips: pl.DataFrame, written: Written) -> None:
    with pytest.raises(ContractBroken, match="DOLocationID"):
        clean_trips([written(january_trips.drop("DOLocationID"))])
