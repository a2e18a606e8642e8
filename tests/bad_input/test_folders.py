"""Projects in folders whose names mean something else to a shell, a pattern or an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Command

RUN = ("run", "--source", "sample", "--max-rmse", "60", "--num-boost-round", "2")


@pytest.mark.timeout(120)
def test_the_pipeline_runs_in_a_folder_with_an_odd_name(baton: Command, tmp_path: Path) -> None:
    folder = tmp_path / "a [b]*#1% 'c'\n$HOME;é"
    folder.mkdir()
    ended = baton(*RUN, folder=folder)
    assert ended.code == 0, ended.stderr
    assert {one.name for one in tmp_path.iterdir()} == {folder.name}


@pytest.mark.parametrize("name", ["a?b", "feature%2Fzones"])
def test_what_a_database_cannot_be_in_is_told_before_anything_is_computed(
    baton: Command, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    ended = baton(*RUN, folder=folder)
    assert ended.code == 4
    assert "cannot be a database, because its path contains '?' or '%'" in ended.stderr
    assert "extract" not in ended.stderr
    assert {one.name for one in tmp_path.iterdir()} == {name}


def test_such_a_folder_is_fine_with_another_home(baton: Command, tmp_path: Path) -> None:
    folder = tmp_path / "feature%2Fzones?"
    folder.mkdir()
    ended = baton(*RUN, "--home", tmp_path / "home", folder=folder)
    assert ended.code == 0, ended.stderr
    assert {one.name for one in tmp_path.iterdir()} == {folder.name, "home"}


@pytest.mark.parametrize("option", ["--home", "--models-dir", "--data-dir"])
def test_an_address_is_no_folder(baton: Command, tmp_path: Path, option: str) -> None:
    ended = baton("run", option, "s3://someone:hush@bucket/x")
    assert ended.code == 2
    assert "must be a local folder, not an address" in ended.stderr
    assert "hush" not in ended.stderr
    assert list(tmp_path.iterdir()) == []
