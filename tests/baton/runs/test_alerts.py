"""Alerts about a run reach a real webhook, say what people need, and never change how the run ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from baton import api
from baton.core.events import RunNoted
from baton.core.outcome import RunReport
from baton.errors import ExtraMissing, UsageError
from baton.testing import RecordingReporter

PIPELINE = "baton.testing.pipelines:diamond"


class Hook:
    """A webhook on 127.0.0.1 and what it received."""

    def __init__(self) -> None:
        self.received: list[dict[str, str]] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                hook.received.append(json.loads(self.rfile.read(length)))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://127.0.0.1:{self.server.server_port}/a-token"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    hook = Hook()
    monkeypatch.setenv("HOOK", hook.address)
    thread = threading.Thread(target=hook.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield hook
    hook.server.shutdown()
    thread.join()
    hook.server.server_close()


def run(
    folder: Path, *targets: str, reporter: RecordingReporter | None = None, **options: object
) -> RunReport:
    project = api.open_project(folder=folder, options={"pipeline": PIPELINE, **options}, environ={})
    return api.run(project, targets, report=reporter or RecordingReporter())


def test_a_failure_is_told_with_task_sentence_hint_and_resume(hook: Hook, tmp_path: Path) -> None:
    report = run(tmp_path, broken="left", on_failure="env:HOOK", on_success="env:HOOK")
    (alert,) = hook.received
    assert alert["title"] == "diamond failed: left"
    lines = alert["message"].splitlines()
    assert lines[:2] == ["left: left was told to fail", "hint: choose another task to fail"]
    assert lines[-1] == f"resume: baton run --resume {report.run_id}"
    assert f"run {report.run_id} on simple, " in alert["message"]


def test_a_success_is_told_with_its_results(hook: Hook, tmp_path: Path) -> None:
    run(tmp_path, on_failure="env:HOOK", on_success="env:HOOK", on_deploy="env:HOOK")
    (alert,) = hook.received
    assert alert["title"] == "diamond succeeded"
    assert alert["message"].startswith("joined: [2, 11]\n")


def test_a_deployment_is_told(hook: Hook, tmp_path: Path) -> None:
    (tmp_path / "deploys_here.py").write_text(
        "from baton import Dag, task\n\n\n@task(effect=True)\ndef deploy() -> None:\n    pass\n\n\n"
        "dag = Dag('flow', [deploy])\n"
    )
    run(tmp_path, pipeline="deploys_here:dag", on_deploy="env:HOOK")
    assert [alert["title"] for alert in hook.received] == ["flow deployed"]


def test_an_alert_that_cannot_be_sent_is_noted_without_its_address(hook: Hook, tmp_path: Path) -> None:
    hook.status = 500
    reporter = RecordingReporter()
    assert run(tmp_path, "source", reporter=reporter, on_success="env:HOOK").is_good
    notes = [event.message for event in reporter.events if isinstance(event, RunNoted)]
    assert notes == ["no alert was sent to env:HOOK: the service did not take it"]
    (tmp_path / "place").write_text("nonsense")
    reporter = RecordingReporter()
    assert run(tmp_path, "source", reporter=reporter, on_success=f"file:{tmp_path}/place").is_good
    notes = [event.message for event in reporter.events if isinstance(event, RunNoted)]
    assert notes[0].endswith("Apprise does not know such an address")
    for path in (tmp_path / ".baton").rglob("*"):
        assert not path.is_file() or b"a-token" not in path.read_bytes()


def test_what_is_missing_is_told_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="the environment variable NOT_SET of a secret is not set"):
        run(tmp_path, on_failure="env:NOT_SET")
    monkeypatch.setenv("HOOK", "json://127.0.0.1:9")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing) as caught:
        run(tmp_path, on_failure="env:HOOK")
    assert "baton-ml[notify]" in caught.value.hint
