"""Each kind writes the same bytes on every Python that baton supports and this machine has.

The environments hold the locked base and the libraries of kinds that are installed here, in the same
versions.  They stay in the checkout for the next time (`.venv-kinds-3.12`).
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from baton.testing import check_kind
from tests.baton.testing.kind_values import VALUES, value_of
from tests.install.conftest import LOCKS, ROOT, locked_environment
from tests.install.test_light_install import HERE, PYTHONS, interpreter

LIBRARIES = ("lightgbm", "plotly", "catboost", "safetensors")
NOT_TRIED = {"Torch": "PyTorch is hundreds of megabytes on each Python"}


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the interpreters of environments on the other Pythons."""
    found = {version: interpreter(version) for version in PYTHONS if version != HERE}
    if not any(found.values()):
        pytest.skip("there is no other Python here")
    return [_environment(version, python) for version, python in found.items() if python is not None]


def _environment(version: str, python: str) -> Path:
    same = [f"{name}=={installed}" for name in LIBRARIES if (installed := _version_of(name))]
    constraint = ("--constraint", str(LOCKS / "base.lock"))
    place = ROOT / f".venv-kinds-{version}"
    return locked_environment(place, *constraint, str(ROOT), *same, python=python) / "python"


def _version_of(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


@pytest.mark.long
@pytest.mark.parametrize("name", VALUES)
def test_a_kind_writes_the_same_bytes_on_every_python(name: str, others: list[Path], tmp_path: Path) -> None:
    if name in NOT_TRIED:
        pytest.skip(NOT_TRIED[name])
    check_kind(*value_of(name, tmp_path), python=others)
