"""Requests to an Airflow server that has trouble: a small server here stands for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from baton.engines.airflow.rest import AirflowApi
from baton.errors import UsageError

Answer = Callable[[str, str, dict[str, object]], tuple[int, dict[str, object]]]


@contextmanager
def airflow_that_answers(answer: Answer) -> Iterator[AirflowApi]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            code, content = answer(self.command, self.path, body)
            text = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815  # the names that http.server asks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    api = AirflowApi(f"http://127.0.0.1:{server.server_address[1]}", token="known")
    try:
        yield api
    finally:
        api.close()
        server.shutdown()
        server.server_close()
        thread.join()


LOCKED = (500, {"detail": "database is locked"})


def test_a_request_that_could_not_be_answered_is_repeated() -> None:
    asked: list[str] = []

    def answer(method: str, path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        asked.append(path)
        return LOCKED if len(asked) < 3 else (200, {"state": "running"})

    with airflow_that_answers(answer) as api:
        assert api.state("taxi", "one") == "running"
    assert len(asked) == 3


def test_a_run_that_was_made_though_the_answer_was_an_error_is_not_made_twice() -> None:
    made: list[object] = []

    def answer(method: str, path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        if method == "GET":
            return (200, {"state": "queued"}) if path.rpartition("/")[2] in map(str, made) else (404, {})
        if body["dag_run_id"] in made:
            return 409, {"detail": "it exists"}
        made.append(str(body["dag_run_id"]).replace(":", "%3A").replace("+", "%2B"))
        made.append(body["dag_run_id"])
        return LOCKED

    with airflow_that_answers(answer) as api:
        assert api.trigger("taxi", {}) == made[1]
    assert len(made) == 2


def test_a_run_that_airflow_refuses_is_told() -> None:
    def answer(method: str, path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        return (404, {}) if method == "GET" else (409, {"detail": "that date has a run"})

    with (
        airflow_that_answers(answer) as api,
        pytest.raises(UsageError, match="rejects the run: that date has a run"),
    ):
        api.trigger("taxi", {}, "2021-01-01T00:00:00Z")
