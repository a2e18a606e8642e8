"""Where a month comes from: each kind of place, and what each kind of wrong file looks like."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tripduration.addresses import folder_name, identity, month_url, redacted
from tripduration.download import Patience
from tripduration.errors import (
    DataError,
    DownloadFailed,
    MonthNotPublished,
    NotParquet,
    SourceInvalid,
)
from tripduration.months import Month
from tripduration.source import URL_TEMPLATE, ZONE_URL, fetch_month, fetch_zones, source_version
from tripduration.source_health import SourceUnreachable, probe_source

if TYPE_CHECKING:
    from conftest import Publisher

JANUARY = Month(2021, 1)
ZONES = b'"LocationID","Borough","Zone","service_zone"\n1,"EWR","Newark Airport","EWR"\n'


@pytest.fixture
def folder(tmp_path: Path, parquet_bytes: bytes) -> Path:
    """Return a local folder that holds one month."""
    folder = tmp_path / "months"
    folder.mkdir()
    (folder / "green_tripdata_2021-01.parquet").write_bytes(parquet_bytes)
    return folder


def fetch_from(source: str, tmp_path: Path, url_template: str = URL_TEMPLATE) -> Path:
    return fetch_month(JANUARY, source=source, url_template=url_template, folder=tmp_path / "kept")


def test_the_default_template_names_the_published_file() -> None:
    assert month_url(URL_TEMPLATE, JANUARY).endswith("/trip-data/green_tripdata_2021-01.parquet")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("https://example.org/green.parquet", "lacks the field {month}"),
        ("https://example.org/{year}.parquet", "lacks the field {month}"),
        ("https://example.org/{year}-{month}-{day}", "unknown field {day}"),
        ("https://example.org/{}-{year}-{month}", "unknown field {}"),
        ("https://example.org/{year.real}-{month}", "unknown field {year.real}"),
        ("https://example.org/{year}-{month", "cannot be filled in"),
        ("https://example.org/{year}-{month:zz}", "cannot be filled in"),
        ("https://example.org/{year}-{month:{width}}", "cannot be filled in"),
        ("ftp://example.org/{year}-{month}", "not an http://, https:// or file:// address"),
        ("{year}-{month}.parquet", "not an http://, https:// or file:// address"),
        ("", "lacks the field"),
    ],
)
def test_a_template_that_cannot_name_the_files_is_refused(template: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid) as caught:
        fetch_from("", tmp_path, template)
    assert why in caught.value.message
    assert "{year}-{month:02d}" in caught.value.hint


def test_a_local_file_is_used_where_it_lies(folder: Path, tmp_path: Path) -> None:
    assert fetch_from(str(folder), tmp_path) == folder / "green_tripdata_2021-01.parquet"
    assert not (tmp_path / "kept").exists()


def test_a_local_file_may_be_named_as_the_template_ends(folder: Path, tmp_path: Path) -> None:
    (folder / "green_tripdata_2021-01.parquet").rename(folder / "trips-2021-1.parquet")
    template = "https://example.org/trips-{year}-{month}.parquet?token=x"
    assert fetch_from(str(folder), tmp_path, template) == folder / "trips-2021-1.parquet"


def test_a_file_address_is_used_where_it_lies(folder: Path, tmp_path: Path) -> None:
    template = folder.as_uri() + "/green_tripdata_{year}-{month:02d}.parquet"
    assert fetch_from(template, tmp_path) == folder / "green_tripdata_2021-01.parquet"
    assert fetch_from("", tmp_path, template) == folder / "green_tripdata_2021-01.parquet"


def test_an_address_may_name_the_service(folder: Path, tmp_path: Path) -> None:
    template = folder.as_uri() + "/{service}_tripdata_{year}-{month:02d}.parquet"
    assert fetch_from("", tmp_path, template) == folder / "green_tripdata_2021-01.parquet"
    with pytest.raises(MonthNotPublished, match="yellow_tripdata_2021-01"):
        fetch_month(JANUARY, source="", url_template=template, folder=tmp_path, service="yellow")
    with pytest.raises(SourceUnreachable, match="has no yellow_tripdata_YYYY-MM"):
        probe_source(str(folder), "", "yellow")


def test_a_file_address_on_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match="another machine"):
        fetch_from("file://data/{year}-{month}.parquet", tmp_path)


def test_a_month_that_the_folder_lacks_is_named_with_what_is_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MonthNotPublished, match="2021-02") as caught:
        fetch_month(Month(2021, 2), source=str(folder), url_template=URL_TEMPLATE, folder=tmp_path)
    assert "green_tripdata_2021-01.parquet" in caught.value.hint


def test_a_month_in_another_form_is_named_beside_the_one_wanted(folder: Path, tmp_path: Path) -> None:
    (folder / "green_tripdata_2021-02.csv.gz").touch()
    with pytest.raises(MonthNotPublished) as caught:
        fetch_month(Month(2021, 2), source=str(folder), url_template="", folder=tmp_path)
    assert caught.value.hint == (
        "found green_tripdata_2021-02.csv.gz, but a month must be a Parquet file of green trips called "
        "green_tripdata_2021-02.parquet"
    )
    (folder / "green_tripdata_2021-03.parquet").symlink_to("nowhere")
    with pytest.raises(MonthNotPublished) as caught:
        fetch_month(Month(2021, 3), source=str(folder), url_template="", folder=tmp_path)
    assert "is broken" in caught.value.hint


def test_the_home_folder_may_be_written_as_a_tilde(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    wanted = folder / "green_tripdata_2021-01.parquet"
    name = "green_tripdata_{year}-{month:02d}.parquet"
    for source in ("~/months", f"file:///~/months/{name}", f"file://~/months/{name}"):
        assert fetch_from(source, tmp_path) == wanted
        assert source_version(JANUARY, source, "").startswith("green_tripdata_2021-01.parquet sha256:")
    assert probe_source("~/months", "") == "1 months in ~/months"
    with pytest.raises(SourceInvalid, match="home folder ~nobody-of-this-name does not exist"):
        fetch_from("~nobody-of-this-name/x", tmp_path)


@pytest.mark.parametrize(
    "source",
    [
        r"C:\data",
        "C:/data",
        "d:",
        r"\\server\share",
        "file:///C:/data/{year}-{month}.parquet",
        "file://C:/data/{year}-{month}.parquet",
        r"C:\data\{year}-{month}.parquet",
    ],
)
def test_a_path_of_windows_is_refused_with_what_it_is_called_here(source: str, tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match="a Windows path") as caught:
        fetch_from(source, tmp_path)
    assert "in WSL C:\\ is /mnt/c/" in caught.value.hint


def test_a_file_given_for_its_folder_gets_the_folder_as_a_hint(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match="a file, not a folder") as caught:
        fetch_from(str(folder / "green_tripdata_2021-01.parquet"), tmp_path)
    assert caught.value.hint == f"use the folder that contains it: {folder}"


@pytest.mark.parametrize("name", ["missing", "months/green_tripdata_2021-01.parquet"])
def test_a_source_that_is_no_folder_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match="source folder"):
        fetch_from(str(tmp_path / name), tmp_path)


def test_the_sample_is_generated_into_the_folder(tmp_path: Path) -> None:
    path = fetch_from("sample", tmp_path)
    assert path.is_relative_to(tmp_path / "kept")
    assert pl.scan_parquet(path).select(pl.len()).collect().item() > 70_000


def test_a_published_month_is_downloaded_and_then_asked_for_only_if_changed(
    publisher: Publisher, tmp_path: Path
) -> None:
    first = fetch_from("", tmp_path, publisher.template)
    second = fetch_from(publisher.template, tmp_path)
    assert first == second
    assert first.name == "green_tripdata_2021-01.parquet"
    assert first.read_bytes() == publisher.body
    assert publisher.asked[0].path == "/green_tripdata_2021-01.parquet"
    assert "If-None-Match" in publisher.asked[1].headers


def test_what_was_downloaded_serves_as_a_local_source(publisher: Publisher, tmp_path: Path) -> None:
    path = fetch_from("", tmp_path, publisher.template)
    assert fetch_from(str(path.parent), tmp_path) == path


@pytest.mark.parametrize("status", [403, 404])
def test_an_unpublished_month_is_named_with_its_address(
    publisher: Publisher, tmp_path: Path, status: int
) -> None:
    publisher.moods = [f"xml {status}"]
    with pytest.raises(MonthNotPublished) as caught:
        fetch_from("", tmp_path, publisher.template)
    assert "2021-01" in caught.value.message
    assert f"127.0.0.1:{publisher.port}/green_tripdata_2021-01.parquet" in caught.value.message
    assert "two months late" in caught.value.hint


def test_a_server_in_trouble_is_not_taken_for_a_missing_month(
    publisher: Publisher, tmp_path: Path, hurried: Patience
) -> None:
    publisher.moods = ["status 500"]
    with pytest.raises(DownloadFailed):
        fetch_month(
            JANUARY,
            source="",
            url_template=publisher.template,
            folder=tmp_path,
            patience=hurried,
        )


@pytest.mark.parametrize(
    ("content", "looks_like"),
    [
        (b"", "empty"),
        (b"\n<html><body>Gone</body></html>", "an HTML page ('<html><body>Gone"),
        (b"<?xml version='1.0'?><Error/>", "an XML document ('<?xml version='1.0'?><Error/>')"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"PAR1", "cut short after 4 bytes"),
        (b"\xef\xbb\xbfVendorID,lpep_pickup_datetime,PULocationID\n1,2,3\n", "a table in text"),
        (b"VendorID;lpep_pickup_datetime;PULocationID\n" + b"1;2;3\n" * 99, "a table in text"),
        (b'{"message": "rate limit"}', "a JSON document"),
        (b"PARE" + b"\0" * 99 + b"PARE", "it is encrypted"),
        (b"\x1f\x8b\x08" + b"\0" * 99, "compressed with gzip"),
        (b"PK\x03\x04" + b"\0" * 300, "a ZIP archive"),
        (b"ARROW1\0\0" + b"\0" * 99, "an Arrow or Feather file"),
        (b"\x89HDF" + b"\0" * 300, "it starts with"),
        (b"PAR1" + b"\0" * 99 + b"PAR1", "footer is damaged"),
    ],
    ids=[
        *("empty", "html", "xml", "git-lfs", "cut", "csv", "semicolons", "json", "encrypted", "gzip", "zip"),
        *("feather", "hdf", "footer"),
    ],
)
def test_what_is_no_parquet_is_told_by_its_looks(
    content: bytes, looks_like: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "green_tripdata_2021-01.parquet").write_bytes(content)
    with pytest.raises(NotParquet) as caught:
        fetch_from(str(folder), tmp_path)
    assert looks_like in caught.value.message
    assert "green_tripdata_2021-01.parquet" in caught.value.message
    assert caught.value.hint


def test_a_file_cut_short_after_its_head_is_told(folder: Path, tmp_path: Path) -> None:
    path = folder / "green_tripdata_2021-01.parquet"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(NotParquet, match="cut short after 5,000 bytes"):
        fetch_from(str(folder), tmp_path)


def test_the_real_months_are_whole(real_data: Path, tmp_path: Path) -> None:
    for month in (JANUARY, Month(2021, 2), Month(2021, 3), Month(2023, 2)):
        source = str(real_data)
        path = fetch_month(month, source=source, url_template=URL_TEMPLATE, folder=tmp_path)
        assert path.name == f"green_tripdata_{month}.parquet"


def test_a_local_version_changes_with_the_content_and_not_with_the_time(folder: Path) -> None:
    path = folder / "green_tripdata_2021-01.parquet"
    first = source_version(JANUARY, str(folder), URL_TEMPLATE)
    path.touch()
    assert source_version(JANUARY, str(folder), URL_TEMPLATE) == first
    path.write_bytes(path.read_bytes() + b"x")
    assert source_version(JANUARY, str(folder), URL_TEMPLATE) != first


def test_a_version_of_an_address_holds_no_secret_and_tells_addresses_apart() -> None:
    secret = "https://me:hunter2@example.org/{year}-{month}?token=hunter3"
    known = source_version(JANUARY, "", secret)
    assert known.startswith("https://example.org/2021-1?...#")
    assert "hunter" not in known
    assert known == source_version(JANUARY, secret.replace("hunter2", "new"), URL_TEMPLATE)
    assert known != source_version(JANUARY, secret.replace("hunter3", "new"), URL_TEMPLATE)
    assert known != source_version(Month(2021, 2), "", secret)
    assert source_version(JANUARY, "sample", URL_TEMPLATE).startswith("sample:")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a@b/c", "https://example.org/a@b/c"),
        ("https://example.org:8080/a", "https://example.org:8080/a"),
        ("http://me@[::1]:80/a#part", "http://[::1]:80/a"),
        ("http://me:pass/word@example.org/a", "http://..."),
        ("http://me:pass?word@example.org/a", "http://..."),
        ("https://me:pa@ss@example.org/a", "https://example.org/a"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_two_templates_never_share_a_folder() -> None:
    one = folder_name("https://example.org:80/a/{year}-{month}")
    other = folder_name("https://example.org:80/b/{year}-{month}")
    assert one != other
    assert one.startswith("example.org_80-")
    assert identity("http://example.org/[a]") == "http://example.org/[a]"


def test_an_error_survives_the_way_between_processes() -> None:
    error = DownloadFailed("it failed", hint="run again", status=503)
    copied = pickle.loads(pickle.dumps(error))
    assert (copied.message, copied.hint, copied.status) == ("it failed", "run again", 503)
    assert isinstance(copied, DataError)


@pytest.fixture
def zones_of(tmp_path: Path, hurried: Patience) -> Callable[..., dict[str, dict[str, str]]]:
    """Return a function that fetches zones and lists what it logs in its `told`."""

    def fetch(source: str, zone_url: str, told: list[str]) -> dict[str, dict[str, str]]:
        return fetch_zones(
            source=source,
            zone_url=zone_url,
            folder=tmp_path / "kept",
            log=told.append,
            patience=hurried,
        )

    return fetch


Zones = Callable[[str, str, list[str]], dict[str, dict[str, str]]]
NEWARK = {"1": {"borough": "EWR", "zone": "Newark Airport"}}


def test_zone_names_come_from_the_local_folder(folder: Path, zones_of: Zones) -> None:
    (folder / "taxi_zone_lookup.csv").write_bytes(ZONES)
    assert zones_of(str(folder), ZONE_URL, []) == NEWARK
    assert zones_of(folder.as_uri() + "/{year}-{month}.parquet", ZONE_URL, []) == NEWARK
    assert zones_of("", (folder / "taxi_zone_lookup.csv").as_uri(), []) == NEWARK


def test_zone_names_come_from_the_server(publisher: Publisher, zones_of: Zones) -> None:
    publisher.body = ZONES
    address = f"http://127.0.0.1:{publisher.port}/misc/zones.csv"
    assert zones_of("", address, []) == NEWARK
    assert publisher.asked[0].path == "/misc/zones.csv"


def test_the_sample_has_zone_names_of_its_own(zones_of: Zones) -> None:
    assert len(zones_of("sample", ZONE_URL, [])) == 265


@pytest.mark.parametrize("mood", ["page", "xml 404", "status 500", "redirect"])
def test_zone_names_that_cannot_be_had_are_none_and_the_log_says_why(
    publisher: Publisher, zones_of: Zones, mood: str
) -> None:
    publisher.moods = [mood]
    told: list[str] = []
    assert zones_of("", f"http://127.0.0.1:{publisher.port}/zones.csv", told) == {}
    assert "have no zone names" in told[-1]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", ZONES[:40]])
def test_a_wrong_zone_table_is_none_and_the_log_says_why(
    folder: Path, zones_of: Zones, content: bytes
) -> None:
    (folder / "taxi_zone_lookup.csv").write_bytes(content)
    told: list[str] = []
    assert zones_of(str(folder), ZONE_URL, told) == {}
    assert "have no zone names" in told[-1]


def test_no_zone_table_in_the_folder_asks_no_server(folder: Path, zones_of: Zones) -> None:
    told: list[str] = []
    assert zones_of(str(folder), ZONE_URL, told) == {}
    assert zones_of("", "", told) == {}
    assert zones_of(str(folder / "missing"), ZONE_URL, told) == {}
    assert len(told) == 3


def test_the_real_zone_table_names_every_location(real_data: Path, folder: Path, zones_of: Zones) -> None:
    shutil.copy(real_data / "taxi_zone_lookup.csv", folder)
    zones = zones_of(str(folder), ZONE_URL, [])
    assert set(zones) == {str(zone) for zone in range(1, 266)}
    assert zones["1"]["borough"] == "EWR"
