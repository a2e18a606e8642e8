"""The library as a user installs it: the locked base, without extras and development tools."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.install.conftest import ROOT, new_environment


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of a new environment with the base install."""
    return new_environment(tmp_path_factory.mktemp("light") / "env", "--no-deps", str(ROOT))


def run(light: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [light / "baton", *arguments], cwd=folder, capture_output=True, text=True, timeout=200
    )


def test_no_orchestrator_comes_along(light: Path, tmp_path: Path) -> None:
    script = (
        "import importlib.util as u; print([n for n in ('airflow', 'prefect', 'pytest') if u.find_spec(n)])"
    )
    ended = subprocess.run([light / "python", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.stdout.strip() == "[]"


def test_the_command_and_the_shipped_pipeline_work(light: Path, tmp_path: Path) -> None:
    ended = run(light, tmp_path, "run", "--source", "sample", "--num-boost-round", "3", "--max-rmse", "60")
    assert ended.returncode == 0, ended.stderr
    assert "is the champion" in ended.stdout
    assert (tmp_path / ".baton/models/report.html").exists()


def test_the_engines_that_need_nothing_more_are_usable(light: Path, tmp_path: Path) -> None:
    rows = json.loads(run(light, tmp_path, "engines", "--json").stdout)
    assert {row["engine"] for row in rows if row["usable"]} >= {"simple"}
