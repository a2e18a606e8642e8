"""A program changes the configuration file; what cannot be used is refused when it is set."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from baton.config.edit import ConfigurationFile
from baton.errors import SettingsError
from baton.testing.pipelines import Chosen
from tests.every_type import Colour, EveryType


@pytest.fixture
def edited(tmp_path, monkeypatch) -> ConfigurationFile:
    """A file in the current folder with one value and one that nobody touches."""
    monkeypatch.chdir(tmp_path)
    for name in ("BATON_CONFIG", "BATON_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    text = json.dumps({"mlflow": {"aws_profile": "ours"}, "baton": {"home": "kept"}})
    Path("orchestration_config.json").write_text(text)
    return ConfigurationFile(Chosen)


def stored(edited: ConfigurationFile) -> dict:
    return json.loads(edited.path.read_text())


def test_nothing_is_written_before_it_is_saved(edited):
    edited.update("mlflow", tracking_server_host="mlflow.example.org")
    assert "tracking_server_host" not in stored(edited)["mlflow"]
    assert edited.as_dict()["mlflow"]["tracking_server_host"] == "mlflow.example.org"
    edited.save()
    assert stored(edited) == {
        "mlflow": {"aws_profile": "ours", "tracking_server_host": "mlflow.example.org"},
        "baton": {"home": "kept"},
    }
    assert not edited.is_changed


def test_none_leaves_a_value_as_it_is(edited):
    edited.update("mlflow", aws_profile=None)
    assert not edited.is_changed


def test_every_problem_is_told_at_once_and_nothing_is_set(edited):
    with pytest.raises(SettingsError) as caught:
        edited.update("mlflow", aws_profle="x", tracking_server_host=7, experiment_name="fine")
    assert caught.value.problems == (
        "section 'mlflow' has no 'aws_profle'; did you mean 'aws_profile'?",
        "mlflow.tracking_server_host cannot be 7: expected a text or none, got a whole number",
    )
    assert not edited.is_changed


def test_the_default_file_holds_everything_and_keeps_the_one_before(edited):
    kept = edited.create_default()
    assert json.loads(kept.read_text())["baton"] == {"home": "kept"}
    assert stored(edited)["baton"]["home"] == ".baton"
    assert stored(edited)["mlflow"]["aws_profile"] is None
    assert edited.resolve().origins["mlflow.aws_profile"].source == "file"


def test_the_default_file_can_have_own_defaults(tmp_path):
    made = ConfigurationFile(Chosen, tmp_path / "own.json", {"experiment_name": "ours"})
    assert made.create_default() is None
    assert stored(made)["mlflow"]["experiment_name"] == "ours"


def test_the_environment_may_name_another_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in (str(tmp_path / "named.json"), "~/named.json"):
        monkeypatch.setenv("BATON_CONFIG", text)
        assert ConfigurationFile(Chosen).path == tmp_path / "named.json"


def test_every_type_is_written_as_the_file_has_it(tmp_path):
    made = ConfigurationFile(EveryType, tmp_path / "own.json")
    made.create_default()
    assert stored(made)["months"] == [1, 2]
    made.update("names", names=["a,b"])
    made.update("day", day=datetime.date(2022, 2, 3))
    made.update("colour", colour=Colour.BLUE)
    made.save()
    found = stored(made)
    assert (found["names"], found["day"], found["colour"]) == (["a,b"], "2022-02-03", "blue")
    assert made.resolve().parameters.colour is Colour.BLUE
