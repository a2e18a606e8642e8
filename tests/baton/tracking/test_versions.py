"""Versions of registered models, in a file and behind a server, from the command line and a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from baton.errors import UsageError
from baton.tracking.mlflow import MlflowTracker
from baton.tracking.versions import ModelVersions
from tests.conftest import Command, Ended, free_port


@pytest.fixture(params=["database", "server"])
def tracker(request: pytest.FixtureRequest, tmp_path: Path) -> MlflowTracker:
    """Return a tracker whose registry has three versions, each made the champion by its run in turn."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    if request.param == "server":
        uri = request.getfixturevalue("mlflow_server")
    tracker = MlflowTracker(uri, tmp_path, tmp_path.name)
    tracker.client.create_registered_model(tmp_path.name)
    for commit in ("a" * 40, "b" * 40, "c" * 40):
        run = tracker.start(name="one", tags={})
        place = tracker.client.get_run(run.run_id).info.artifact_uri
        tags = {"mlflow.source.git.commit": commit, "baton.git_dirty": str(commit.startswith("c")).lower()}
        made = tracker.client.create_model_version(tmp_path.name, place, run_id=run.run_id, tags=tags)
        run.promote(tmp_path.name, str(made.version))
    return tracker


@pytest.fixture
def versions(tracker: MlflowTracker) -> ModelVersions:
    return ModelVersions(tracker)


@pytest.fixture
def name(tmp_path: Path) -> str:
    """Return the model's name, which is no other test's: all share the server."""
    return tmp_path.name


def champion(versions: ModelVersions, name: str) -> str:
    [found] = [one.version for one in versions.all(name) if "champion" in one.aliases]
    return found


def test_versions_are_listed_with_alias_run_and_commit(
    baton: Command, tracker: MlflowTracker, name: str
) -> None:
    listed = baton("models", "list", name, "--json", BATON_TRACKING_URI=tracker.uri)
    newest, _, oldest = json.loads(listed.stdout)
    assert (newest["version"], newest["aliases"], newest["commit"]) == ("3", ["champion"], "c" * 40)
    assert (newest["dirty"], oldest["dirty"], oldest["aliases"]) == (True, False, [])
    assert tracker.client.get_run(newest["run_id"]).info.run_id == newest["run_id"]
    everything = baton("models", BATON_TRACKING_URI=tracker.uri).stdout
    [shown] = [line for line in everything.splitlines() if newest["run_id"][:8] in line]
    assert shown.split()[:4] == [name, "3", "champion", newest["run_id"][:8]]
    assert shown.endswith("  cccccccccccc+")


def test_the_command_promotes_and_rolls_back(
    baton: Command, tracker: MlflowTracker, versions: ModelVersions, name: str
) -> None:
    def models(*words: str) -> Ended:
        return baton("models", *words, BATON_TRACKING_URI=tracker.uri)

    ended = models("promote", name, "1")
    assert (ended.code, champion(versions, name)) == (0, "1")
    assert f"version 1 of {name} is now the champion; before, it was version 3" in ended.stderr
    ended = models("rollback", name)
    assert (ended.code, champion(versions, name)) == (0, "3")
    assert f"version 3 of {name} is the champion again, instead of version 1" in ended.stderr
    refused = models("promote", name, "9")
    assert (refused.code, champion(versions, name)) == (2, "3")
    assert f"'{name}' has no version 9\n\nhint: its versions are 1, 2, 3" in refused.stderr


def test_a_rollback_goes_back_step_by_step_through_the_champions_of_runs(
    versions: ModelVersions, name: str
) -> None:
    assert versions.roll_back(name, "champion") == ("3", "2")
    assert versions.roll_back(name, "champion") == ("2", "1")
    with pytest.raises(UsageError, match="no record says which version"):
        versions.roll_back(name, "champion")
    assert champion(versions, name) == "1"


def test_a_version_that_is_promoted_again_counts_once(versions: ModelVersions, name: str) -> None:
    assert versions.promote(name, "1", "champion") == "3"
    assert versions.promote(name, "1", "champion") == "1"
    assert versions.roll_back(name, "champion") == ("1", "3")
    assert versions.roll_back(name, "champion") == ("3", "2")


def test_each_alias_has_its_own_history(versions: ModelVersions, name: str) -> None:
    assert versions.promote(name, "1", "shadow") == ""
    assert versions.promote(name, "2", "shadow") == "1"
    assert versions.roll_back(name, "shadow") == ("2", "1")
    assert [one.aliases for one in versions.all(name)] == [("champion",), (), ("shadow",)]


def test_an_alias_that_somebody_else_moved_is_not_rolled_back_by_guessing(
    versions: ModelVersions, tracker: MlflowTracker, name: str
) -> None:
    tracker.client.set_registered_model_alias(name, "champion", "1")
    with pytest.raises(UsageError, match="had the alias 'champion' before version 1"):
        versions.roll_back(name, "champion")
    versions.promote(name, "2", "champion")
    assert versions.roll_back(name, "champion") == ("2", "1")
    with pytest.raises(UsageError, match="no record"):
        versions.roll_back(name, "champion")


def test_a_version_that_was_deleted_does_not_get_the_alias_again(
    versions: ModelVersions, tracker: MlflowTracker, name: str
) -> None:
    tracker.client.delete_model_version(name, "2")
    with pytest.raises(UsageError, match="has no version 2") as raised:
        versions.roll_back(name, "champion")
    assert raised.value.hint == "its versions are 1, 3"
    assert champion(versions, name) == "3"


def test_a_move_that_was_interrupted_does_not_count(
    versions: ModelVersions, tracker: MlflowTracker, name: str
) -> None:
    tracker.client.set_registered_model_tag(name, "baton.versions.champion", "1 2 3 1")
    assert versions.roll_back(name, "champion") == ("3", "2")


def test_what_does_not_exist_is_named(versions: ModelVersions, name: str) -> None:
    def message(call: Callable[..., object], *words: str) -> str:
        with pytest.raises(UsageError) as raised:
            call(*words)
        return raised.value.message

    wrong = f"{name}x"
    assert f"no registered model '{wrong}'; did you mean '{name}'?" in message(versions.all, wrong)
    assert "has no version x" in message(versions.promote, name, "x", "champion")
    assert "did you mean 'champion'?" in message(versions.roll_back, name, "champ")
    for alias in ("v1", "Latest", "a b", ""):
        assert f"'{alias}' cannot be an alias" in message(versions.promote, name, "1", alias)
    assert champion(versions, name) == "3"


def test_a_folder_without_runs_has_no_models_and_gets_no_store(baton: Command, tmp_path: Path) -> None:
    ended = baton("models")
    assert (ended.code, ended.stdout) == (0, "")
    assert "no registered models" in ended.stderr
    assert baton("models", "--json").stdout == "[]\n"
    assert not list(tmp_path.iterdir())


def test_a_stopped_server_is_told(baton: Command) -> None:
    ended = baton("models", BATON_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    assert ended.code == 4
    assert "Connection refused\n\nhint: start it" in ended.stderr


def test_a_shell_completes_the_subcommands(baton: Command) -> None:
    variables = {"_BATON_COMPLETE": "bash_complete", "COMP_WORDS": "baton models ", "COMP_CWORD": "2"}
    assert baton(**variables).stdout.split() == ["plain,list", "plain,promote", "plain,rollback"]
