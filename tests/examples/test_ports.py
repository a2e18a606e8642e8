"""Pipelines of other tools, written with baton: they run, are cached, and one edit runs what it should."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import BATON

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Port:
    """An example, an edit in its folder, and what runs again because of it."""

    name: str
    headline: str
    edit: Callable[[Path], object]
    runs_again: tuple[str, ...]


def replaced(file: str, old: str, new: str) -> Callable[[Path], object]:
    """Return a function that edits a file of a folder."""

    def edit(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return edit


PORTS = [
    Port(
        "spaceflights",
        "R2: 0.986",
        replaced("data/reviews.csv", "\n0,", "\n0,1"),
        ("reviews", "model_input_table", "split_data", "regressor", "metrics"),
    ),
    Port(
        "get_started",
        "ROC AUC: 0.99",  # its later digits depend on the processor: see the test of the script without baton
        replaced("get_started.py", 'n_est: Annotated[int, parameter("trees", ge=1)] = 50', "n_est: int = 40"),
        ("model", "metrics", "importance", "publish"),
    ),
    Port(
        "titanic",
        "MAE: 3.",
        replaced("own_functions.py", "np.expm1(logarithm)", "np.exp(logarithm) - 1"),
        ("model", "mae", "register"),
    ),
    Port(
        "parts",
        "total: 1350",
        replaced("parts/part-3.csv", "v\n0", "v\n1"),
        ("processed_part_3_csv_part", "processed_part_3_csv", "combined", "total"),
    ),
]


@pytest.fixture(params=PORTS, ids=lambda port: port.name)
def port(request: pytest.FixtureRequest) -> Port:
    found: Port = request.param
    return found


@pytest.fixture
def folder(port: Port, tmp_path: Path) -> Path:
    """Return a copy of the example with its data."""
    copy = tmp_path / port.name
    shutil.copytree(EXAMPLES / port.name, copy, ignore=shutil.ignore_patterns("__pycache__", ".baton"))
    if (copy / "make_data.py").exists():
        subprocess.run([sys.executable, "make_data.py"], cwd=copy, check=True)
    return copy


def baton(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "MLFLOW_"))
    }
    return subprocess.run([*BATON, *arguments], cwd=folder, env=environ, capture_output=True, text=True)


def outcomes(folder: Path) -> dict[str, str]:
    """Return how each task of the latest run ended."""
    shown = baton(folder, "status", "--run", "latest", "--json")
    return {task["task"]: task["outcome"] for task in json.loads(shown.stdout)["tasks"]}


def test_it_runs_is_cached_and_one_edit_runs_what_it_should(port, folder):
    reference = f"{port.name}:dag"
    first = baton(folder, "run", "--pipeline", reference, "--engine", "make")
    assert first.returncode == 0, first.stderr
    assert port.headline in first.stdout
    assert baton(folder, "run", "--pipeline", reference, "--engine", "make").returncode == 0
    assert set(outcomes(folder).values()) == {"cached"}
    port.edit(folder)
    assert baton(folder, "run", "--pipeline", reference, "--engine", "make").returncode == 0
    ran = [name for name, outcome in outcomes(folder).items() if outcome != "cached"]
    assert sorted(ran) == sorted(port.runs_again)


@pytest.mark.long
def test_it_makes_the_same_on_every_engine(port, folder):
    compared = baton(folder, "compare", "--pipeline", f"{port.name}:dag")
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert "airflow" in compared.stdout


def test_the_model_is_that_of_the_functions_without_baton(tmp_path):
    """The processor decides the last bits of the features, and so the forest: this one computes both."""
    copy = tmp_path / "get_started"
    shutil.copytree(EXAMPLES / "get_started", copy)
    subprocess.run([sys.executable, "make_data.py"], cwd=copy, check=True)
    plain = (
        "from pathlib import Path\n"
        "from baton.testing import task_context\n"
        "import get_started as g\n"
        "chosen = g.GetStarted()\n"
        "train, test = g.prepared.function(Path('data/data.xml'), chosen.prepare)\n"
        "train_x, test_x, _ = g.features.function(train, test, chosen.featurize)\n"
        "forest = g.model.function(train_x, train, chosen.train)\n"
        "context = task_context(Path('plain'))\n"
        "import json\n"
        "print(json.dumps(g.metrics.function(forest, test_x, test, context)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", plain], cwd=copy, capture_output=True, text=True, check=True
    )
    assert baton(copy, "run", "metrics", "--pipeline", "get_started:dag").returncode == 0
    shown = baton(copy, "show", "metrics", "--pipeline", "get_started:dag", "--json")
    assert json.loads(ended.stdout) == json.loads(shown.stdout)["value"]
