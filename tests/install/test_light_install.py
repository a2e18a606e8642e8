"""The library as a user installs it: the locked base, without extras and development tools.

The model is tried on each Python that baton supports and this machine has. The environments stay in the
checkout for the next time (`.venv-3.12`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.install.conftest import LOCKS, ROOT, locked_environment

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = ("3.11", "3.12", "3.13")

FEW = ("--source", "sample", "--num-boost-round", "3", "--max-rmse", "60")
"""A quick training on the sample."""


def light_install(version: str) -> Path:
    """Return the folder of programs of the base install on a Python; skip where there is none."""
    python = sys.executable if version == HERE else interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    return locked_environment(ROOT / f".venv-{version}", "--no-deps", str(ROOT), python=python)


def interpreter(version: str) -> str | None:
    """Return pyenv's Python of this version or that on PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    on_path = shutil.which(f"python{version}")
    for found in (*map(str, pyenv.glob(f"versions/{version}.*/bin/python")), on_path):
        # pyenv puts commands on PATH that fail where their version is not chosen.
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    return None


@pytest.fixture(scope="module")
def light() -> Path:
    """Return the folder of programs of the base install on the Python of these tests."""
    return light_install(HERE)


@pytest.fixture(scope="module")
def trained_here(light: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project in which that install ran the pipeline to its end on the sample."""
    folder = tmp_path_factory.mktemp("here")
    ended = run(light, folder, "run", *FEW)
    assert ended.returncode == 0, ended.stderr
    assert "is the champion" in ended.stdout
    return folder


def run(light: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Kept environments keep compiled modules, and the machine's settings of baton do not count.
    dropped = ("BATON_", "MLFLOW_", "PYTHONDONTWRITEBYTECODE")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return subprocess.run(
        [light / "baton", *arguments], cwd=folder, env=variables, capture_output=True, text=True, timeout=280
    )


def model_digests(folder: Path) -> dict[str, str]:
    """Return the digests of what a project's run made of the model; its errors are in the evaluation."""
    (record,) = (json.loads(path.read_text()) for path in (folder / ".baton/runs").glob("*.json"))
    outputs: dict[str, Any] = {
        name: made for task in record["tasks"] for name, made in task["outputs"].items()
    }
    return {name: outputs[name]["digest"] for name in ("booster", "reference_booster", "evaluation")}


def test_no_orchestrator_comes_along(light: Path, tmp_path: Path) -> None:
    script = (
        "import importlib.util as u; print([n for n in ('airflow', 'prefect', 'pytest') if u.find_spec(n)])"
    )
    ended = subprocess.run([light / "python", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.stdout.strip() == "[]"


def test_the_command_and_the_shipped_pipeline_work(trained_here: Path) -> None:
    assert (trained_here / ".baton/models/report.html").exists()


def test_the_engines_that_need_nothing_more_are_usable(light: Path, tmp_path: Path) -> None:
    rows = json.loads(run(light, tmp_path, "engines", "--json").stdout)
    assert {row["engine"] for row in rows if row["usable"]} >= {"simple"}


OTHERS = [version for version in PYTHONS if version != HERE]


@pytest.mark.parametrize(
    "version", [OTHERS[-1], *(pytest.param(version, marks=pytest.mark.long) for version in OTHERS[:-1])]
)
def test_another_python_trains_the_same_model_on_the_sample(
    version: str, trained_here: Path, tmp_path: Path
) -> None:
    ended = run(light_install(version), tmp_path, "run", "evaluate", *FEW)
    assert ended.returncode == 0, ended.stderr
    assert model_digests(tmp_path) == model_digests(trained_here)


@pytest.mark.long
@pytest.mark.parametrize("version", PYTHONS)
def test_every_python_trains_the_reference_s_model_on_the_real_month(
    version: str, real_data: Path, tmp_path: Path
) -> None:
    months = ("--source", str(real_data), "--year", "2021", "--month", "1")
    ended = run(light_install(version), tmp_path, "run", *months)
    assert ended.returncode == 0, ended.stderr
    record = json.loads((tmp_path / ".baton/models/deployment.json").read_text())
    assert record["metrics"]["rmse"] == 6.607733723268311
    assert record["model_digest"] == "9f6dfadc66ea245bda03a95c5267ad43cca5b2efd51168492de8c54449661c81"


@pytest.mark.parametrize("lock", ["base.lock", "all.lock"])
def test_a_lock_has_one_xgboost_for_every_python_and_system(lock: str) -> None:
    (line,) = re.findall(r"^xgboost\b.*", (LOCKS / lock).read_text(), re.MULTILINE)
    assert ";" not in line
