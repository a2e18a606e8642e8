"""What effects did on one engine or machine is seen by make on another, with a real MLflow store."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BATON, Command, Ended

PIPELINE = '''\
from baton import Dag, Json, ModelRegistry, Parameters, TaskContext, TrackingRun, task


class Chosen(Parameters, frozen=True):
    """What may be chosen for a run."""

    depth: int = 4
    broken: bool = False


def champion(registry: ModelRegistry) -> str:
    return registry.champion("toy")


@task
def model(depth: int) -> Json:
    return depth


@task(effect=True)
def track(model: Json, tracking: TrackingRun) -> Json:
    import numpy as np
    import xgboost

    booster = xgboost.train({"max_depth": 1}, xgboost.DMatrix(np.eye(4), np.arange(4) * model), 1)
    uri = tracking.log_model(booster, "toy", flavor="xgboost", requirements=[])
    return {"run_id": tracking.run_id, "uri": uri}


@task(effect=True, version=champion)
def judge(model: Json, track: Json, tracking: TrackingRun) -> Json:
    tracking.champion("toy")
    return "accepted"


@task(effect=True, version=champion)
def deploy(
    model: Json, track: Json, judge: Json, broken: bool, tracking: TrackingRun, context: TaskContext
) -> Json:
    version = tracking.register("toy", track["uri"], {"depth": str(model)})
    tracking.promote("toy", version)
    if broken:
        raise ValueError("after it acted")
    context.product(context.project / "deployed.txt").write_text(f"version {version}")
    context.fact("Model", f"version {version} of depth {model}")
    return version


dag = Dag("toy", [model, track, judge, deploy], parameters=Chosen)
'''
TOY = ("--pipeline", "toy:dag")


class Machine:
    """A folder with the pipeline, in which the real command runs."""

    def __init__(self, baton: Command, folder: Path, *options: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "toy.py").write_text(PIPELINE)
        self.folder = folder
        self._baton = baton
        self._options = (*TOY, *options)

    def run(self, engine: str, depth: int, *options: str, **environ: str) -> Ended:
        words = ("run", "--engine", engine, f"--depth={depth}", "--cache", *self._options, *options)
        return self._baton(*words, folder=self.folder, **environ)

    def make(self, depth: int = 4) -> dict[str, str]:
        """Run the make engine; return why each task ran that did."""
        ended = self.run("make", depth, "--json")
        assert ended.code == 0, ended.stderr
        tasks = json.loads(ended.stdout)["tasks"]
        return {one["task"]: one["reason"] for one in tasks if one["outcome"] != "cached"}


def depth_of_champion(client: Any) -> str:
    """Return what MLflow says of the model that serves."""
    return str(client.get_model_version_by_alias("toy", "champion").tags["depth"])


def client_of(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(uri, uri)


def run_baton(*arguments: object, folder: Path, **environ: str) -> Ended:
    """Run the real command, for more than one test."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("BATON_", "MLFLOW_"))}
    ended = subprocess.run(
        [*BATON, *map(str, arguments)],
        cwd=folder,
        env={**clean, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Return a folder in which the make engine has deployed the model of depth 4."""
    machine = Machine(run_baton, tmp_path_factory.mktemp("effects"))
    assert set(machine.make()) == {"model", "track", "judge", "deploy"}
    assert machine.make() == {}
    return machine


class TestInOneFolder:
    """Each test begins and ends with the model of depth 4 as the champion."""

    @pytest.fixture
    def mlflow(self, here: Machine) -> Any:
        return client_of(f"sqlite:///{here.folder}/.baton/mlflow/mlflow.db")

    def test_make_sees_what_another_engine_did_since(self, here: Machine, mlflow: Any) -> None:
        assert here.run("simple", 5).code == 0
        assert depth_of_champion(mlflow) == "5"
        assert list(here.make()) == ["track", "judge", "deploy"]
        assert depth_of_champion(mlflow) == "4"
        assert here.make() == {}

    @pytest.mark.long
    def test_make_leaves_out_what_another_engine_did_the_same(self, here: Machine, mlflow: Any) -> None:
        assert here.run("simple", 4).code == 0
        assert here.make() == {}
        assert depth_of_champion(mlflow) == "4"

    def test_an_alias_that_was_moved_by_hand_is_put_right(self, here: Machine, mlflow: Any) -> None:
        served = mlflow.get_model_version_by_alias("toy", "champion")
        moved = mlflow.create_model_version("toy", served.source, tags={"depth": "9"})
        mlflow.set_registered_model_alias("toy", "champion", moved.version)
        ran = here.make()
        assert list(ran) == ["judge", "deploy"]
        assert all(reason.startswith("input from outside version") for reason in ran.values())
        assert depth_of_champion(mlflow) == "4"
        assert here.make() == {}

    @pytest.mark.long
    def test_a_version_that_was_deleted_is_registered_again(self, here: Machine, mlflow: Any) -> None:
        mlflow.delete_model_version("toy", mlflow.get_model_version_by_alias("toy", "champion").version)
        assert list(here.make()) == ["judge", "deploy"]
        assert depth_of_champion(mlflow) == "4"

    @pytest.mark.long
    def test_a_file_for_people_that_was_edited_is_written_again(self, here: Machine) -> None:
        deployed = here.folder / "deployed.txt"
        before = deployed.read_text()
        deployed.write_text("edited")
        assert here.make() == {"deploy": "deployed.txt, which it made, was changed"}
        assert deployed.read_text() == before

    def test_a_tracking_run_that_was_deleted_is_made_again(self, here: Machine, mlflow: Any) -> None:
        run_id = mlflow.get_model_version_by_alias("toy", "champion").run_id
        mlflow.delete_run(run_id)
        ran = here.make()
        assert ran["track"] == f"its tracking run {run_id} was deleted"
        assert mlflow.get_model_version_by_alias("toy", "champion").run_id != run_id

    @pytest.mark.long
    def test_what_a_failed_attempt_has_left_is_not_taken_for_done(self, here: Machine, mlflow: Any) -> None:
        broken = here.run("simple", 5, "--broken", "true")
        assert broken.code == 1
        assert depth_of_champion(mlflow) == "5"
        assert "deploy" in here.make()
        assert depth_of_champion(mlflow) == "4"


@pytest.mark.long
def test_machines_that_share_a_store_and_a_server_see_each_other(
    baton: Command, mlflow_server: str, tmp_path: Path
) -> None:
    shared = ("--store", str(tmp_path / "store"), "--tracking-uri", mlflow_server)
    one, other = (Machine(baton, tmp_path / name, *shared) for name in ("one", "other"))
    mlflow = client_of(mlflow_server)
    assert "deploy" in one.make(4)
    assert list(other.make(4)) == ["deploy"], "its file is missing on this machine, and nothing else"
    assert one.make(4) == other.make(4) == {}
    assert list(other.make(5)) == ["model", "track", "judge", "deploy"]
    assert depth_of_champion(mlflow) == "5"
    assert list(one.make(4)) == ["track", "judge", "deploy"]
    assert depth_of_champion(mlflow) == "4"
    assert one.make(4) == {}


@pytest.mark.long
def test_make_sees_what_prefect_did_since(baton: Command, prefect_server: str, tmp_path: Path) -> None:
    here = Machine(baton, tmp_path / "here")
    mlflow = client_of(f"sqlite:///{here.folder}/.baton/mlflow/mlflow.db")
    here.make(4)
    prefect: Mapping[str, str] = {
        "PREFECT_API_URL": prefect_server,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    ended = here.run("prefect", 5, **prefect)
    assert ended.code == 0, ended.stderr
    assert depth_of_champion(mlflow) == "5"
    assert list(here.make(4)) == ["track", "judge", "deploy"]
    assert depth_of_champion(mlflow) == "4"
    assert here.make(4) == {}
