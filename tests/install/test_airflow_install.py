"""An environment for Airflow alone: the locked base and Airflow, nothing else of ours."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from baton.engines.airflow.home import environment
from tests.install.conftest import LOCKS, ROOT, locked_environment

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
    place = tmp_path_factory.mktemp("airflow-only") / "env"
    return locked_environment(place, "-c", str(LOCKS / "all.lock"), f"{ROOT}[airflow]")


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
