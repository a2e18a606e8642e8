"""Copies of the examples in folders of their own, and a shell to type commands into."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from baton.config.file import write_values
from tests.conftest import Ended

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = Path(sys.executable).parent
FILES = ("*.py", "*.ipynb", "orchestration_config.json")

Shell = Callable[..., Ended]


@dataclass(frozen=True)
class Copy:
    """A copy of the examples, as a person has it who works there."""

    folder: Path

    def configure(self, **sections: dict[str, object]) -> None:
        """Set values in the configuration file."""
        values = {(name, key): value for name, keys in sections.items() for key, value in keys.items()}
        write_values(self.folder / "orchestration_config.json", values)

    def type(self, command: str, **environ: str) -> Ended:
        """Run a command line in the folder with the programs of this environment."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BATON_", "MLFLOW_", "AWS_", "PREFECT_", "AIRFLOW_"))
        }
        own = {
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(PROGRAMS.parent),
            "UV_OFFLINE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={**inherited, **own, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    @property
    def run_id(self) -> str:
        """What ``run_id.txt`` holds."""
        return (self.folder / "run_id.txt").read_text(encoding="utf-8").strip()


def copy_examples(folder: Path) -> Copy:
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in FILES:
        for path in EXAMPLES.glob(pattern):
            shutil.copy(path, folder)
    return Copy(folder)


def write_months(folder: Path) -> Path:
    """Write a tenth of four generated months under their published names."""
    from tripduration.months import Month
    from tripduration.sample import write_sample

    for number in range(1, 5):
        path = folder / f"green_tripdata_2021-{number:02d}.parquet"
        write_sample(Month(2021, number), path)
        pl.read_parquet(path).gather_every(10).write_parquet(path)
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A fresh copy of the examples."""
    return copy_examples(tmp_path)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy with small local months and few rounds, shared by the commands of a module."""
    made = copy_examples(tmp_path_factory.mktemp("small"))
    months = write_months(tmp_path_factory.mktemp("months"))
    made.configure(
        data={"source": str(months)},
        model={"num_boost_round": 3},
        validation={"max_rmse": 60.0, "max_regression": 9.0},
    )
    return made


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Copy:
    """A copy with the published months, shared by the scripts of a module."""
    made = copy_examples(tmp_path_factory.mktemp("real"))
    made.configure(data={"source": str(real_data)})
    return made


def require_engine(name: str) -> None:
    """Skip where the package that an engine needs is not installed."""
    if name in ("airflow", "prefect") and importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
