"""What MLflow has registered is told in one line, without loading MLflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from baton.errors import Unavailable
from baton.tracking.registry import quick_registry
from tests.conftest import free_port


@pytest.fixture(params=["database", "server"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where an MLflow store is, in a file and behind a server."""
    if request.param == "database":
        return f"sqlite:///{tmp_path}/mlflow.db"
    server: str = request.getfixturevalue("mlflow_server")
    return server


@pytest.fixture
def client(uri: str, tmp_path: Path) -> Any:
    from mlflow import MlflowClient

    from baton.tracking.mlflow import MlflowTracker

    _ = MlflowTracker(uri, tmp_path, "registered").client  # makes the database
    return MlflowClient(uri, uri)


def test_the_champion_is_told_with_all_that_makes_it_another(client: Any, uri: str, tmp_path: Path) -> None:
    registry, name = quick_registry(uri), f"model-{tmp_path.name}"
    assert registry.champion(name) == "no champion"
    client.create_registered_model(name)
    assert registry.champion(name) == "no champion"
    run = client.create_run(client.create_experiment(name)).info
    told = []
    for number in ("1", "2"):
        client.create_model_version(name, run.artifact_uri, run_id=run.run_id, tags={"digest": "same"})
        client.set_registered_model_alias(name, "champion", number)
        told.append(registry.champion(name))
        assert told[-1].startswith(f"version {number} of run {run.run_id} (")
    client.set_model_version_tag(name, "2", "digest", "other")
    told.append(registry.champion(name))
    assert len(set(told)) == 3
    assert registry.champion(name) == told[-1]
    client.delete_model_version(name, "2")
    assert registry.champion(name) not in told


def test_a_run_that_was_deleted_is_not_there(client: Any, uri: str, tmp_path: Path) -> None:
    registry = quick_registry(uri)
    run_id = client.create_run(client.create_experiment(f"runs-{tmp_path.name}")).info.run_id
    assert registry.has_run(run_id)
    client.delete_run(run_id)
    assert not registry.has_run(run_id)
    assert not registry.has_run("0" * 32)


def test_a_database_that_is_not_made_yet_holds_nothing(tmp_path: Path) -> None:
    registry = quick_registry(f"sqlite:///{tmp_path}/mlflow.db")
    assert registry.champion("model") == "no champion"
    assert not registry.has_run("0" * 32)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["postgresql://me:hush@db.example.org/mlflow", "torn", "silent"])
def test_what_cannot_be_asked_quickly_is_unavailable(where: str, tmp_path: Path) -> None:
    (tmp_path / "torn.db").write_text("no database, but long enough to be read as one " * 20)
    uri = {"torn": f"sqlite:///{tmp_path}/torn.db", "silent": f"http://127.0.0.1:{free_port()}"}.get(
        where, where
    )
    with pytest.raises(Unavailable) as raised:
        quick_registry(uri).champion("model")
    assert "hush" not in raised.value.message


def test_asking_a_database_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from baton.tracking.registry import quick_registry; "
        f"quick_registry('sqlite:///{tmp_path}/x.db').champion('m'); "
        "assert not {'mlflow', 'httpx', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
