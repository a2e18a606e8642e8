"""The project's own MLflow database, made from the kept schema."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from subprocess import PIPE

import pytest

from baton.errors import Unavailable
from baton.tracking import database
from baton.tracking.database import make_local_database, schema_of_installed_mlflow
from baton.tracking.location import database_file


def shape(path: Path) -> dict[str, object]:
    """Return what a database's tables are, in an order of our own."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: [
                sorted(str(row[1:]) for row in connection.execute(f"PRAGMA table_info({table})")),
                sorted(str(row[2:]) for row in connection.execute(f"PRAGMA foreign_key_list({table})")),
                sorted(str(row[2:]) for row in connection.execute(f"PRAGMA index_list({table})")),
                sorted(map(str, connection.execute(f"SELECT * FROM {table}"))),
            ]
            for table in tables
        }


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the schema that the installed MLflow's own migrations give."""
    return schema_of_installed_mlflow(tmp_path_factory.mktemp("migrated"))


def test_the_kept_schema_is_what_mlflow_makes_itself(migrated: str, tmp_path: Path) -> None:
    """Where this fails after an upgrade of MLflow, run: python -m baton.tracking.database."""
    kept = database.SCHEMA.read_text(encoding="utf-8")
    assert kept.partition("\n")[0] == migrated.partition("\n")[0]
    for name, schema in (("kept.db", kept), ("migrated.db", migrated)):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.executescript(schema)
    assert shape(tmp_path / "kept.db") == shape(tmp_path / "migrated.db")


def test_mlflow_takes_the_database_as_its_own(tmp_path: Path) -> None:
    make_local_database(tmp_path / "mlflow.db")
    script = (
        "import sys; from mlflow import MlflowClient; client = MlflowClient(sys.argv[1]); "
        "experiment = client.create_experiment('one'); run = client.create_run(experiment); "
        "client.log_metric(run.info.run_id, 'm', 1.5); print(client.get_run(run.info.run_id).data.metrics)"
    )
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, uri], capture_output=True, text=True
    )
    assert ended.stdout.strip() == "{'m': 1.5}", ended.stderr
    assert "Creating initial MLflow database tables" not in ended.stderr


def test_another_version_of_mlflow_makes_its_database_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.sql"
    old.write_text("-- The database of MLflow 0.0.1\nnonsense")
    monkeypatch.setattr(database, "SCHEMA", old)
    make_local_database(tmp_path / "mlflow.db")
    assert "experiments" in shape(tmp_path / "mlflow.db")


def test_many_at_once_make_one_whole_database(tmp_path: Path) -> None:
    path = tmp_path / "made" / "mlflow.db"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make_local_database, [path] * 8))
    assert "experiments" in shape(path)
    assert sorted(found.suffix for found in path.parent.iterdir()) == [".db", ".lock"]


def test_two_processes_may_begin_with_a_database_that_the_user_names(tmp_path: Path) -> None:
    """MLflow alone fails here: both migrate, and one finds the other's columns."""
    script = (
        "import sys; from pathlib import Path; from baton.tracking.mlflow import MlflowTracker; "
        "folder = Path(sys.argv[1]); "
        "tracker = MlflowTracker(f'sqlite:///{folder}/named.db', folder / 'home', 'one', None); "
        "print(tracker.client.get_experiment('0').name)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)], stdout=PIPE, stderr=PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert [(stdout, code) for stdout, _, code in ended] == [("Default\n", 0)] * 2, ended


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:////srv/mlflow.db", Path("/srv/mlflow.db")),
        ("sqlite:///mlflow.db", Path.cwd() / "mlflow.db"),
        ("sqlite:///mlflow.db?timeout=9", None),
        ("sqlite://", None),
        ("http://127.0.0.1:5000", None),
    ],
)
def test_only_a_plain_file_is_made_here(uri: str, file: Path | None) -> None:
    assert database_file(uri) == file


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(Unavailable, match="cannot be made") as raised:
        make_local_database(tmp_path / "taken" / "mlflow.db")
    assert "--home" in raised.value.hint
