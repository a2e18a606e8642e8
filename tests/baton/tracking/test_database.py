"""A new MLflow database: migrated once for each user and version, copied from then on."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from subprocess import PIPE

import pytest

from baton.errors import Unavailable
from baton.tracking import database
from baton.tracking.database import Revisions, make_local_database
from baton.tracking.location import database_file


def tables(path: Path) -> set[str]:
    """Return the names of a database's tables."""
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.fixture(scope="module")
def kept_by_the_first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the caches of a user whose first database was made."""
    caches = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(caches))
        make_local_database(tmp_path_factory.mktemp("first") / "mlflow.db")
    return caches


@pytest.fixture
def caches(kept_by_the_first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of these caches, which hold for the test."""
    copy = tmp_path / "caches"
    shutil.copytree(kept_by_the_first, copy)
    monkeypatch.setenv("XDG_CACHE_HOME", str(copy))
    return copy


@pytest.fixture
def no_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test fail that migrates."""

    def refuse(database: Path) -> None:
        pytest.fail(f"{database} was migrated")

    monkeypatch.setattr(database, "_migrate", refuse)


def test_the_first_database_of_a_user_is_kept_and_later_ones_are_copies(
    caches: Path, no_migration: None, tmp_path: Path
) -> None:
    make_local_database(tmp_path / "mlflow.db")
    (kept,) = caches.rglob("*.*")
    assert kept.name == f"mlflow-{importlib.metadata.version('mlflow')}.db"
    assert kept.read_bytes() == (tmp_path / "mlflow.db").read_bytes()
    assert "experiments" in tables(kept)


def spoil_the_file(kept: Path) -> None:
    kept.write_bytes(kept.read_bytes()[:100_000])


def name_another_schema(kept: Path) -> None:
    with closing(sqlite3.connect(kept)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'another'")


def empty(kept: Path) -> None:
    kept.write_bytes(b"")


@pytest.mark.parametrize("spoil", [spoil_the_file, name_another_schema, empty])
def test_a_kept_database_that_is_not_what_mlflow_needs_is_made_again(
    caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None]
) -> None:
    (kept,) = caches.rglob("*.*")
    good = kept.read_bytes()
    spoil(kept)
    monkeypatch.setattr(database, "_migrate", lambda path: path.write_bytes(good))
    make_local_database(tmp_path / "mlflow.db")
    assert (tmp_path / "mlflow.db").read_bytes() == good
    assert kept.read_bytes() == good


def test_another_version_of_mlflow_keeps_its_own(
    caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.importlib.metadata, "version", lambda name: "3.99.0")
    monkeypatch.setattr(database, "_migrate", lambda path: path.write_bytes(b"as 3.99.0 makes it"))
    make_local_database(tmp_path / "mlflow.db")
    assert (tmp_path / "mlflow.db").read_bytes() == b"as 3.99.0 makes it"
    assert (caches / "baton/mlflow-3.99.0.db").read_bytes() == b"as 3.99.0 makes it"


def test_a_user_without_a_folder_of_their_own_has_a_database_too(
    caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    monkeypatch.setattr(database, "_migrate", lambda path: path.write_bytes(b"migrated"))
    make_local_database(tmp_path / "mlflow.db")
    assert (tmp_path / "mlflow.db").read_bytes() == b"migrated"


def test_a_process_that_is_killed_while_it_migrates_leaves_nothing_that_counts(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from baton.tracking import database\n"
        "def killed(path):\n"
        "    path.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "database._migrate = killed; database.make_local_database(Path(sys.argv[1], 'made', 'mlflow.db'))\n"
    )
    places = {"XDG_CACHE_HOME": str(tmp_path / "caches"), "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], env={**os.environ, **places})
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "caches").exists()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["mlflow.db.lock"]


def test_the_schema_that_mlflow_works_with_is_told_without_importing_mlflow() -> None:
    """Where this fails, MLflow keeps its migrations in another way: see `Revisions`."""
    from mlflow.store.db.utils import _get_latest_schema_revision

    revisions = Revisions.of_installed_mlflow()
    assert revisions.latest == _get_latest_schema_revision()
    assert revisions.latest in revisions.known
    script = (
        "import sys; from baton.tracking.database import Revisions; Revisions.of_installed_mlflow(); "
        "sys.exit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_mlflow_takes_the_database_as_its_own(caches: Path, tmp_path: Path) -> None:
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


def test_many_at_once_make_one_whole_database(caches: Path, tmp_path: Path) -> None:
    path = tmp_path / "made" / "mlflow.db"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make_local_database, [path] * 8))
    assert "experiments" in tables(path)
    assert sorted(found.suffix for found in path.parent.iterdir()) == [".db", ".lock"]


def test_first_runs_of_several_projects_at_once_do_not_collide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def migrate(path: Path) -> None:
        with path.open("wb") as file:
            for _ in range(20):
                file.write(b"piece")
                file.flush()
                time.sleep(0.001)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(database, "_migrate", migrate)
    made = [tmp_path / str(number) / "mlflow.db" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make_local_database, made))
    (kept,) = (tmp_path / "caches").rglob("*.*")
    assert {path.read_bytes() for path in (*made, kept)} == {b"piece" * 20}


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
    with pytest.raises(Unavailable, match="cannot be created") as raised:
        make_local_database(tmp_path / "taken" / "mlflow.db")
    assert "--home" in raised.value.hint
