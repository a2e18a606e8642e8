"""What the tests of the trip data share: real months, small months, a server that misbehaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from tripduration.download import Patience


@pytest.fixture
def hurried() -> Patience:
    """Retry without waiting."""
    return Patience(attempts=4, first_wait_s=0.001, longest_wait_s=0.002, read_timeout_s=0.3)


def small_trips(rows: int = 2000) -> pl.DataFrame:
    """Make trips of January 2021 that keep the contract, ten minutes each."""
    first = datetime(2021, 1, 1)
    pickups = [first + timedelta(minutes=position) for position in range(rows)]
    return pl.DataFrame(
        {
            "lpep_pickup_datetime": pickups,
            "lpep_dropoff_datetime": [pickup + timedelta(minutes=10) for pickup in pickups],
            "PULocationID": [1 + position % 265 for position in range(rows)],
            "DOLocationID": [1 + position % 7 for position in range(rows)],
            "trip_distance": [0.5 + position % 9 for position in range(rows)],
        },
        schema_overrides={
            "lpep_pickup_datetime": pl.Datetime("us"),
            "lpep_dropoff_datetime": pl.Datetime("us"),
        },
    )


@pytest.fixture
def january_trips() -> pl.DataFrame:
    """Return 2,000 trips of January 2021 that keep the contract."""
    return small_trips()


@pytest.fixture
def written(tmp_path: Path) -> Callable[[pl.DataFrame], Path]:
    """Return a function that writes trips as the file of January 2021."""

    def write(trips: pl.DataFrame) -> Path:
        path = tmp_path / "green_tripdata_2021-01.parquet"
        trips.write_parquet(path)
        return path

    return write


@pytest.fixture(scope="session")
def parquet_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a small month as a published file's bytes, several pieces long."""
    path = tmp_path_factory.mktemp("month") / "month.parquet"
    small_trips(20_000).write_parquet(path, compression="uncompressed")
    return path.read_bytes()


@dataclass
class Asked:
    """One request as it came in."""

    path: str
    headers: dict[str, str]


@dataclass
class Publisher:
    """A server on 127.0.0.1 that holds one file, and misbehaves as told.

    `moods` are taken one per request, the last for ever: ``whole``, ``ranges``, ``status 503``,
    ``reset``, ``short``, ``slow``, ``redirect``, ``page``, ``xml``, ``other part``, ``stall``.
    """

    body: bytes
    moods: list[str] = field(default_factory=lambda: ["ranges"])
    etag: str = '"first"'
    asked: list[Asked] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    half_sent: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def template(self) -> str:
        return f"http://127.0.0.1:{self.port}/green_tripdata_{{year}}-{{month:02d}}.parquet"

    def mood(self) -> str:
        return self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]


@pytest.fixture
def publisher(parquet_bytes: bytes) -> Iterator[Publisher]:
    """Serve a small month from this machine."""
    publisher = Publisher(parquet_bytes)

    class Handler(_Answer):
        said = publisher

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    publisher.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield publisher
    publisher.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


class _Answer(BaseHTTPRequestHandler):
    said: Publisher
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.said.asked.append(Asked(self.path, dict(self.headers.items())))
        self.close_connection = True
        mood, _, detail = self.said.mood().partition(" ")
        getattr(self, f"be_{mood}")(detail)

    def end_headers(self) -> None:
        self.send_header("Connection", "close")
        super().end_headers()

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        if self.said.etag:
            self.send_header("ETag", self.said.etag)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def be_whole(self, _: str) -> None:
        if self.said.etag and self.headers.get("If-None-Match") == self.said.etag:
            self.send_response(304)
            self.end_headers()
            return
        self.answer(200, self.said.body)

    def be_ranges(self, detail: str) -> None:
        wanted = self.headers.get("Range")
        if wanted is None or self.headers.get("If-Range") != self.said.etag:
            self.be_whole(detail)
            return
        start, size = int(wanted[len("bytes=") : -1]), len(self.said.body)
        if start >= size:
            self.answer(416, b"", Content_Range=f"bytes */{size}")
            return
        span = f"bytes {start}-{size - 1}/{size}"
        self.answer(206, self.said.body[start:], Content_Range=span)

    def be_other(self, _: str) -> None:
        size = len(self.said.body)
        self.answer(206, self.said.body[7:], Content_Range=f"bytes 7-{size - 1}/{size}")

    def be_status(self, detail: str) -> None:
        self.answer(int(detail), b"sorry", Retry_After="0")

    def be_xml(self, detail: str) -> None:
        self.answer(int(detail), b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>')

    def be_page(self, _: str) -> None:
        self.answer(200, b"<!DOCTYPE html><title>Please log in</title>")

    def be_short(self, _: str) -> None:
        self.answer(200, self.said.body[: len(self.said.body) // 2], len(self.said.body))

    def be_unsized(self, _: str) -> None:
        """Send half of a file without its length, which looks complete."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.said.body[: len(self.said.body) // 2])

    def be_reset(self, _: str) -> None:
        self.be_short("")
        self.wfile.flush()
        # Linger for no time, so that closing sends a reset.
        import socket
        import struct

        option = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)

    def be_stall(self, _: str) -> None:
        """Send half and then nothing until the test is over."""
        self.be_short("")
        self.wfile.flush()
        self.said.half_sent.set()
        self.said.released.wait(20)

    def be_slow(self, _: str) -> None:
        """Say nothing until the test is over."""
        self.said.released.wait(20)

    def be_redirect(self, detail: str) -> None:
        self.answer(302, b"", Location=detail or self.path)
