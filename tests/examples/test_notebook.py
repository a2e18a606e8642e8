"""The notebook runs top to bottom, and its result is that of the pipelines."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "duration-prediction.ipynb"


def execute(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Any:
    """Run a copy of the notebook in a folder of its own and return it with what it printed."""
    for package in ("nbformat", "nbclient", "ipykernel"):
        pytest.importorskip(package)
    import nbformat
    from nbclient import NotebookClient

    for name in ("config.py", "simple_pipeline.py", "scripts.py", "orchestration_config.json"):
        shutil.copy(EXAMPLES / name, folder)
    for name in list(os.environ):
        if name.startswith(("BATON_", "MLFLOW_")):
            monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def printed(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def pictures(notebook: Any) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.long
def test_it_gives_the_rmse_of_the_pipelines_on_real_trips(tmp_path, monkeypatch, real_data):
    notebook = execute(tmp_path, monkeypatch, BATON_SOURCE=str(real_data))
    told = printed(notebook)
    assert "Training features shape: (73908, 13221)" in told
    assert "Validation features shape: (61921, 13221)" in told
    assert "RMSE: 6.6077 minutes" in told
    assert pictures(notebook) == 4
    assert (tmp_path / "run_id.txt").is_file()


def test_it_runs_on_generated_trips(tmp_path, monkeypatch):
    fast = {"BATON_NUM_BOOST_ROUND": "3", "BATON_MAX_RMSE": "60"}
    assert "RMSE: " in printed(execute(tmp_path, monkeypatch, BATON_SOURCE="sample", **fast))


def test_it_is_stored_without_output():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


def test_every_step_is_explained():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    told = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert [
        step for step in ("Extract", "Transform", "Features", "Train", "Validate") if step not in told
    ] == []
