"""An environment for Airflow alone: the locked base and Airflow, nothing else of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from baton.engines.airflow.home import environment

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")

READ = """
import importlib.util
import sys
from airflow.dag_processing.dagbag import DagBag

bag = DagBag(dag_folder=sys.argv[1], collect_dags=True)
others = ("prefect", "dask", "celery", "s3fs", "pytest", "ruff")
there = [name for name in others if importlib.util.find_spec(name)]
print(bag.import_errors, sorted(bag.dags), there)
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of a new environment with base install and Airflow."""
    if not UV.exists():
        pytest.skip("this environment was not made by the Makefile: there is no uv beside Python")
    place = tmp_path_factory.mktemp("airflow-only") / "env"
    uv = {**os.environ, "VIRTUAL_ENV": str(place)}
    locks = ROOT / "requirements"
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(place)],
        ["pip", "install", "--quiet", "--require-hashes", "-r", str(locks / "base.lock")],
        [
            "pip",
            "install",
            "--quiet",
            "--no-build-isolation",
            "-c",
            str(locks / "all.lock"),
            f"{ROOT}[airflow]",
        ],
    ):
        ended = subprocess.run([UV, *command], env=uv, capture_output=True, text=True, timeout=280)
        assert ended.returncode == 0, ended.stderr
    return place / "bin"


def test_the_file_that_users_copy_needs_only_base_and_airflow(programs: Path, tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    text = (ROOT / "dags" / "duration_training.py").read_text().replace("/srv/trips", str(tmp_path))
    (dags / "duration_training.py").write_text(text)
    command = [programs / "python", "-c", READ, str(dags)]
    variables = environment(tmp_path, os.environ)
    ended = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.stdout.splitlines()[-1:] == ["{} ['duration'] []"], ended.stderr


def test_the_engine_works_with_only_base_and_airflow(programs: Path, tmp_path: Path) -> None:
    arguments = [
        "run",
        "--engine",
        "airflow",
        "--source",
        "sample",
        "--num-boost-round",
        "3",
        "--max-rmse",
        "60",
    ]
    ended = subprocess.run(
        [programs / "baton", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == 0, ended.stderr
    assert "is the champion" in ended.stdout
