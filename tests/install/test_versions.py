"""The oldest and the newest supported Airflow and Prefect, each in an environment of its own.

The environments stay in the checkout for the next time (`.venv-versions-...`).  ``make versions`` also
records what was tried for `docs/reference/versions.md`.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from baton import api
from baton.engines.airflow import environment as airflow
from baton.engines.prefect import environment as prefect
from baton.errors import Unavailable
from tests.conftest import serving_prefect
from tests.install.conftest import ROOT, locked_environment

RECORD = ROOT / "docs" / "reference" / "versions.json"
ENDS = ("airflow oldest", "airflow newest", "prefect oldest", "prefect newest")
REQUIRED = {
    "airflow oldest": "apache-airflow==3.1.8",
    "airflow newest": "apache-airflow>=3.3,<3.4",
    "prefect oldest": "prefect==3.6.29",
    "prefect newest": "prefect>=3.9,<4",
}
_SUITE_WITHIN_S = 900
SAMPLE = ("--source", "sample", "--num-boost-round", "3", "--max-depth", "6", "--json")

SUITE = """
from baton.testing import EngineSuite


class TestEngine(EngineSuite):
    engine = "{engine}"
"""

VERSIONS = """
import importlib.metadata, importlib.util, json, platform

names = ("apache-airflow", "prefect", "mlflow", "xgboost", "fastapi")
there = [name for name in names if importlib.util.find_spec(name.split("-")[-1])]
found = {name: importlib.metadata.version(name) for name in there}
print(json.dumps({"python": platform.python_version(), **found}))
"""


def programs_of(end: str) -> Path:
    """Make the environment of one end of a range, and return the folder of its programs."""
    engine = end.partition(" ")[0]
    place = ROOT / f".venv-versions-{end.replace(' ', '-')}"
    return locked_environment(place, f"{ROOT}[{engine}]", REQUIRED[end], "pytest", "pytest-timeout")


def run(folder: Path, *words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("BATON_", "PREFECT_"))}
    return subprocess.run(
        words, cwd=folder, env={**kept, **environ}, capture_output=True, text=True, timeout=_SUITE_WITHIN_S
    )


def digests_of(stdout: str) -> dict[str, str]:
    """Return the digest of each artifact of pure tasks in a run's document."""
    made = [task["outputs"] for task in json.loads(stdout)["tasks"]]
    return {name: output["digest"] for outputs in made for name, output in outputs.items()}


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("end", ENDS)
def test_the_engine_keeps_its_promises_at_the_ends_of_the_range(end: str, tmp_path: Path) -> None:
    programs, engine = programs_of(end), end.partition(" ")[0]
    (tmp_path / "test_engine.py").write_text(SUITE.format(engine=engine))
    words = (programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_engine.py")
    with (
        serving_prefect(programs / "python", tmp_path) if engine == "prefect" else nullcontext("") as api_url
    ):
        environ = {"PREFECT_API_URL": api_url} if api_url else {}
        suite = run(tmp_path, *words, **environ)
    assert suite.returncode == 0, suite.stdout[-3000:]
    folders = [tmp_path / name for name in ("simple", engine)]
    digests = []
    for folder in folders:
        folder.mkdir()
        ended = run(folder, programs / "baton", "run", "evaluate", "--engine", folder.name, *SAMPLE)
        assert ended.returncode == 0, ended.stderr[-2000:]
        digests.append(digests_of(ended.stdout))
    assert digests[0] == digests[1]
    if os.environ.get("BATON_RECORD_VERSIONS"):
        found = json.loads(run(tmp_path, programs / "python", "-c", VERSIONS).stdout)
        passed = suite.stdout.strip().splitlines()[-1].partition(" in ")[0]
        record(end, {**found, "suite": passed, "booster": digests[1]["booster"]})


def record(end: str, tried: dict[str, str]) -> None:
    """Write what was tried beside what is known of the other ends."""
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    known[end] = tried
    RECORD.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")


@pytest.mark.parametrize(
    ("engine", "distribution", "module", "installed"),
    [("airflow", "apache-airflow", airflow, "3.0.6"), ("prefect", "prefect", prefect, "3.5.0")],
)
def test_an_older_version_is_refused_in_one_sentence(
    engine: str, distribution: str, module: object, installed: str, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    known = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: installed if name == distribution else known(name)
    )
    project = api.open_project(
        folder=tmp_path, options={"pipeline": "baton.testing.pipelines:chain"}, environ={}
    )
    with pytest.raises(Unavailable) as caught:
        api.run(project, engine=engine)
    oldest = ".".join(map(str, module.OLDEST))  # type: ignore[attr-defined]
    assert str(caught.value) == (
        f"engine '{engine}' needs {distribution} {oldest} or later, but {installed} is installed"
    )
    assert f"pip install '{distribution}>={oldest}'" in caught.value.hint


def test_this_environment_holds_supported_versions() -> None:
    assert airflow.require_airflow() >= airflow.OLDEST
    prefect.require_prefect()
    assert sys.version_info >= (3, 11)
