"""A month that is a folder of Parquet parts: joined in order, the same bytes anywhere, or refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.conftest import Command
from tripduration.errors import ContractBroken, DataError, NotParquet
from tripduration.months import Month
from tripduration.schema import check_trips, raise_if_broken, read_month
from tripduration.source import fetch_month, source_version

JANUARY = Month(2021, 1)
NAME = "green_tripdata_2021-01.parquet"


@pytest.fixture
def month(tmp_path: Path) -> Path:
    """Return a folder called as a month's file."""
    folder = tmp_path / "months" / NAME
    folder.mkdir(parents=True)
    return folder


def fetch(month: Path, kept: Path) -> Path:
    return fetch_month(JANUARY, source=str(month.parent), url_template="", folder=kept)


def spark(trips: pl.DataFrame, folder: Path) -> None:
    """Write as Spark does: numbered parts, checksums, a mark that all is done."""
    for number, begin in enumerate(range(0, trips.height, 700)):
        name = f"part-{number:05d}-4c1f.c000.snappy.parquet"
        trips[begin : begin + 700].write_parquet(folder / name, compression="snappy")
        (folder / f".{name}.crc").write_bytes(b"crc")
    trips.clear().write_parquet(folder / "part-00099-4c1f.c000.snappy.parquet")
    (folder / "_SUCCESS").touch()
    (folder / "._SUCCESS.crc").touch()


def dask(trips: pl.DataFrame, folder: Path) -> None:
    """Write as Dask does: numbers without zeros before them, and files of metadata."""
    for number, begin in enumerate(range(0, trips.height, 150)):
        trips[begin : begin + 150].write_parquet(folder / f"part.{number}.parquet")
    schema = pq.read_schema(folder / "part.0.parquet")
    pq.write_metadata(schema, folder / "_metadata")
    pq.write_metadata(schema, folder / "_common_metadata")


def in_folders(trips: pl.DataFrame, folder: Path) -> None:
    """Write a folder for each value of a column that the pipeline reads, and of one that it does not."""
    first = trips["DOLocationID"].min()
    for value in trips["DOLocationID"].unique().sort():
        place = folder / "VendorID=1" / f"DOLocationID={value}"
        place.mkdir(parents=True)
        rows = trips.filter(pl.col("DOLocationID") == value).drop("DOLocationID")
        rows.write_parquet(place / f"part-{value - first}.parquet")


def other_letters(trips: pl.DataFrame, folder: Path) -> None:
    trips[:1000].rename(str.lower).write_parquet(folder / "0.parquet")
    trips[1000:].rename(str.upper).write_parquet(folder / "1.parquet")


def other_types(trips: pl.DataFrame, folder: Path) -> None:
    time = pl.col("lpep_pickup_datetime")
    trips[:1000].with_columns(time.cast(pl.Datetime("ns"))).write_parquet(folder / "0.parquet")
    trips[1000:].with_columns(pl.col("PULocationID").cast(pl.Int32)).write_parquet(folder / "1.parquet")


@pytest.mark.parametrize("write", [spark, dask, other_letters, other_types], ids=lambda w: w.__name__)
def test_the_parts_are_the_month(
    write: Callable[[pl.DataFrame, Path], None], january_trips: pl.DataFrame, month: Path, tmp_path: Path
) -> None:
    write(january_trips, month)
    path = fetch(month, tmp_path / "kept")
    assert path.name == NAME
    january_trips.write_parquet(tmp_path / "whole.parquet")
    assert read_month(path).equals(read_month(tmp_path / "whole.parquet"))
    raise_if_broken(check_trips({"2021-01": path}))


def test_a_column_may_be_in_the_names_of_folders(
    january_trips: pl.DataFrame, month: Path, tmp_path: Path
) -> None:
    in_folders(january_trips, month)
    path = fetch(month, tmp_path / "kept")
    january_trips.sort("DOLocationID", maintain_order=True).write_parquet(tmp_path / "whole.parquet")
    assert read_month(path).equals(read_month(tmp_path / "whole.parquet"))


def test_the_same_parts_give_the_same_bytes_wherever_they_lie(
    january_trips: pl.DataFrame, month: Path, tmp_path: Path
) -> None:
    spark(january_trips, month)
    elsewhere = tmp_path / "elsewhere" / NAME.removesuffix(".parquet")
    shutil.copytree(month, elsewhere)
    (elsewhere / "_SUCCESS").unlink()
    one, other = fetch(month, tmp_path / "kept"), fetch(elsewhere, tmp_path / "kept")
    assert one != other
    assert one.read_bytes() == other.read_bytes()
    assert [path.name for path in one.parent.iterdir()] == [NAME]


def test_the_version_counts_every_part_and_nothing_hidden(january_trips: pl.DataFrame, month: Path) -> None:
    spark(january_trips, month)
    before = source_version(JANUARY, str(month.parent), "")
    (month / "_SUCCESS").unlink()
    (month / ".hidden").touch()
    assert source_version(JANUARY, str(month.parent), "") == before
    january_trips[:1].write_parquet(month / "part-00050-4c1f.c000.snappy.parquet")
    assert source_version(JANUARY, str(month.parent), "") != before


def no_parts(folder: Path) -> None:
    for path in folder.glob("part*"):
        path.unlink()


def cut(folder: Path) -> None:
    part = sorted(folder.glob("part*"))[1]
    part.write_bytes(part.read_bytes()[:500])


def rewrite(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        part = sorted(folder.glob("part*"))[1]
        change(pl.read_parquet(part)).write_parquet(part)

    return write


AS_TEXT = pl.col("PULocationID").cast(pl.String)
WRONG: dict[str, tuple[Callable[[Path], object], type[DataError], str]] = {
    "no parts": (no_parts, NotParquet, "a folder without Parquet parts"),
    "a part cut short": (
        cut,
        NotParquet,
        rf"part part-00001\S* of {NAME} is not a Parquet file: .*cut short",
    ),
    "an empty part": (
        lambda folder: (folder / "part-00007").touch(),
        NotParquet,
        f"part part-00007 of {NAME} .*empty",
    ),
    "a file that is no part": (
        lambda folder: (folder / "notes.csv").write_text("a,b,c\n1,2,3\n"),
        NotParquet,
        "part notes.csv .*a table in text",
    ),
    "still being written": (
        lambda folder: (folder / "_temporary" / "0").mkdir(parents=True),
        NotParquet,
        "still being written",
    ),
    "a Delta table": (lambda folder: (folder / "_delta_log").mkdir(), NotParquet, "a Delta table"),
    "another column in a part": (
        rewrite(lambda trips: trips.drop("trip_distance")),
        ContractBroken,
        r"part part-00001\S* of .* has no column trip_distance",
    ),
    "another type in a part": (
        rewrite(lambda trips: trips.with_columns(AS_TEXT)),
        ContractBroken,
        r"part part-00001\S* of .* has PULocationID as \w*string, but part part-00000\S* as int64",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_folder_that_is_no_whole_month_is_refused_with_the_part(
    case: str, january_trips: pl.DataFrame, month: Path, tmp_path: Path
) -> None:
    spark(january_trips, month)
    spoil, kind, words = WRONG[case]
    spoil(month)
    with pytest.raises(kind, match=words) as caught:
        fetch(month, tmp_path / "kept")
    assert caught.value.hint
    assert not list((tmp_path / "kept").rglob("*.*"))


def test_parts_of_yellow_taxis_are_told_by_the_contract(
    january_trips: pl.DataFrame, month: Path, tmp_path: Path
) -> None:
    spark(january_trips.rename(lambda name: name.replace("lpep_", "tpep_")), month)
    with pytest.raises(ContractBroken, match="no such column") as caught:
        raise_if_broken(check_trips({"2021-01": fetch(month, tmp_path / "kept")}))
    assert "yellow-taxi file" in caught.value.hint


def test_parts_of_yellow_taxis_are_joined_for_their_service(
    january_trips: pl.DataFrame, tmp_path: Path
) -> None:
    month = tmp_path / "yellow_tripdata_2021-01.parquet"
    month.mkdir()
    spark(january_trips.rename(lambda name: name.replace("lpep_", "tpep_")), month)
    path = fetch_month(
        JANUARY, source=str(tmp_path), url_template="", folder=tmp_path / "kept", service="yellow"
    )
    january_trips.write_parquet(tmp_path / "whole.parquet")
    assert read_month(path, "yellow").equals(read_month(tmp_path / "whole.parquet"))


def test_a_run_reads_a_month_of_parts_and_remembers_it(
    baton: Command, january_trips: pl.DataFrame, month: Path
) -> None:
    dask(january_trips, month)
    words = ("check_2021_01", "--engine=make", "--source", month.parent)
    assert baton("run", *words).code == 0
    assert "cached" in baton("run", *words).stderr
    (month / "part.3.parquet").write_bytes(b"PAR1")
    ended = baton("run", *words)
    assert ended.code == 1
    assert f"part part.3.parquet of {NAME} is not a Parquet file: it is cut short" in ended.stderr
