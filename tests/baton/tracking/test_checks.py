"""What can keep records is told from what cannot before a run computes anything."""

from __future__ import annotations

import base64
import json
import re
import shlex
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from baton.errors import SettingsError, Unavailable
from baton.tracking.checks import check_tracking
from baton.tracking.database import Revisions, make_local_database
from baton.tracking.location import tracking_uri
from baton.tracking.mlflow import MlflowTracker
from tests.conftest import Command, free_port

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("nowhere://me:hush@x", "MLflow cannot use the tracking URI nowhere://x"),
        ("mlruns", "'mlruns' is a folder, which MLflow no longer supports"),
        ("file:///srv/mlruns", "is a folder"),
        ("sqlite://", "has no file"),
        ("sqlite:///:memory:", "has no file"),
    ],
)
def test_a_uri_that_mlflow_cannot_use_is_refused(uri: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check_tracking(uri, "one")
    assert words in refused.value.message
    assert "hush" not in refused.value.message


def test_a_folder_is_fine_where_mlflow_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_tracking("mlruns", "one")


@pytest.mark.parametrize("uri", ["databricks", "databricks://profile", "uc"])
def test_a_store_that_nobody_can_ask_here_is_left_to_mlflow(uri: str) -> None:
    check_tracking(uri, "one")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    words = tmp_path / "words.db"
    words.write_text("nothing that SQLite ever wrote")
    with pytest.raises(Unavailable, match="file is not a database"):
        check_tracking(f"sqlite:///{words}", "one")
    with pytest.raises(Unavailable, match="unable to open"):
        check_tracking(f"sqlite:///{tmp_path}", "one")
    with pytest.raises(Unavailable, match=r"below\.db cannot be used"):
        check_tracking(f"sqlite:///{words}/below.db", "one")


def test_a_database_that_is_there_may_be_in_use(tmp_path: Path) -> None:
    path = tmp_path / "used.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE one (a)")
        connection.execute("BEGIN EXCLUSIVE")
        check_tracking(f"sqlite:///{path}", "one")


def test_a_database_that_is_not_there_is_made_by_the_run_and_not_by_the_check(tmp_path: Path) -> None:
    check_tracking(f"sqlite:///{tmp_path}/new/mlflow.db", "one")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_database_server_that_is_down_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot connect"):
        check_tracking(f"postgresql+psycopg2://me:hush@127.0.0.1:{free_port()}/records", "one")


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine's environment says of proxies."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Server(ThreadingHTTPServer):
    """Answers as an MLflow server that knows no experiment, and keeps what it was asked."""

    asked: list[BaseHTTPRequestHandler]
    answer: tuple[int, str] = (404, '{"error_code": "RESOURCE_DOES_NOT_EXIST"}')


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append(self)
        code, text = self.server.answer
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(no_proxies: None, environment: None) -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Answers)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def address_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


class TestProxies:
    """A dead proxy is named, not the server that it should lead to."""

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
    @pytest.mark.parametrize("scheme", ["http://", "http://me:hush@", ""])
    def test_a_dead_one_is_named_with_its_variable(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
    ) -> None:
        port = free_port()
        monkeypatch.setenv(variable, f"{scheme}127.0.0.1:{port}")
        with pytest.raises(Unavailable) as refused:
            check_tracking(address_of(server), "one")
        assert refused.value.message == (
            f"the proxy http://127.0.0.1:{port} from {variable} "
            f"does not lead to the MLflow server at {address_of(server)}: Connection refused"
        )
        assert refused.value.hint == f"fix or unset {variable}, or add the server's host to NO_PROXY"
        assert server.asked == []

    @pytest.mark.parametrize("excepted", ["127.0.0.1", "127.0.0.0/8", "*", "example.org,127.0.0.1"])
    def test_none_is_asked_where_no_proxy_excepts_the_server(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, excepted: str
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
        monkeypatch.setenv("NO_PROXY", excepted)
        check_tracking(address_of(server), "one")
        assert len(server.asked) == 1

    def test_one_for_other_addresses_does_not_matter(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
        check_tracking(address_of(server), "one")

    @pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "nonsense://x", "http://[", "me:hush@x"])
    def test_one_of_which_nothing_can_be_made_is_named_too(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, proxy: str
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        with pytest.raises(Unavailable, match="from HTTP_PROXY does not lead to") as refused:
            check_tracking(address_of(server), "one")
        assert "hush" not in refused.value.message

    def test_one_that_answers_for_a_dead_server_is_named_too(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", address_of(server))
        server.answer = (502, "Bad Gateway")
        with pytest.raises(Unavailable, match=f"the proxy {address_of(server)} .* with 502"):
            check_tracking("http://mlflow.invalid", "one")


class TestServer:
    def test_a_dead_server_is_named(self, no_proxies: None) -> None:
        address = f"http://127.0.0.1:{free_port()}"
        with pytest.raises(
            Unavailable, match=f"MLflow server at {address} cannot be used: Connection refused"
        ):
            check_tracking(address, "one")

    def test_a_page_of_something_else_is_no_mlflow(self, server: Server) -> None:
        for answer in ((200, "<html>hello</html>"), (200, "[1]"), (404, "{}")):
            server.answer = answer
            with pytest.raises(Unavailable, match="cannot be used: it answered"):
                check_tracking(address_of(server), "one")

    def test_it_is_asked_with_the_credentials_that_mlflow_takes(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".mlflow").mkdir()
        credentials = tmp_path / ".mlflow" / "credentials"
        credentials.write_text("[mlflow]\nmlflow_tracking_username = kept\nmlflow_tracking_password = p%w\n")
        check_tracking(address_of(server), "one")
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "häsh")
        check_tracking(address_of(server), "one")
        monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
        credentials.unlink()
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc")
        check_tracking(address_of(server), "one")
        sent = [asked.headers["Authorization"].split() for asked in server.asked]
        assert [base64.b64decode(word).decode() for _, word in sent[:2]] == ["kept:p%w", "me:häsh"]
        assert sent[2] == ["Bearer", "abc"]

    def test_one_that_refuses_this_client_is_told(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.answer = (403, "Invalid Host header")
        with pytest.raises(Unavailable, match="refuses this client: Invalid Host header"):
            check_tracking(address_of(server), "one")
        monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "of-a-plugin")
        check_tracking(address_of(server), "one")  # MLflow signs its requests in a way of its own

    def test_an_experiment_in_the_trash_is_found(self, server: Server) -> None:
        known = {"experiment": {"experiment_id": "7", "lifecycle_stage": "deleted"}}
        server.answer = (200, json.dumps(known))
        with pytest.raises(Unavailable, match="'one' was deleted") as refused:
            check_tracking(address_of(server), "one")
        restore = f"MLFLOW_TRACKING_URI={address_of(server)} mlflow experiments restore --experiment-id 7"
        assert refused.value.hint.startswith(f"restore it: {restore}; or choose another name: ")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return MLflow's database of a project, before anything is recorded."""
    made = tmp_path / ".baton" / "mlflow" / "mlflow.db"
    make_local_database(made)
    return made


def change(database: Path, sql: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(sql)


BY_FILE_OR_BY_SQLALCHEMY = pytest.mark.parametrize("options", ["", "?timeout=9"])


class TestDatabase:
    @BY_FILE_OR_BY_SQLALCHEMY
    def test_one_that_was_just_made_is_fine(self, database: Path, options: str) -> None:
        check_tracking(f"sqlite:///{database}{options}", "one")

    @BY_FILE_OR_BY_SQLALCHEMY
    def test_an_outdated_schema_is_found_with_the_command_that_mends_it(
        self, database: Path, options: str
    ) -> None:
        revisions = Revisions.of_installed_mlflow()
        earlier = min(revisions.known - {revisions.latest})
        change(database, f"UPDATE alembic_version SET version_num = '{earlier}'")
        with pytest.raises(Unavailable, match=f"has the schema {earlier}, and MLflow ") as refused:
            check_tracking(f"sqlite:///{database}{options}", "one")
        uri = shlex.quote(f"sqlite:///{database}{options}")
        assert refused.value.hint.endswith(f"mlflow db upgrade {uri}")

    def test_a_newer_schema_is_not_to_be_upgraded(self, database: Path) -> None:
        change(database, "UPDATE alembic_version SET version_num = 'fffffffff'")
        with pytest.raises(Unavailable, match="has the schema fffffffff") as refused:
            check_tracking(f"sqlite:///{database}", "one")
        assert "upgrade" not in refused.value.hint
        assert refused.value.hint.startswith("it is from a newer MLflow or another program")

    @BY_FILE_OR_BY_SQLALCHEMY
    def test_an_experiment_in_the_trash_is_found_with_the_commands_that_mend_it(
        self, database: Path, options: str
    ) -> None:
        uri = f"sqlite:///{database}{options}"
        change(
            database,
            "INSERT INTO experiments (experiment_id, name, workspace, lifecycle_stage) "
            "VALUES (3, 'one', 'default', 'deleted'), (4, 'two', 'default', 'active')",
        )
        check_tracking(uri, "two")
        with pytest.raises(Unavailable, match="'one' was deleted and is in MLflow's trash") as refused:
            check_tracking(uri, "one")
        uri = shlex.quote(uri)
        assert refused.value.hint == (
            f"restore it: MLFLOW_TRACKING_URI={uri} mlflow experiments restore --experiment-id 3; "
            f"or delete it permanently: mlflow gc --backend-store-uri {uri} --tracking-uri {uri} "
            "--experiment-ids 3; "
            "or choose another name: --experiment-name NAME"
        )

    def test_a_database_of_something_else_is_left_to_mlflow(self, tmp_path: Path) -> None:
        change(tmp_path / "other.db", "CREATE TABLE experiments (a)")
        check_tracking(f"sqlite:///{tmp_path}/other.db", "one")

    def test_one_that_is_not_there_yet_is_not_made_by_a_look(self, tmp_path: Path) -> None:
        check_tracking(f"sqlite:///{tmp_path}/new.db?timeout=9", "one")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        ("UPDATE experiments SET lifecycle_stage = 'deleted'", "was deleted and is in"),
        ("UPDATE alembic_version SET version_num = '451aebb31d03'", "has the schema 451aebb31d03"),
    ],
    ids=["a deleted experiment", "an outdated schema"],
)
def test_a_run_and_doctor_find_it_before_anything_is_computed(
    baton: Command, tmp_path: Path, spoilt: str, words: str
) -> None:
    home = tmp_path / ".baton"
    uri = tracking_uri(home, uri=None, host=None)
    assert MlflowTracker(uri, home, "nyc-taxi-experiment-simple").experiment_id
    change(home / "mlflow" / "mlflow.db", spoilt)
    ended = baton("run", "--source", "sample")
    assert ended.code == 4
    assert words in ended.stderr
    assert re.search(r"hint: .*mlflow (experiments restore|db upgrade)", ended.stderr)
    assert not (home / "runs").exists()
    findings = {
        one["check"]: one for one in json.loads(baton("doctor", "--source", "sample", "--json").stdout)
    }
    assert not findings["mlflow"]["good"]
    assert words in findings["mlflow"]["found"]
