"""One file over HTTP: a real server that misbehaves, and what is left on disk each time."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tripduration.download import Patience, download
from tripduration.errors import DownloadFailed, NotParquet, StorageFailed
from tripduration.parquet import verify_parquet
from tripduration.source_health import SourceUnreachable, probe_source

if TYPE_CHECKING:
    from conftest import Publisher

Fetch = Callable[[], Path]

DOWNLOADING = """
import sys
from pathlib import Path
from tripduration.download import download
from tripduration.parquet import verify_parquet
download(sys.argv[1], Path(sys.argv[2]), verify=verify_parquet)
"""


@pytest.fixture
def events() -> list[str]:
    """Return what the download has told its log."""
    return []


@pytest.fixture
def address(publisher: Publisher) -> str:
    return f"http://127.0.0.1:{publisher.port}/month.parquet"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "month.parquet"


@pytest.fixture
def fetch(address: str, path: Path, hurried: Patience, events: list[str]) -> Fetch:
    """Return a function that downloads the published month."""

    def fetch() -> Path:
        return download(address, path, verify=verify_parquet, patience=hurried, log=events.append)

    return fetch


def names_in(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir() if not each.name.endswith(".lock")}


def test_a_whole_file_arrives_and_nothing_unfinished_is_left(publisher: Publisher, fetch: Fetch) -> None:
    path = fetch()
    assert path.read_bytes() == publisher.body
    assert names_in(path.parent) == {"month.parquet", "month.parquet.json"}


def test_progress_ends_at_the_size_the_server_announced(
    publisher: Publisher, address: str, path: Path
) -> None:
    pieces: list[tuple[int, int | None, str]] = []
    download(address, path, verify=verify_parquet, progress=lambda *piece: pieces.append(piece))
    size = len(publisher.body)
    assert pieces[-1] == (size, size, "month.parquet")
    assert [done for done, _, _ in pieces] == sorted(done for done, _, _ in pieces)
    assert len(pieces) > 1


def test_a_second_download_asks_whether_the_file_changed_and_fetches_nothing(
    publisher: Publisher, fetch: Fetch, events: list[str]
) -> None:
    before = fetch().stat().st_mtime_ns
    after = fetch().stat().st_mtime_ns
    assert publisher.asked[1].headers["If-None-Match"] == '"first"'
    assert before == after
    assert "has not changed" in events[-1]


def test_a_changed_file_replaces_the_old_one(publisher: Publisher, fetch: Fetch) -> None:
    fetch()
    publisher.etag = '"second"'
    publisher.body = publisher.body.replace(b"PULocationID", b"DULocationID")
    assert fetch().read_bytes() == publisher.body
    assert json.loads(fetch().with_name("month.parquet.json").read_text())["etag"] == '"second"'


@pytest.mark.parametrize("damage", ["cut", "flipped", "receipt torn", "receipt of another"])
def test_a_file_that_is_not_what_was_verified_is_fetched_again(
    publisher: Publisher, fetch: Fetch, damage: str
) -> None:
    path = fetch()
    receipt = path.with_name("month.parquet.json")
    if damage == "cut":
        path.write_bytes(publisher.body[:-100])
    elif damage == "flipped":
        path.write_bytes(publisher.body[:50] + b"\0\1" + publisher.body[52:])
    elif damage == "receipt torn":
        receipt.write_text(receipt.read_text()[:20])
    else:
        receipt.write_text(receipt.read_text().replace("month.parquet", "other.parquet"))
    fetch()
    assert path.read_bytes() == publisher.body
    assert "If-None-Match" not in publisher.asked[-1].headers


@pytest.mark.parametrize("mood", ["status 500", "status 503", "status 429", "short", "reset"])
@pytest.mark.fault(
    "the download server answers 500, 503, 429, too little, or resets", "it is asked again; the file is whole"
)
def test_trouble_that_passes_is_tried_again(
    publisher: Publisher, fetch: Fetch, events: list[str], mood: str
) -> None:
    publisher.moods = [mood, "ranges"]
    assert fetch().read_bytes() == publisher.body
    assert "trying again" in events[0]


@pytest.mark.fault("the download server is silent", "given up after all attempts, told")
def test_a_server_that_says_nothing_is_given_up_after_all_attempts(
    publisher: Publisher, address: str, path: Path, hurried: Patience
) -> None:
    publisher.moods = ["slow"]
    patience = replace(hurried, attempts=2, read_timeout_s=0.05)
    with pytest.raises(DownloadFailed, match=r"did not answer in time \(2 attempts\)"):
        download(address, path, verify=verify_parquet, patience=patience)
    assert len(publisher.asked) == 2


def test_trouble_that_stays_is_reported_with_the_number_of_attempts(
    publisher: Publisher, fetch: Fetch
) -> None:
    publisher.moods = ["status 503"]
    with pytest.raises(DownloadFailed, match=r"503 .*\(4 attempts\)") as caught:
        fetch()
    assert caught.value.status == 503
    assert len(publisher.asked) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_not_tried_again(publisher: Publisher, fetch: Fetch, status: int) -> None:
    publisher.moods = [f"xml {status}"]
    with pytest.raises(DownloadFailed) as caught:
        fetch()
    assert caught.value.status == status
    assert len(publisher.asked) == 1


def test_half_a_file_is_resumed_where_it_broke_off(publisher: Publisher, fetch: Fetch) -> None:
    publisher.moods = ["short", "ranges"]
    path = fetch()
    resumed = publisher.asked[1].headers
    half = len(publisher.body) // 2
    assert 0 < int(resumed["Range"].removeprefix("bytes=").removesuffix("-")) <= half
    assert resumed["If-Range"] == '"first"'
    assert path.read_bytes() == publisher.body


def test_a_server_that_ignores_ranges_sends_all_of_it_again(publisher: Publisher, fetch: Fetch) -> None:
    publisher.moods = ["short", "whole"]
    assert fetch().read_bytes() == publisher.body
    assert "Range" in publisher.asked[1].headers


@pytest.mark.fault("the file changes on the server in mid-download", "halves are never joined")
def test_halves_of_two_versions_are_never_joined(publisher: Publisher, fetch: Fetch) -> None:
    publisher.moods = ["short", "status 500", "status 500", "status 500", "ranges"]
    with pytest.raises(DownloadFailed):
        fetch()
    publisher.etag = '"second"'
    publisher.body = publisher.body.replace(b"PULocationID", b"DULocationID")
    assert fetch().read_bytes() == publisher.body


def test_another_part_than_the_one_asked_for_is_dropped(publisher: Publisher, fetch: Fetch) -> None:
    publisher.moods = ["short", "other part", "ranges"]
    assert fetch().read_bytes() == publisher.body


def test_a_part_that_nobody_asked_for_is_not_taken_for_the_file(publisher: Publisher, fetch: Fetch) -> None:
    publisher.moods = ["other part", "ranges"]
    assert fetch().read_bytes() == publisher.body


def test_an_unfinished_file_longer_than_the_real_one_is_dropped(
    publisher: Publisher, fetch: Fetch, path: Path
) -> None:
    publisher.moods = ["short", "status 404"]
    with pytest.raises(DownloadFailed):
        fetch()
    part = path.with_name("month.parquet.part")
    part.write_bytes(publisher.body + b"more")
    publisher.moods = ["ranges"]
    assert fetch().read_bytes() == publisher.body
    assert publisher.asked[-2].headers["Range"]


def test_without_a_version_nothing_is_resumed(publisher: Publisher, fetch: Fetch) -> None:
    publisher.etag = ""
    publisher.moods = ["short", "whole"]
    assert fetch().read_bytes() == publisher.body
    assert "Range" not in publisher.asked[1].headers


def test_a_weak_version_is_not_trusted_for_half_a_file(publisher: Publisher, fetch: Fetch) -> None:
    publisher.etag = 'W/"first"'
    publisher.moods = ["short", "whole"]
    assert fetch().read_bytes() == publisher.body
    assert "Range" not in publisher.asked[1].headers


@pytest.mark.parametrize(("mood", "looks_like"), [("page", "an HTML page"), ("unsized", "cut short")])
@pytest.mark.fault("a 200 with an HTML page, or half a file", "never published")
def test_what_is_no_parquet_is_never_published(
    publisher: Publisher, fetch: Fetch, path: Path, mood: str, looks_like: str
) -> None:
    publisher.moods = [mood]
    with pytest.raises(NotParquet, match=looks_like):
        fetch()
    assert names_in(path.parent) == set()
    assert len(publisher.asked) == 1


@pytest.mark.parametrize("mood", ["status 503", "xml 403", "page"])
def test_the_last_good_file_is_used_when_the_server_has_nothing_better(
    publisher: Publisher, fetch: Fetch, events: list[str], mood: str
) -> None:
    fetch()
    publisher.moods = [mood]
    assert fetch().read_bytes() == publisher.body
    assert "using the last download of" in events[-1]


def test_the_last_good_file_is_used_when_the_server_is_gone(
    publisher: Publisher, path: Path, fetch: Fetch, events: list[str], hurried: Patience
) -> None:
    fetch()
    receipt = path.with_name("month.parquet.json")
    gone = "http://127.0.0.1:9/month.parquet"
    receipt.write_text(receipt.read_text().replace(f":{publisher.port}/", ":9/"))
    download(gone, path, verify=verify_parquet, patience=hurried, log=events.append)
    assert "cannot be reached" in events[-1]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy"])
def test_a_dead_proxy_is_named_and_not_the_publisher_alone(
    fetch: Fetch, address: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, "http://me:hush@127.0.0.1:9")
    named = f"through the proxy http://127.0.0.1:9 from {variable}: "
    with pytest.raises(DownloadFailed, match=f"{address} cannot be reached {named}"):
        fetch()
    with pytest.raises(SourceUnreachable, match=f"127.0.0.1 does not answer {named}"):
        probe_source("", address + "?{year}{month}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fetch()


def test_redirects_are_followed(publisher: Publisher, fetch: Fetch) -> None:
    publisher.moods = ["redirect /elsewhere", "ranges"]
    assert fetch().read_bytes() == publisher.body
    assert publisher.asked[1].path == "/elsewhere"


@pytest.mark.fault("redirects in a circle", "given up, told")
def test_a_circle_of_redirects_ends(publisher: Publisher, fetch: Fetch) -> None:
    publisher.moods = ["redirect"]
    with pytest.raises(DownloadFailed, match="redirects too often"):
        fetch()
    assert len(publisher.asked) <= Patience().redirects + 1


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/month.parquet"])
def test_a_redirect_out_of_http_is_refused(publisher: Publisher, fetch: Fetch, target: str) -> None:
    publisher.moods = [f"redirect {target}"]
    with pytest.raises(DownloadFailed, match="not HTTP"):
        fetch()


def test_no_secret_of_the_address_is_told_written_or_logged(
    publisher: Publisher,
    path: Path,
    hurried: Patience,
    events: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logger = logging.getLogger("httpx")
    monkeypatch.setattr(logger, "propagate", True)  # other libraries silence it
    monkeypatch.setattr(logger, "disabled", False)
    address = f"http://user:hunter2@127.0.0.1:{publisher.port}/month.parquet?token=hunter3"
    publisher.moods = ["status 503", "ranges", "xml 403"]
    with caplog.at_level(logging.INFO), caplog.at_level(logging.INFO, logger.name):
        download(address, path, verify=verify_parquet, patience=hurried, log=events.append)
        path.unlink()
        with pytest.raises(DownloadFailed) as caught:
            download(address, path, verify=verify_parquet, patience=hurried, log=events.append)
    receipt = path.with_name("month.parquet.json").read_text()
    told = " ".join([*events, str(caught.value), caught.value.hint, receipt, caplog.text])
    assert "HTTP Request" in caplog.text
    assert "hunter" not in told
    assert "token=hunter3" in publisher.asked[0].path
    assert publisher.asked[0].headers["Authorization"].startswith("Basic ")


def test_a_password_that_breaks_the_address_is_not_shown(path: Path) -> None:
    with pytest.raises(DownloadFailed) as caught:
        download("http://user:hunter2/x@127.0.0.1/month.parquet", path, verify=verify_parquet)
    assert "hunter" not in caught.value.message + caught.value.hint


@pytest.mark.fault("the disk is full in mid-download", "told; what arrived is kept")
def test_a_full_disk_is_named_and_what_arrived_is_kept_for_the_next_try(
    publisher: Publisher, path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageFailed, match="No space") as caught:
            download(address, path, verify=verify_parquet)
    assert "free some space" in caught.value.hint
    download(address, path, verify=verify_parquet)
    assert path.read_bytes() == publisher.body


def test_a_folder_that_is_a_file_is_named(address: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageFailed, match=r"month\.parquet") as caught:
        download(address, tmp_path / "taken" / "month.parquet", verify=verify_parquet)
    assert "taken" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_a_read_only_folder_is_named(address: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageFailed, match="denied"):
            download(address, tmp_path / "month.parquet", verify=verify_parquet)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.fault("kill -9 in mid-download", "the next one goes on where it ended")
def test_a_killed_download_is_never_taken_for_whole_and_goes_on_where_it_ended(
    publisher: Publisher, address: str, path: Path, fetch: Fetch
) -> None:
    publisher.moods = ["stall", "ranges"]
    process = subprocess.Popen([sys.executable, "-c", DOWNLOADING, address, str(path)])
    part = path.with_name("month.parquet.part")
    try:
        assert publisher.half_sent.wait(30)
        while not (part.exists() and part.stat().st_size > 0):
            assert process.poll() is None
            publisher.released.wait(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not path.exists()
    fetch()
    assert path.read_bytes() == publisher.body
    assert int(publisher.asked[1].headers["Range"].removeprefix("bytes=").removesuffix("-")) > 0


def test_downloads_of_one_file_at_once_wait_for_one_another(
    publisher: Publisher, address: str, path: Path
) -> None:
    command = [sys.executable, "-c", DOWNLOADING, address, str(path)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    own = threading.Thread(target=download, args=(address, path), kwargs={"verify": verify_parquet})
    own.start()
    own.join()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert path.read_bytes() == publisher.body
    sent = [request for request in publisher.asked if "If-None-Match" not in request.headers]
    assert len(sent) == 1
