"""A kind that an installed distribution offers, seen by the real command."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Command

KIND = """\
from baton import Kind


class SeriesKind(Kind):
    name, suffix, packages = "series", ".parquet", ("pandas",)

    @classmethod
    def write(cls, value, path):
        value.to_frame("values").to_parquet(path)

    @classmethod
    def read(cls, path):
        import pandas

        return pandas.read_parquet(path)["values"]
"""
FLOW = """\
import pandas as pd

from baton import Dag, Json, task


@task
def fares() -> pd.Series:
    return pd.Series([8.5, 12.0])


@task
def highest(fares: pd.Series) -> Json:
    return float(fares.max())


dag = Dag("fares", [fares, highest])
"""
LATER = """\
from baton import Dag, Json, task


@task
def highest() -> Json:
    return 1


dag = Dag("fares", [highest])
"""
NOTE_OPENED = """\
import os
import sys


def note(event, given):
    if event == "open" and str(given[0]).endswith("entry_points.txt"):
        with open(os.environ["OPENED"], "a") as file:
            file.write(f"{given[0]}\\n")


sys.addaudithook(note)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder of installed distributions with one that offers a kind for pandas' series."""
    site = tmp_path / "lib/site-packages"
    metadata = site / "series_kind-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "series_kind.py").write_text(KIND)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: series-kind\nVersion: 1.0\n")
    (metadata / "RECORD").write_text("series_kind.py,,\n")
    (metadata / "entry_points.txt").write_text("[baton.kinds]\npandas.Series = series_kind:SeriesKind\n")
    return site


@pytest.fixture
def fares(baton: Command, site: Path, tmp_path: Path) -> Command:
    """Return a function that runs the command on a pipeline whose tasks are annotated with that type."""
    (tmp_path / "flow.py").write_text(FLOW)
    (site / "sitecustomize.py").write_text(NOTE_OPENED)
    return partial(baton, PYTHONPATH=str(site), BATON_PIPELINE="flow:dag", OPENED=str(tmp_path / "opened"))


def test_a_pipeline_of_a_plain_type_runs_and_does_not_depend_on_the_entry_points(fares, tmp_path, site):
    first = fares("run", "--cache")
    assert first.code == 0, first.stderr
    assert "series_kind" in (tmp_path / "opened").read_text()
    entries = [json.loads(path.read_text()) for path in (tmp_path / ".baton/store/index").rglob("*.json")]
    assert len(entries) == 2
    assert [entry["observed"].get("entry_points") for entry in entries] == [None, None]
    other = site / "other-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[baton.kinds]\npandas.Index = other:OtherKind\n")
    assert [line.split()[:2] for line in fares("plan").stdout.splitlines()[1:]] == [
        ["fares", "cached"],
        ["highest", "cached"],
    ]
    (site / "series_kind-1.0.dist-info").rename(site / "series_kind-1.1.dist-info")
    assert "series_kind 1.0 -> 1.1" in fares("plan").stdout


def test_a_value_is_shown_after_the_pipeline_no_longer_declares_its_kind(fares, tmp_path, site):
    assert fares("run").code == 0
    (tmp_path / "flow.py").write_text(LATER)
    shown = fares("show", "fares")
    assert shown.code == 0, shown.stderr
    assert "12.0" in shown.stdout
    (site / "series_kind.py").write_text("import nowhere_to_be_found\n")
    refused = fares("show", "fares")
    assert refused.code == 2
    assert refused.stderr.startswith(
        "error: 'fares' is a series, a kind that is not loaded, and the kind for pandas.Series that "
        "series-kind 1.0 offers cannot be loaded: ModuleNotFoundError: "
    )
    assert "hint: repair or uninstall what offers it" in refused.stderr


def test_help_reads_no_entry_points(fares, tmp_path):
    assert fares("--help").code == 0
    assert not (tmp_path / "opened").exists()


def test_a_broken_offer_is_a_problem_of_the_pipeline_with_the_distribution(fares, site):
    (site / "series_kind.py").write_text("import nowhere_to_be_found\n")
    refused = fares("list")
    assert refused.code == 3
    said = (
        "the kind for pandas.Series that series-kind 1.0 offers cannot be loaded: "
        "ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    )
    assert [line for line in refused.stderr.splitlines() if line.startswith("  - ")] == [
        f"  - task 'fares': its return type: {said}",
        f"  - task 'highest': argument 'fares': {said}",
    ]
