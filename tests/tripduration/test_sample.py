"""The generated months: the published schema, the same rows everywhere, trips worth learning."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]  # ships no types
import pytest

from tripduration.clean import clean_trips
from tripduration.months import Month
from tripduration.sample import sample_columns, write_sample
from tripduration.sample_city import sample_zones

# Changes together with SAMPLE_VERSION, never alone.
JANUARY_DIGEST = "37d95b6266394629a88de033ff0973dec4c9d509d638244d8e563621bbedcadf"


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(Month(2021, 1), tmp_path_factory.mktemp("sample") / "january.parquet")


@pytest.fixture(scope="module")
def february(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(Month(2021, 2), tmp_path_factory.mktemp("sample") / "february.parquet")


def digest(month: Month) -> str:
    """Digest every value of every column, whatever file they are written to."""
    total = hashlib.sha256()
    for name, column in sample_columns(month).items():
        total.update(name.encode())
        total.update(np.ascontiguousarray(column.values).tobytes())
        if column.missing is not None:
            total.update(column.missing.tobytes())
    return total.hexdigest()


def test_january_has_the_same_rows_on_every_machine() -> None:
    assert digest(Month(2021, 1)) == JANUARY_DIGEST


def test_yellow_taxis_have_the_same_trips_in_their_own_columns(january: Path, tmp_path: Path) -> None:
    yellow = write_sample(Month(2021, 1), tmp_path / "yellow.parquet", "yellow")
    assert clean_trips([yellow], "yellow").equals(clean_trips([january]))
    names = pq.read_schema(yellow).names
    assert "tpep_pickup_datetime" in names
    assert not {"lpep_pickup_datetime", "ehail_fee", "trip_type"} & set(names)


def test_each_month_has_rows_of_its_own() -> None:
    digests = {digest(month) for month in (Month(2021, 2), Month(2021, 3), Month(2022, 2))}
    assert len(digests) == 3


def test_the_schema_is_the_one_published_for_2021(january: Path, real_data: Path) -> None:
    real = pq.read_schema(real_data / "green_tripdata_2021-01.parquet").remove_metadata()
    assert pq.read_schema(january).remove_metadata().equals(real)


def test_a_month_holds_some_75_000_trips_between_fewer_pairs_than_the_real_one(
    january: Path,
) -> None:
    trips = clean_trips([january])
    assert 70_000 <= trips.height <= 76_500
    assert 8_000 <= trips["PU_DO"].n_unique() <= 13_220


def test_three_to_four_percent_of_the_trips_cannot_be_true(january: Path) -> None:
    rows = pl.scan_parquet(january).select(pl.len()).collect().item()
    assert 0.03 <= 1 - clean_trips([january]).height / rows <= 0.04


def test_the_oddities_of_the_real_files_are_there(january: Path) -> None:
    trips = pl.read_parquet(january)
    assert trips["trip_distance"].max() > 100_000  # type: ignore[operator]  # a float column
    assert (trips["trip_distance"] == 0).sum() > 1_000
    assert 0.40 < trips["RatecodeID"].null_count() / trips.height < 0.50
    assert trips["RatecodeID"].is_null().equals(trips["payment_type"].is_null())
    assert (trips["lpep_pickup_datetime"].dt.year() == 2009).any()
    assert trips["PULocationID"].min() == 1
    assert trips["DOLocationID"].max() == 265


def test_the_months_agree_on_how_long_a_pair_takes(january: Path, february: Path) -> None:
    """What one month teaches must hold in the next: the gate is at 8 minutes."""
    usual = (
        clean_trips([january])
        .group_by("PU_DO")
        .agg(pl.col("duration_min").mean().alias("usual"), pl.len())
        .filter(pl.col("len") >= 5)
    )
    seen = clean_trips([february]).join(usual, on="PU_DO")
    wrong = seen.select(((pl.col("duration_min") - pl.col("usual")) ** 2).mean().sqrt()).item()
    assert seen.height > 50_000
    assert wrong < 8.0
    assert wrong < 0.7 * seen["duration_min"].std()  # type: ignore[operator]  # a float column


def test_every_zone_has_an_invented_name() -> None:
    zones = sample_zones()
    assert list(zones) == [str(zone) for zone in range(1, 266)]
    assert zones["265"] == {"borough": "Unknown", "zone": "Unknown"}
    assert len({zone["zone"] for zone in zones.values()}) == 264


def test_writing_leaves_one_file_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "month.parquet"
    path.parent.mkdir()
    path.write_text("torn")
    assert write_sample(Month(2021, 1), path) == path
    assert pq.read_metadata(path).num_columns == 20
    assert [each.name for each in path.parent.iterdir()] == ["month.parquet"]
