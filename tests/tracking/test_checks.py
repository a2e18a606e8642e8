"""What can keep records is told from what cannot before a run computes anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from baton.errors import SettingsError, Unavailable
from baton.tracking.checks import check_tracking
from tests.conftest import free_port


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("nowhere://me:hush@x", "nowhere://x is none that MLflow can use"),
        ("mlruns", "'mlruns' is a folder, in which MLflow keeps no records any more"),
        ("file:///srv/mlruns", "is a folder"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_uri_that_mlflow_cannot_use_is_refused(uri: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check_tracking(uri)
    assert words in refused.value.message
    assert "hush" not in refused.value.message


def test_a_folder_is_fine_where_mlflow_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_tracking("mlruns")


@pytest.mark.parametrize("uri", ["databricks", "databricks://profile", "uc"])
def test_a_store_that_nobody_can_ask_here_is_left_to_mlflow(uri: str) -> None:
    check_tracking(uri)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    words = tmp_path / "words.db"
    words.write_text("nothing that SQLite ever wrote")
    with pytest.raises(Unavailable, match="file is not a database"):
        check_tracking(f"sqlite:///{words}")
    with pytest.raises(Unavailable, match="unable to open"):
        check_tracking(f"sqlite:///{tmp_path}")
    with pytest.raises(Unavailable, match=r"below\.db cannot be used"):
        check_tracking(f"sqlite:///{words}/below.db")


def test_a_database_that_is_there_may_be_in_use(tmp_path: Path) -> None:
    path = tmp_path / "used.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE one (a)")
        connection.execute("BEGIN EXCLUSIVE")
        check_tracking(f"sqlite:///{path}")


def test_a_database_that_is_not_there_is_made_by_the_run_and_not_by_the_check(tmp_path: Path) -> None:
    check_tracking(f"sqlite:///{tmp_path}/new/mlflow.db")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_database_server_that_is_down_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        check_tracking(f"postgresql+psycopg2://me:hush@127.0.0.1:{free_port()}/records")
