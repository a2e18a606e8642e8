"""The audit of dependencies, with a stand-in for the advisory service, which tests must not ask."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.conftest import free_port

# `pip-audit` itself is installed, as `make audit` does, which takes a package index.
pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
FLAW = {
    "id": "PYSEC-0000-1",
    "affected": [
        {
            "package": {"name": "httpx", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}


class Advisories(ThreadingHTTPServer):
    """Answers as OSV does; knows the flaws of `flaws` by package, and counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.flaws: dict[str, list[Any]] = {}
        self.asked: list[str] = []


class _Answers(BaseHTTPRequestHandler):
    server: Advisories

    def do_POST(self) -> None:
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        self.server.asked.append(name)
        flaws = self.server.flaws.get(name)
        answer = json.dumps({"vulns": flaws} if flaws else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def advisories() -> Iterator[Advisories]:
    """Serve advisories on 127.0.0.1."""
    server = Advisories()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def audit(port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "requirements/audit.py", str(Path(sys.executable).with_name("uv"))],
        cwd=ROOT,
        env={
            **os.environ,
            "PIP_AUDIT_VULNERABILITY_SERVICE": "osv",
            "PIP_AUDIT_OSV_URL": f"http://127.0.0.1:{port}/v1/query",
        },
        capture_output=True,
        text=True,
    )


def test_every_locked_package_is_asked_about(advisories: Advisories) -> None:
    ended = audit(advisories.server_port)
    lines = (ROOT / "requirements/all.lock").read_text().splitlines()
    pinned = [Requirement(line.rstrip("\\")) for line in lines if re.match(r"\w[\w.\[\],-]*==", line)]
    # Those of other systems are left out, as the installer does.
    locked = [one for one in pinned if one.marker is None or one.marker.evaluate()]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"audited {len(locked)} of {len(locked)} packages, 0 known vulnerabilities\n"
    assert len(set(advisories.asked)) == len(locked)


def test_a_known_vulnerability_fails_and_names_the_version_that_mends_it(advisories: Advisories) -> None:
    advisories.flaws["httpx"] = [FLAW]
    ended = audit(advisories.server_port)
    assert ended.returncode == 1
    assert ended.stdout.startswith("httpx ")
    assert ": PYSEC-0000-1, mended in 99.1\n" in ended.stdout
    assert ended.stdout.endswith(", 1 known vulnerabilities\n")


def test_where_nobody_answers_nothing_is_called_audited() -> None:
    ended = audit(free_port())
    assert ended.returncode == 0
    assert ended.stdout.startswith("not audited: ")
