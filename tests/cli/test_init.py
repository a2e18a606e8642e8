"""``baton init``: a new project that runs at once."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_it_runs_and_its_test_passes(baton, tmp_path):
    made = baton("init", "fares")
    assert made.code == 0, made.stderr
    folder = tmp_path / "fares"
    assert sorted(path.name for path in folder.iterdir()) == [
        ".gitignore",
        "fares.py",
        "orchestration_config.json",
        "test_fares.py",
    ]
    ran = baton("run", folder=folder)
    assert ran.code == 0, ran.stderr
    assert ran.facts["error"] == "0.492"
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_fares.py"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert "2 passed" in tested.stdout, tested.stdout


def test_without_a_name_it_is_this_folder(baton, tmp_path):
    folder = tmp_path / "city-fares"
    folder.mkdir()
    assert baton("init", folder=folder).code == 0
    assert baton("plan", folder=folder).code == 0
    assert (folder / "city_fares.py").exists()


def test_nothing_is_overwritten(baton, tmp_path):
    folder = tmp_path / "fares"
    folder.mkdir()
    (folder / "fares.py").write_text("mine")
    refused = baton("init", "fares")
    assert refused.code == 2
    assert "fares/fares.py exists already" in refused.stderr
    assert [path.name for path in folder.iterdir()] == ["fares.py"]


@pytest.mark.parametrize("name", ["json", "2fares", "class", "baton"])
def test_a_name_that_python_cannot_import_is_refused(baton, tmp_path, name):
    refused = baton("init", name)
    assert refused.code == 2
    assert f"'{name}' cannot be the name of a module" in refused.stderr
    assert list(tmp_path.iterdir()) == []
