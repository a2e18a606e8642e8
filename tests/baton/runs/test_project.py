"""A project: its folder, configuration and pipeline, and where it writes."""

from __future__ import annotations

import json
import os
import sys

import pytest

from baton.config.file import DEFAULT_NAME
from baton.errors import SettingsError, Unavailable, UsageError
from baton.runs.project import open_project

SOURCE = """
    from typing import Annotated
    from baton import Dag, Json, Parameters, parameter, task

    class Chosen(Parameters, frozen=True):
        depth: Annotated[int, parameter("depth", ge=1)] = 3
        rate: float = 0.5

    @task
    def f(depth: int) -> Json:
        return depth

    dag = Dag("small", [f], parameters=Chosen)
"""


@pytest.fixture
def opened(package, tmp_path, monkeypatch):
    """Return a function that opens a project with a small pipeline."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    package.write("tasks.py", SOURCE)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / DEFAULT_NAME).write_text(json.dumps({"baton": {"pipeline": f"{package.name}.tasks:dag"}}))

    def open_it(**options):
        return open_project(**{"folder": folder, "environ": {}, **options})

    return open_it


def test_everything_lies_in_the_projects_folder(opened, tmp_path):
    project = opened()
    home = tmp_path / "project" / ".baton"
    assert (project.folder, project.home, project.dag.name) == (tmp_path / "project", home, "small")
    assert (project.data_dir, project.models_dir, project.store_url) == (
        home / "data",
        home / "models",
        str(home / "store"),
    )
    assert project.tracking_uri == f"sqlite:///{home}/mlflow/mlflow.db"
    assert not home.exists()


def test_other_places_are_taken_from_the_projects_folder(opened, tmp_path):
    project = opened(options={"home": "h", "store": "s", "data_dir": "d", "models_dir": str(tmp_path / "m")})
    folder = tmp_path / "project"
    assert (project.home, project.store_url) == (folder / "h", str(folder / "s"))
    assert (project.data_dir, project.models_dir) == (folder / "d", tmp_path / "m")
    assert opened(options={"store": "s3://bucket/x"}).store_url == "s3://bucket/x"


def test_the_environment_names_folder_and_file(opened, package, tmp_path):
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"baton": {"pipeline": f"{package.name}.tasks:dag"}, "depth": 9}))
    environ = {"BATON_PROJECT": str(tmp_path / "project"), "BATON_CONFIG": str(other)}
    project = opened(folder=None, environ=environ)
    assert project.folder == tmp_path / "project"
    assert project.configuration.parameters.depth == 9


def test_a_named_file_must_exist(opened, tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        opened(config=tmp_path / "nowhere.json")


def test_a_wrong_parameter_of_the_pipeline_is_told(opened):
    with pytest.raises(SettingsError, match="--depth cannot be '0'"):
        opened(options={"depth": "0"})
    with pytest.raises(SettingsError, match="unknown parameter 'dept'"):
        opened(options={"dept": "1"})


def test_an_unknown_pipeline_is_told(opened):
    with pytest.raises(UsageError, match="does not exist"):
        opened(options={"pipeline": "nowhere_at_all:dag"})


def test_parameters_of_an_earlier_run_give_way_to_the_command_line(opened):
    earlier = {"depth": 7, "rate": 0.9, "gone": 1}
    assert opened().with_parameters(earlier).configuration.parameters.depth == 7
    changed = opened(options={"depth": "5"}).with_parameters(earlier).configuration.parameters
    assert (changed.depth, changed.rate) == (5, 0.9)


def test_parameters_of_an_earlier_run_that_do_not_fit_any_more_are_told(opened):
    with pytest.raises(SettingsError, match="the run's parameters do not fit the pipeline"):
        opened().with_parameters({"depth": 0})


def test_a_writable_home_is_made_and_left_empty(opened):
    project = opened()
    project.require_writable()
    assert list(project.home.iterdir()) == []


def test_a_home_that_cannot_be_made_is_told(opened, tmp_path):
    (tmp_path / "project" / "taken").write_text("a file")
    with pytest.raises(Unavailable, match="cannot be written") as raised:
        opened(options={"home": "taken"}).require_writable()
    assert "--home" in raised.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_is_told(opened, tmp_path):
    (tmp_path / "project").chmod(0o555)
    with pytest.raises(Unavailable, match="cannot be written"):
        opened().require_writable()
    (tmp_path / "project").chmod(0o755)
