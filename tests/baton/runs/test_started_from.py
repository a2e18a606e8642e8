"""What a run was started from is in its record, and with its models."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from baton.runs.started_from import StartedFrom
from tests.conftest import Command

TRACKED = ("--pipeline", "baton.testing.pipelines:tracked")


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    command = ["git", *identity, *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the only commit of a repository in the test's folder."""
    monkeypatch.setenv("LOGNAME", "ada")
    (tmp_path / "kept.txt").write_text("one")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "kept.txt")
    git(tmp_path, "commit", "-qm", "first")
    return git(tmp_path, "rev-parse", "HEAD")


def test_the_commit_and_its_changes_are_known_below_the_repository(tmp_path: Path, commit: str) -> None:
    below = tmp_path / "project"
    below.mkdir()
    (below / "new.txt").write_text("a new file is no change")
    assert StartedFrom.now(below) == StartedFrom(commit, dirty=False, user="ada")
    (tmp_path / "kept.txt").write_text("two")
    assert StartedFrom.now(below) == StartedFrom(commit, dirty=True, user="ada")


def test_without_a_repository_a_commit_or_git_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert StartedFrom.now(tmp_path).commit == ""
    git(tmp_path, "init", "-q")
    assert StartedFrom.now(tmp_path).tags.keys() <= {"mlflow.user"}
    monkeypatch.setenv("PATH", "")
    assert StartedFrom.now(tmp_path).commit == ""


def test_a_repository_cannot_start_a_program_of_its_own(tmp_path: Path, commit: str) -> None:
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    monitor.chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(monitor))
    assert StartedFrom.now(tmp_path).commit == commit
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("engine", ["simple", "make"])
def test_a_run_and_its_tracking_run_say_what_they_were_started_from(
    baton: Command, tmp_path: Path, commit: str, engine: str
) -> None:
    from mlflow import MlflowClient

    (tmp_path / "kept.txt").write_text("changed")
    ended = baton("run", *TRACKED, "--engine", engine)
    assert ended.code == 0, ended.stderr
    [record] = json.loads(baton("status", *TRACKED, "--json").stdout)
    assert (record["commit"], record["dirty"], record["user"]) == (commit, True, "ada")
    shown = baton("status", *TRACKED, "--run", "latest").stdout
    assert f"started by ada from commit {commit[:12]} with changes that are not committed" in shown
    client = MlflowClient(f"sqlite:///{tmp_path}/.baton/mlflow/mlflow.db")
    tags = client.get_run(record["tracking_run_id"]).data.tags
    assert tags["mlflow.source.git.commit"] == commit
    assert (tags["baton.git_dirty"], tags["mlflow.user"]) == ("true", "ada")
