"""The examples run as a reader would run them, and prove that baton knows nothing of taxis."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IRIS = ROOT / "examples/own_pipeline/iris.py"

RUN_AND_LIST_MODULES = """
import sys
from baton.cli.app import run_command_line
code = run_command_line(["run", "--pipeline", "iris:dag"])
print(sorted(name for name in sys.modules if name.partition(".")[0] == "tripduration"))
sys.exit(code)
"""


@pytest.fixture
def iris_project(tmp_path):
    """A folder with nothing but a copy of the example."""
    shutil.copy(IRIS, tmp_path)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True
    )


def baton(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "-m", "baton.cli.app", *arguments)


def test_example_is_under_60_lines():
    assert len(IRIS.read_text(encoding="utf-8").splitlines()) < 60


def test_example_runs_through_the_command(iris_project):
    ended = baton(iris_project, "run", "--pipeline", "iris:dag")
    assert ended.returncode == 0, ended.stderr
    assert "accuracy: 0.978" in ended.stdout


def test_example_is_remembered_until_its_parameter_changes(iris_project):
    baton(iris_project, "run", "--pipeline", "iris:dag", "-q")
    planned = baton(iris_project, "plan", "--pipeline", "iris:dag", "--strength", "2").stdout.splitlines()[1:]
    assert [line.split()[:2] for line in planned] == [
        ["flowers", "cached"],
        ["split", "cached"],
        ["score", "run"],
        ["accept", "run"],
    ]


def test_example_refuses_a_model_that_is_not_good_enough(iris_project):
    ended = baton(iris_project, "run", "--pipeline", "iris:dag", "--min-accuracy", "0.999")
    assert ended.returncode == 1
    assert "task 'accept' failed: accuracy 0.978 is below 0.999" in ended.stderr
    assert "hint: tune strength" in ended.stderr


def test_baton_runs_another_pipeline_without_importing_the_shipped_one(iris_project):
    ended = run(iris_project, "-c", RUN_AND_LIST_MODULES)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"
