"""A parameter of the type Secret says where a secret is, and nothing writes the secret itself."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from baton import Secret, TaskError
from baton.core.secret import hide
from baton.errors import UsageError
from baton.store.fingerprint import fingerprint
from tests.conftest import Command

PIPELINE = """
from baton import Dag, Json, Parameters, Secret, TaskContext, TrackingRun, task


class Place(Parameters):
    password: Secret = Secret("env:DB_PASSWORD")


class Chosen(Parameters):
    place: Place = Place()
    extra: Secret | None = None


@task
def load(password: Secret, context: TaskContext) -> Json:
    context.log("connecting with " + password.reveal())
    return len(password.reveal())


@task(effect=True)
def record(load: Json, place: Place, tracking: TrackingRun, context: TaskContext) -> None:
    tracking.log_parameters(context.provenance.parameters)


dag = Dag("secrets", [load, record], parameters=Chosen)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets_here.py").write_text(PIPELINE)
    (tmp_path / "orchestration_config.json").write_text('{"baton": {"pipeline": "secrets_here:dag"}}')
    return tmp_path


@pytest.mark.parametrize("reference", ["hunter2", "", "env:", "vault:x", "file", ":x"])
def test_what_names_no_place_is_refused_and_not_repeated(reference: str) -> None:
    with pytest.raises(ValueError, match="expected where the secret is: env:NAME") as caught:
        Secret(reference)
    assert not reference or reference not in str(caught.value).replace("file:PATH", "").replace(
        "env:NAME", ""
    )


def test_a_secret_is_read_from_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "of-the-environment")
    (tmp_path / "password").write_text("of-the-file\n")
    assert Secret("env:DB_PASSWORD").reveal() == "of-the-environment"
    assert Secret(f"file:{tmp_path}/password").reveal() == "of-the-file"
    assert hide("of-the-file and of-the-environment") == "(hidden) and (hidden)"
    assert repr(Secret("env:DB_PASSWORD")) == "Secret('env:DB_PASSWORD')"
    assert {Secret("env:A"), Secret("env:A")} == {Secret("env:A")}


@pytest.mark.parametrize("reference", ["env:NOT_SET", "file:/nowhere/at/all", "prefect-block:none"])
def test_a_secret_that_is_not_there_is_told(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")
    with pytest.raises(TaskError, match=f"the secret {reference} ") as caught:
        Secret(reference).reveal()
    assert caught.value.hint
    if not reference.startswith("prefect"):
        with pytest.raises(UsageError):
            Secret(reference).require()


def test_neither_the_secret_nor_its_place_counts_for_the_cache() -> None:
    assert fingerprint({"a": Secret("env:A")}) == fingerprint({"a": Secret("file:/b")})
    assert fingerprint({"a": Secret("env:A")}) != fingerprint({"a": "env:A"})


def test_nothing_that_a_run_leaves_holds_the_secret(folder: Path, baton: Command) -> None:
    ended = baton("run", "-v", DB_PASSWORD="correct-horse")
    assert ended.code == 0, ended.stderr
    assert "connecting with (hidden)" in ended.stderr
    assert "correct-horse" not in ended.stderr + ended.stdout
    assert "connecting with (hidden)" in baton("logs").stdout
    for path in folder.rglob("*"):
        assert not path.is_file() or b"correct-horse" not in path.read_bytes(), path
    shown = json.loads(baton("status", "--run", "latest", "--json").stdout)
    assert shown["parameters"]["password"] in ("env:DB_PASSWORD", "(hidden)")
    with closing(sqlite3.connect(folder / ".baton/mlflow/mlflow.db")) as connection:
        params = dict(connection.execute("SELECT key, value FROM params"))
    assert params["extra"] == "None"
    again = baton("run", "load", "--cache", DB_PASSWORD="correct-horse")
    assert "cached" in again.stderr


def test_a_secret_that_is_typed_or_missing_is_refused_before_the_run(folder: Path, baton: Command) -> None:
    typed = baton("run", "--password", "hunter2-itself")
    assert typed.code == 2
    assert "expected where the secret is" in typed.stderr
    assert "hunter2-itself" not in typed.stderr
    missing = baton("run")
    assert missing.code == 2
    assert "the environment variable DB_PASSWORD of a secret is not set" in missing.stderr
    assert not (folder / ".baton" / "runs").exists()
    from_file = folder / "password.txt"
    from_file.write_text("correct-horse")
    assert baton("run", "load", "--password", f"file:{from_file}").code == 0
