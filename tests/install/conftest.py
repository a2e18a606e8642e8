"""What the tests of installations share: new environments, made from the locks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
UV = Path(sys.executable).with_name("uv")


def new_environment(place: Path, *installed: str) -> Path:
    """Make an environment with the base lock and what else ``pip install`` is given; return its programs."""
    if not UV.exists():
        pytest.skip("this environment was not made by the Makefile: there is no uv beside Python")
    variables = {**os.environ, "VIRTUAL_ENV": str(place)}
    install = ["pip", "install", "--quiet"]
    for words in (
        ["venv", "--quiet", "--python", sys.executable, str(place)],
        [*install, "--require-hashes", "-r", str(LOCKS / "base.lock")],
        [*install, "--no-build-isolation", *installed],
    ):
        ended = subprocess.run([UV, *words], env=variables, capture_output=True, text=True, timeout=280)
        assert ended.returncode == 0, ended.stderr
    return place / "bin"
