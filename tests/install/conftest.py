"""What the tests of installations share: environments made from the locks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
UV = Path(sys.executable).with_name("uv")


def locked_environment(place: Path, *installed: str, python: str = sys.executable) -> Path:
    """Make or bring up to date an environment, and return the folder of its programs.

    It holds the base lock and what else ``pip install`` is given, and nothing that was there before.
    """
    if not UV.exists():
        pytest.skip("this environment was not made by the Makefile: there is no uv beside Python")
    variables = {**os.environ, "VIRTUAL_ENV": str(place)}
    for words in (
        ["venv", "--quiet", "--allow-existing", "--python", python, str(place)],
        ["pip", "sync", "--quiet", "--require-hashes", str(LOCKS / "base.lock")],
        ["pip", "install", "--quiet", "--no-build-isolation", *installed],
    ):
        ended = subprocess.run([UV, *words], env=variables, capture_output=True, text=True, timeout=280)
        assert ended.returncode == 0, ended.stderr
    return place / "bin"
