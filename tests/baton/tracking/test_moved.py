"""A project's own MLflow store works in the folder to which it was moved or copied."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from baton.tracking.location import local_database, tracking_uri
from baton.tracking.mlflow import MlflowTracker
from baton.tracking.moved import artifacts_of, elsewhere, follow_move


def tracker(home: Path) -> MlflowTracker:
    return MlflowTracker(tracking_uri(home, uri=None, host=None), home, "moved")


def addresses(home: Path) -> set[str]:
    with closing(sqlite3.connect(local_database(home))) as connection:
        experiments = connection.execute("SELECT artifact_location FROM experiments WHERE name = 'moved'")
        runs = connection.execute("SELECT artifact_uri FROM runs")
        return {str(row[0]) for row in (*experiments, *runs)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home of a project with a run that has an artifact."""
    home = tmp_path / "before me" / ".baton"
    run = tracker(home).start(name="first", tags={})
    file = tmp_path / "note.txt"
    file.write_text("kept")
    run._client.log_artifact(run.run_id, str(file))
    return home


def read_note(home: Path) -> str:
    opened = tracker(home)
    opened.check()
    (run,) = opened.client.search_runs([opened.experiment_id])
    return Path(opened.client.download_artifacts(run.info.run_id, "note.txt")).read_text()


def test_a_moved_store_reads_and_writes_where_it_is(home: Path, tmp_path: Path) -> None:
    moved = tmp_path / "after" / ".baton"
    moved.parent.mkdir()
    home.rename(moved)
    assert read_note(moved) == "kept"
    begin = artifacts_of(local_database(moved)).as_uri()
    assert all(address.startswith(begin) for address in addresses(moved))
    new = tracker(moved).start(name="second", tags={})
    new._client.log_text(new.run_id, "new", "new.txt")
    assert not home.exists()


def test_a_copy_leaves_the_original_alone(home: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy" / ".baton"
    shutil.copytree(home, copied)
    assert read_note(copied) == "kept"
    (copied / "mlflow" / "artifacts").rename(tmp_path / "gone")
    assert read_note(home) == "kept"


def test_records_that_point_elsewhere_on_purpose_stay(home: Path, tmp_path: Path) -> None:
    before = addresses(home)
    follow_move(local_database(home))
    link = tmp_path / "link"
    link.symlink_to(home.parent)
    follow_move(local_database(link / ".baton"))
    assert addresses(home) == before
    own = tmp_path / "own"
    own.mkdir()
    client = tracker(home).client
    client.create_experiment("theirs", artifact_location=own.as_uri())
    follow_move(local_database(home))
    assert client.get_experiment_by_name("theirs").artifact_location == own.as_uri()
    assert elsewhere(local_database(home)) == []
    own.rmdir()
    assert elsewhere(local_database(home)) == [str(own)]


def test_a_database_that_cannot_be_read_is_left_to_the_check(tmp_path: Path) -> None:
    database = local_database(tmp_path)
    follow_move(database)
    database.parent.mkdir(parents=True)
    database.write_text("nothing")
    follow_move(database)
    assert database.read_text() == "nothing"
    assert elsewhere(database) == []
