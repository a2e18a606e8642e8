"""The data contract: what passes, what breaks it, and how that is told."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tripduration.contract import ALLOWANCES, NEEDED, TripsOfMonth
from tripduration.errors import ContractBroken, MonthInvalid, NotParquet
from tripduration.months import Month
from tripduration.sample import write_sample
from tripduration.schema import check_trips, raise_if_broken, read_month, report_text
from tripduration.service import published_column

Written = Callable[[pl.DataFrame], Path]

PUBLISHED = tuple(published_column(name, "green") for name in NEEDED)
REAL_MONTHS = ("2021-01", "2021-02", "2021-03", "2023-02")


def broken_rules(report: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Return the count of each broken rule by column and rule."""
    return {
        (rule["column"], rule["rule"]): rule["violations"]
        for file in report["files"].values()
        for rule in file["rules"]
        if not rule["ok"]
    }


def in_rows(rows: int, column: str, value: object) -> pl.Expr:
    """Replace the first `rows` values of a column."""
    first = pl.int_range(pl.len()) < rows
    return pl.when(first).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)


@pytest.mark.parametrize("month", REAL_MONTHS)
def test_real_months_keep_the_contract(month: str, real_data: Path) -> None:
    report = check_trips({month: real_data / f"green_tripdata_{month}.parquet"})
    assert report["ok"]
    raise_if_broken(report)


def test_the_report_counts_the_real_trips(real_data: Path) -> None:
    report = check_trips({"2021-01": real_data / "green_tripdata_2021-01.parquet"})
    file = report["files"]["2021-01"]
    assert (file["rows"], file["rows_kept"]) == (76_518, 73_908)
    assert file["published_schema"]["ehail_fee"] == "null"


def test_generated_months_keep_the_contract(tmp_path: Path) -> None:
    months = [Month(2021, 1), Month(2021, 2)]
    paths = {str(month): write_sample(month, tmp_path / f"{month}.parquet") for month in months}
    report = check_trips(paths)
    assert report["ok"]
    raise_if_broken(report)


def test_real_months_of_every_published_schema_are_read_as_the_same_types(real_data: Path) -> None:
    frames = [read_month(real_data / f"green_tripdata_{month}.parquet") for month in REAL_MONTHS]
    assert len({tuple(frame.schema.items()) for frame in frames}) == 1
    assert list(frames[0].schema.values()) == [
        pl.Datetime("us"),
        pl.Datetime("us"),
        pl.Int32(),
        pl.Int32(),
        pl.Float64(),
    ]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("PULocationID", pl.UInt16()),
        ("DOLocationID", pl.Int64()),
        ("PULocationID", pl.Float64()),
        ("DOLocationID", pl.Decimal(38, 0)),
        ("trip_distance", pl.Decimal(18, 3)),
        ("trip_distance", pl.Int32()),
        ("lpep_pickup_datetime", pl.Datetime("ns")),
        ("lpep_dropoff_datetime", pl.Datetime("ms")),
    ],
)
def test_types_that_hold_the_same_values_are_read(
    january_trips: pl.DataFrame, written: Written, column: str, kind: pl.DataType
) -> None:
    as_published = january_trips.with_columns(pl.col(column).cast(kind))
    wanted = january_trips.with_columns(pl.col(column).cast(kind).cast(january_trips[column].dtype))
    wanted = read_month(written(wanted))
    assert read_month(written(as_published)).equals(wanted)


def test_a_file_is_the_same_month_with_ids_as_whole_numbers_or_as_floats(
    january_trips: pl.DataFrame, written: Written
) -> None:
    ids = pl.col("PULocationID", "DOLocationID")
    as_whole = read_month(written(january_trips.with_columns(ids.cast(pl.Int64))))
    as_floats = january_trips.with_columns(ids.cast(pl.Float64))
    assert read_month(written(as_floats)).equals(as_whole)
    missing = as_floats.with_columns(in_rows(3, "PULocationID", math.nan))
    assert broken_rules(check_trips({"2021-01": written(missing)})) == {("PULocationID", "is not null"): 3}
    fractions = as_floats.with_columns(in_rows(2, "PULocationID", 1.5))
    with pytest.raises(ContractBroken, match=r"PULocationID: expected whole numbers, .* 2 .*, such as 1\.5"):
        read_month(written(fractions))


@pytest.mark.parametrize("spell", [str.upper, str.lower, "  {} ".format, str.title], ids=lambda s: s("aB"))
def test_letters_and_blanks_of_a_column_s_name_do_not_count(
    january_trips: pl.DataFrame, written: Written, spell: Callable[[str], str]
) -> None:
    path = written(january_trips.rename(spell))
    assert check_trips({"2021-01": path})["ok"]
    assert read_month(path).equals(read_month(written(january_trips)))


HINTS = {
    "times of a zone": (pl.col("lpep_pickup_datetime").dt.replace_time_zone("UTC"), "without a time zone"),
    "times as text": (pl.col("lpep_pickup_datetime").dt.to_string(), "times as timestamps"),
    "ids as text": (pl.col("PULocationID").cast(pl.String), "ids and distances as numbers"),
    "ids as categories": (pl.col("PULocationID").cast(pl.String).cast(pl.Categorical), "as numbers"),
    "ids in lists": (pl.concat_list("PULocationID").alias("PULocationID"), "as numbers"),
    "coordinates": (pl.lit(-73.9).alias("Pickup_longitude"), "before July 2016"),
}


@pytest.mark.parametrize("case", HINTS)
def test_a_column_that_cannot_be_used_is_told_with_its_type_and_the_way_out(
    january_trips: pl.DataFrame, written: Written, case: str
) -> None:
    changed, words = HINTS[case]
    trips = january_trips.with_columns(changed)
    path = written(trips.drop("PULocationID") if case == "coordinates" else trips)
    with pytest.raises(ContractBroken, match=r" has (whole numbers|a timestamp .*): found ") as caught:
        raise_if_broken(check_trips({"2021-01": path}))
    assert words in caught.value.hint


def test_two_columns_of_one_name_but_for_letters_are_told(
    january_trips: pl.DataFrame, written: Written
) -> None:
    renamed = january_trips.rename({"PULocationID": "pulocationid"})
    path = written(renamed.with_columns(pl.col("pulocationid").alias("PUlocationID")))
    with pytest.raises(ContractBroken, match="found 'pulocationid' and 'PUlocationID'"):
        read_month(path)


def test_every_unusable_column_is_told_at_once(january_trips: pl.DataFrame, written: Written) -> None:
    path = written(
        january_trips.drop("trip_distance").with_columns(
            pl.col("PULocationID").cast(pl.String),
            pl.col("lpep_pickup_datetime").dt.replace_time_zone("UTC"),
        )
    )
    with pytest.raises(ContractBroken) as caught:
        read_month(path)
    lines = caught.value.message.splitlines()
    assert "green_tripdata_2021-01.parquet" in lines[0]
    assert [finding.column for finding in caught.value.findings] == [
        "lpep_pickup_datetime",
        "PULocationID",
        "trip_distance",
    ]
    assert lines[2].strip() == "PULocationID: expected whole numbers, found large_string"
    assert lines[3].strip() == "trip_distance: expected numbers, found no such column"


def yellow(trips: pl.DataFrame) -> pl.DataFrame:
    """Name the times as files of yellow taxis do."""
    return trips.rename(lambda name: name.replace("lpep_", "tpep_"))


def test_a_yellow_taxi_file_is_recognised(january_trips: pl.DataFrame, written: Written) -> None:
    path = written(yellow(january_trips))
    with pytest.raises(ContractBroken) as caught:
        read_month(path)
    assert "yellow-taxi file" in caught.value.hint
    assert "service to yellow" in caught.value.hint
    with pytest.raises(ContractBroken) as caught:
        raise_if_broken(check_trips({"2021-01": path}))
    assert "green_tripdata" in caught.value.hint


def test_yellow_trips_are_read_as_green_ones(january_trips: pl.DataFrame, written: Written) -> None:
    green = read_month(written(january_trips))
    path = written(yellow(january_trips))
    assert read_month(path, "yellow").equals(green)
    assert check_trips({"2021-01": path}, service="yellow")["ok"]


def test_messages_about_yellow_trips_name_the_published_columns(
    january_trips: pl.DataFrame, written: Written
) -> None:
    path = written(yellow(january_trips).with_columns(in_rows(1, "tpep_pickup_datetime", None)))
    report = check_trips({"2021-01": path}, service="yellow")
    assert broken_rules(report) == {("tpep_pickup_datetime", "is not null"): 1}
    with pytest.raises(
        ContractBroken, match="yellow-taxi trips: tpep_dropoff_datetime: expected a timestamp"
    ):
        read_month(written(yellow(january_trips).drop("tpep_dropoff_datetime")), "yellow")
    with pytest.raises(ContractBroken) as caught:
        read_month(written(january_trips), "yellow")
    assert (
        "this is a green-taxi file: use the one called yellow_tripdata_YYYY-MM.parquet" in caught.value.hint
    )


def test_the_first_yellow_months_are_refused_with_the_reason(written: Written) -> None:
    columns = ("vendor_name", "Trip_Pickup_DateTime", "Trip_Dropoff_DateTime", "Start_Lon", "Start_Lat")
    path = written(pl.DataFrame({name: [1.0] for name in columns}))
    with pytest.raises(ContractBroken) as caught:
        read_month(path, "yellow")
    assert "2011" in caught.value.hint


def test_numbers_too_large_for_the_type_are_told(january_trips: pl.DataFrame, written: Written) -> None:
    path = written(january_trips.with_columns(in_rows(1, "PULocationID", 2**40)))
    with pytest.raises(ContractBroken, match="fit their columns' types"):
        read_month(path)


def test_what_is_no_parquet_is_told_before_any_rule(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2021-01.parquet"
    path.write_text("<html>")
    with pytest.raises(NotParquet):
        check_trips({"2021-01": path})


def test_trips_that_keep_the_contract_pass(january_trips: pl.DataFrame, written: Written) -> None:
    report = check_trips({"2021-01": written(january_trips)})
    assert report["ok"]
    assert all(rule["violations"] == 0 for rule in report["files"]["2021-01"]["rules"])


@pytest.mark.parametrize("column", PUBLISHED)
def test_one_null_is_one_too_many(january_trips: pl.DataFrame, written: Written, column: str) -> None:
    report = check_trips({"2021-01": written(january_trips.with_columns(in_rows(1, column, None)))})
    assert broken_rules(report) == {(column, "is not null"): 1}


@pytest.mark.parametrize(
    ("column", "value", "rows", "rule"),
    [
        ("PULocationID", 0, 1, "is 1 to 265"),
        ("DOLocationID", 266, 1, "is 1 to 265"),
        ("trip_distance", -1.0, 21, "is not negative"),
        ("trip_distance", math.nan, 1, "is finite"),
        ("trip_distance", math.inf, 1, "is finite"),
        ("trip_distance", -math.inf, 1, "is finite"),
        ("trip_distance", 1e39, 1, "is finite"),  # beyond float32, which training uses
        ("trip_distance", 1000.0, 41, "is below 1,000 miles"),
        ("lpep_pickup_datetime", datetime(2009, 1, 1), 101, "is in the file's month"),
        ("lpep_dropoff_datetime", datetime(2020, 12, 31), 21, "is not before the pick-up"),
    ],
)
def test_one_row_above_the_allowance_breaks_the_rule_and_the_allowance_does_not(
    january_trips: pl.DataFrame,
    written: Written,
    column: str,
    value: object,
    rows: int,
    rule: str,
) -> None:
    above = check_trips({"2021-01": written(january_trips.with_columns(in_rows(rows, column, value)))})
    assert broken_rules(above) == {(column, rule): rows}
    allowed = january_trips.with_columns(in_rows(rows - 1, column, value))
    assert check_trips({"2021-01": written(allowed)})["ok"]


def test_a_month_with_all_its_trips_twice_is_told_with_their_count(
    january_trips: pl.DataFrame, written: Written
) -> None:
    path = written(pl.concat([january_trips, january_trips]))
    with pytest.raises(ContractBroken) as caught:
        raise_if_broken(check_trips({"2021-01": path}))
    assert (
        "the trip is not repeated: broken by 2,000 of 4,000 trips, 50.00% (5.00% may)" in caught.value.message
    )


def test_trips_that_differ_in_one_column_are_not_repeated(
    january_trips: pl.DataFrame, written: Written
) -> None:
    for column in PUBLISHED:
        other = january_trips.with_columns(pl.col(column).shift(-1)).head(1999)
        report = check_trips({"2021-01": written(pl.concat([january_trips, other]))})
        assert ("the trip", "is not repeated") not in broken_rules(report)


def test_few_repeated_trips_are_allowed(january_trips: pl.DataFrame, written: Written) -> None:
    report = check_trips({"2021-01": written(pl.concat([january_trips, january_trips.head(105)]))})
    assert report["ok"]
    report = check_trips({"2021-01": written(pl.concat([january_trips, january_trips.head(106)]))})
    assert broken_rules(report) == {("the trip", "is not repeated"): 106}


def test_the_month_ends_before_the_first_instant_of_the_next(
    january_trips: pl.DataFrame, written: Written
) -> None:
    last = datetime(2021, 2, 1) - timedelta(microseconds=1)
    moved = january_trips.with_columns(
        in_rows(1, "lpep_pickup_datetime", last), in_rows(1, "lpep_dropoff_datetime", last)
    )
    (rule,) = (
        rule
        for rule in check_trips({"2021-01": written(moved)})["files"]["2021-01"]["rules"]
        if rule["rule"] == "is in the file's month"
    )
    assert rule["violations"] == 0


def test_a_file_of_another_month_breaks_the_contract(january_trips: pl.DataFrame, written: Written) -> None:
    report = check_trips({"2021-02": written(january_trips)})
    assert broken_rules(report) == {("lpep_pickup_datetime", "is in the file's month"): 2000}


def test_an_empty_month_says_that_it_has_no_trips(january_trips: pl.DataFrame, written: Written) -> None:
    report = check_trips({"2021-01": written(january_trips.clear())})
    with pytest.raises(ContractBroken, match="has 1,000 trips or more: found no trips at all"):
        raise_if_broken(report)


def test_too_few_trips_break_the_contract_and_the_limit_can_be_chosen(
    january_trips: pl.DataFrame, written: Written
) -> None:
    path = written(january_trips)
    assert not check_trips({"2021-01": path}, min_rows=2001)["ok"]
    assert check_trips({"2021-01": path}, min_rows=2000)["ok"]


def test_too_few_plausible_durations_break_the_contract(
    january_trips: pl.DataFrame, written: Written
) -> None:
    at_once = pl.int_range(pl.len()) < 1001
    dropoff = pl.when(at_once).then("lpep_pickup_datetime").otherwise("lpep_dropoff_datetime")
    path = written(january_trips.with_columns(lpep_dropoff_datetime=dropoff))
    assert broken_rules(check_trips({"2021-01": path})) == {("duration_min", "is 1 to 60"): 1001}
    assert check_trips({"2021-01": path}, min_share_kept=0.4)["ok"]


def test_the_error_names_file_column_rule_and_count_of_everything_broken(
    january_trips: pl.DataFrame, written: Written
) -> None:
    bad = january_trips.with_columns(in_rows(12, "PULocationID", 300), in_rows(30, "trip_distance", -1.0))
    with pytest.raises(ContractBroken) as caught:
        raise_if_broken(check_trips({"2021-01": written(bad)}))
    where = "2021-01 (green_tripdata_2021-01.parquet)"
    assert caught.value.message.splitlines() == [
        "the trips break the data contract:",
        f"  {where}: PULocationID is 1 to 265: broken by 12 of 2,000 trips, 0.60% (0.00% may)",
        f"  {where}: trip_distance is not negative: broken by 30 of 2,000 trips, 1.50% (1.00% may)",
    ]
    assert caught.value.hint


def test_a_file_that_cannot_be_read_is_reported_like_any_other(
    january_trips: pl.DataFrame, written: Written
) -> None:
    path = written(january_trips.drop("trip_distance"))
    report = check_trips({"2021-01": path})
    assert broken_rules(report) == {("trip_distance", "has numbers"): 2000}
    assert report["files"]["2021-01"]["rows"] == 2000
    assert "BROKEN" in report_text(report)


def test_one_broken_month_does_not_hide_another(
    january_trips: pl.DataFrame, written: Written, tmp_path: Path
) -> None:
    other = tmp_path / "other.parquet"
    january_trips.with_columns(in_rows(1, "DOLocationID", 0)).write_parquet(other)
    report = check_trips({"2021-01": written(january_trips), "2021-01 again": other})
    assert [file["ok"] for file in report["files"].values()] == [True, False]
    assert not report["ok"]


def test_a_report_is_json_and_names_no_folder(
    january_trips: pl.DataFrame, written: Written, tmp_path: Path
) -> None:
    report = check_trips({"2021-01": written(january_trips)})
    assert json.loads(json.dumps(report)) == report
    assert str(tmp_path) not in json.dumps(report)


def test_the_text_of_a_report_is_a_table_with_a_line_per_rule(
    january_trips: pl.DataFrame, written: Written
) -> None:
    report = check_trips({"2021-01": written(january_trips)})
    lines = report_text(report).splitlines()
    assert lines[0].startswith("2021-01 (green_tripdata_2021-01.parquet): 2,000 of 2,000 trips")
    assert len(lines) == 2 + len(report["files"]["2021-01"]["rules"])
    assert len({len(line) for line in lines[1:]}) == 1


def test_a_name_without_a_month_is_refused(january_trips: pl.DataFrame, written: Written) -> None:
    with pytest.raises(MonthInvalid, match="is not a month"):
        check_trips({"training": written(january_trips)})


def test_every_rule_of_the_contract_has_an_allowance() -> None:
    frame = TripsOfMonth.create_empty().clear(1)
    rules = set(TripsOfMonth.filter(frame).failure._rule_columns)
    own = {rule for rule in rules if not rule.startswith("month_")}
    assert own == {allowance.key for allowance in ALLOWANCES}
