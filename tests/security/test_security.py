"""What SECURITY.md promises: nothing that others wrote is run, followed out of its folder, or told on."""

from __future__ import annotations

import json
import os
import pickle
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from baton.core.addresses import without_secrets, without_secrets_in_addresses
from baton.errors import StoreError, Unavailable
from baton.store.store import Store
from baton.tracking.checks import check_tracking
from tests.conftest import BATON, Command, free_port, in_a_group, wait_until_healthy

DIAMOND = ("--pipeline", "baton.testing.pipelines:diamond")
SECRET = "hunter2"


class Planted:
    """Leaves a trace if anybody unpickles it."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> object:
        return (Path.touch, (self._trace,))


def objects(folder: Path) -> list[Path]:
    return sorted((folder / ".baton/store/objects").glob("??/*"))


def entries(folder: Path) -> list[Path]:
    return sorted((folder / ".baton/store").glob("index/??/*.json"))


def test_a_pickle_in_the_place_of_an_object_is_never_loaded(baton: Command, tmp_path: Path) -> None:
    assert baton("run", *DIAMOND).code == 0
    trace = tmp_path / "unpickled"
    for path in objects(tmp_path):
        path.chmod(0o644)
        path.write_bytes(pickle.dumps(Planted(trace)))
    assert baton("run", *DIAMOND, "--cache", "--force", "join").code == 0
    assert not trace.exists()


@pytest.mark.parametrize("kind", ["table", "matrix", "booster", "json"])
def test_a_pickle_under_its_own_digest_is_never_loaded(tmp_path: Path, kind: str) -> None:
    from baton import Booster, File, Json, Matrix, Table
    from baton.core.artifact import Artifact

    store, trace = Store(str(tmp_path / "store"), tmp_path / "home"), tmp_path / "unpickled"
    planted = tmp_path / "planted"
    planted.write_bytes(pickle.dumps(Planted(trace)))
    saved = store.save("x", File, planted)
    wanted = {"table": Table, "matrix": Matrix, "booster": Booster, "json": Json}[kind]
    with pytest.raises(Exception):  # noqa: B017, PT011 - each library has its own
        store.load(Artifact("x", kind, saved.digest, saved.size), wanted)
    assert not trace.exists()


HOSTILE_OUTPUTS = {
    "a digest that is a path": {"digest": "../../../../etc/passwd"},
    "a digest that is a number": {"digest": 7},
    "another kind": {"kind": "files"},
    "another name": {"name": "../x"},
    "no size": {"size": None},
}


@pytest.mark.parametrize("case", HOSTILE_OUTPUTS)
@pytest.mark.parametrize("command", ["plan", "run", "explain"])
def test_an_entry_that_points_elsewhere_is_computed_anew(
    baton: Command, tmp_path: Path, case: str, command: str
) -> None:
    assert baton("run", *DIAMOND).code == 0
    for path in entries(tmp_path):
        entry = json.loads(path.read_text())
        entry["outputs"] = {n: {**fields, **HOSTILE_OUTPUTS[case]} for n, fields in entry["outputs"].items()}
        path.write_text(json.dumps(entry))
    words = {"plan": ["plan"], "run": ["run", "--cache"], "explain": ["explain", "join"]}[command]
    ended = baton(*words, *DIAMOND)
    assert ended.code == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    if command == "run":
        assert ended.facts["joined"] == "[2, 11]"


def test_entries_without_outputs_are_computed_anew(baton: Command, tmp_path: Path) -> None:
    assert baton("run", *DIAMOND).code == 0
    for path in entries(tmp_path):
        path.write_text(json.dumps({**json.loads(path.read_text()), "outputs": {}}))
    assert baton("run", *DIAMOND, "--cache").facts["joined"] == "[2, 11]"


def test_a_link_planted_in_the_store_is_replaced_and_its_target_left_alone(
    baton: Command, tmp_path: Path
) -> None:
    assert baton("run", *DIAMOND).code == 0
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for path in objects(tmp_path):
        path.unlink()
        path.symlink_to(victim)
    ended = baton("run", *DIAMOND, "--cache", "--force", "join")
    assert ended.code == 0, ended.stderr
    assert ended.facts["joined"] == "[2, 11]"
    assert victim.read_text() == "precious"
    assert baton("clean", "--yes", *DIAMOND).code in (0, 2)
    assert victim.read_text() == "precious"


def test_a_file_planted_among_the_views_is_never_taken_for_the_object(tmp_path: Path) -> None:
    from baton import Files

    store = Store(str(tmp_path / "store"), tmp_path / "home")
    (tmp_path / "a").write_text("right")
    saved = store.save("files", Files, {"a.txt": tmp_path / "a"})
    view = store.load(saved, Files)["a.txt"]
    view.unlink()
    view.write_text("wrong")
    assert store.load(saved, Files)["a.txt"].read_text() == "right"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\0b", "..", "a\\..\\x", "c:x", ""])
def test_files_never_leave_their_folder(tmp_path: Path, name: str) -> None:
    from baton import Files, Json
    from baton.core.artifact import Artifact

    store = Store(str(tmp_path / "store"), tmp_path / "home")
    (tmp_path / "a").write_text("x")
    with pytest.raises(TypeError, match="not a path below its folder"):
        store.save("files", Files, {name: tmp_path / "a"})
    planted = store.save("list", Json, {name: "ab" * 32})
    with pytest.raises(StoreError, match="not a path below its folder"):
        store.load(Artifact("files", "files", planted.digest, 1), Files)


def test_a_pipeline_and_a_model_named_like_paths_stay_inside(baton: Command, tmp_path: Path) -> None:
    project = tmp_path / "deep" / "project"
    project.mkdir(parents=True)
    (project / "named.py").write_text(
        "from baton import Dag, Json, task\n"
        "@task\ndef one() -> Json: return 1\n"
        "dag = Dag('../../../escaped', [one])\n"
    )
    assert baton("run", "--pipeline", "named:dag", "--engine", "make", folder=project).code == 0
    assert baton("run", "--model-name", "../../escaped", folder=project).code == 2
    outside = [path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "deep/project")]
    assert outside == [tmp_path / "deep"]


URLS = [
    f"http://me:{SECRET}@127.0.0.1:1/x?token={SECRET}#{SECRET}",
    f"https://me:{SECRET}/y@127.0.0.1/x",
    f"https://{SECRET}@[::1]:9/x",
    f"http://me:{SECRET}@[",
    f"s3://key:{SECRET}@bucket/a?x={SECRET}",
]


@pytest.mark.parametrize("url", URLS)
def test_no_address_shows_its_secrets(url: str) -> None:
    assert SECRET not in without_secrets(url)
    assert SECRET not in without_secrets_in_addresses(f"GET {url} failed ({url}), '{url}'")
    if url.startswith("http"):
        with pytest.raises(Unavailable) as refused:
            check_tracking(url, "one")
        assert SECRET not in refused.value.message + refused.value.hint


def test_no_secret_is_left_anywhere_but_in_the_private_record_of_the_run(
    baton: Command, tmp_path: Path
) -> None:
    address = f"http://me:{SECRET}@127.0.0.1:1/zones.csv?token={SECRET}"
    environ = {"BATON_ZONE_URL": address, "BATON_URL_TEMPLATE": address + "{year}{month}"}
    words = ("--source", "sample", "--max-rmse", "60", "--num-boost-round", "3", "--max-depth", "4")
    told = []
    for command in (
        ["run", "-v", "--cache", *words],
        ["run", "evaluate", "--url-template", address + "{year}{month}"],
    ):
        told.append(baton(*command, **environ))
    assert told[0].code == 0, told[0].stderr
    assert told[1].code == 1
    for command in (
        ["list"],
        ["list", "--json"],
        ["config", "show"],
        ["config", "show", "--json"],
        ["status"],
        ["status", "--json"],
        ["status", "--run", "latest"],
        ["plan"],
        ["explain", "zones", "--full"],
        ["cache", "ls"],
    ):
        told.append(baton(*command, **environ))
    assert [one for one in told if SECRET in one.stdout + one.stderr] == []
    private = set((tmp_path / ".baton/runs").glob("*.json"))
    assert len(private) == 2
    runs = (tmp_path / ".baton/runs").iterdir()
    assert {stat.S_IMODE(path.stat().st_mode) for path in runs} == {0o600}
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path not in private]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_are_as_private_as_the_umask_says(tmp_path: Path, environment: None, mask: int) -> None:
    subprocess.run(
        [*BATON, "run", *DIAMOND, "--engine", "make"],
        cwd=tmp_path,
        check=True,
        umask=mask,
        stdout=-3,
        stderr=-3,
    )
    made = list((tmp_path / ".baton").rglob("*"))
    assert made
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in made if not path.is_symlink()}
    assert [path for path, mode in modes.items() if mode & (mask | 0o002)] == []


def test_setting_a_value_keeps_a_private_configuration_private(baton: Command, tmp_path: Path) -> None:
    path = tmp_path / "orchestration_config.json"
    path.write_text("{}")
    path.chmod(0o600)
    assert baton("config", "set", "engine", "make").code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"baton": {"engine": "make"}}


def test_the_pages_are_served_on_this_machine_only(tmp_path: Path, environment: None) -> None:
    port = free_port()
    words = [*BATON, "ui", "--port", str(port)]
    with in_a_group(words, folder=tmp_path, log=tmp_path / "told.txt", environ=os.environ) as command:
        wait_until_healthy(f"http://127.0.0.1:{port}/health", command)
        server = psutil.Process(command.pid).children(recursive=True)
        connections = [one for process in server for one in process.net_connections("tcp")]
        listening = {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        second = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert second.returncode == 4
        assert second.stderr.startswith(f"error: port {port} of 127.0.0.1 cannot be used: ")
        command.kill()
        _, left = psutil.wait_procs(server, timeout=10)
        assert left == []


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """Serve over TLS with a certificate that its server signed itself; yield the address."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", key, "-out", certificate),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        capture_output=True,
    )
    if made.returncode != 0:
        pytest.skip("openssl makes no certificate here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_certificate_that_nobody_vouches_for_is_refused(untrusted: str, tmp_path: Path) -> None:
    from tripduration.download import Patience, download
    from tripduration.errors import DownloadFailed
    from tripduration.parquet import verify_parquet

    with pytest.raises(DownloadFailed, match="has an untrusted certificate"):
        download(untrusted + "/x", tmp_path / "x", verify=verify_parquet, patience=Patience(attempts=1))
    with pytest.raises(Unavailable, match="certificate"):
        check_tracking(untrusted, "one")


def test_the_report_takes_no_name_for_html(tmp_path: Path) -> None:
    from tripduration.report import write_report

    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'"
    numbers = dict.fromkeys(
        [
            "n",
            "rmse",
            "mae",
            "bias",
            "r2",
            "baseline_rmse",
            *(f"absolute_error_p{p}" for p in (50, 90, 95, 99)),
        ],
        1,
    )
    group = [{"group": hostile, "n": 1, "rmse": 1.0, "mae": 1.0, "bias": 1.0}]
    evaluation = {
        "metrics": numbers,
        "by_hour": group,
        "by_distance": group,
        "by_borough": group,
        "importance": [{"feature": hostile, "gain_share": 0.5}],
    }
    write_report(evaluation, {}, {hostile: hostile}, tmp_path / "report.html")  # type: ignore[arg-type]
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "default-src 'none'" in page
