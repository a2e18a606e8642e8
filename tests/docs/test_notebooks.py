"""The how-to for notebooks: its cells run in turn in one process, with an edit before the reload."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from tests.docs.test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "notebooks.md"
EDIT = """
from pathlib import Path
Path("fares.py").write_text(Path("fares.py").read_text().replace("per_mile * mile", "per_mile * mile + 1"))
"""


def run(folder: Path, text: str) -> list[str]:
    (folder / "notebook.py").write_text(text)
    ended = subprocess.run(
        [sys.executable, "notebook.py"], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    return ended.stdout.splitlines()


def test_the_cells_show_what_the_page_says(tmp_path: Path) -> None:
    module, first, cheaper, again, why = blocks(PAGE, "python")
    (tmp_path / "fares.py").write_text(module)
    time.sleep(0.2)  # an edit as long ago as a person's
    shown = run(tmp_path, "\n".join([first, cheaper, EDIT, again, why, "print(api.load(project, 'fares'))"]))
    shown = [re.sub(r"run \d{8}-\d{6}-\w+", "run RUN", line) for line in shown]
    assert shown == [
        "{'miles': 'succeeded', 'fares': 'succeeded'}",
        "[2.5, 7.5, 20.0]",
        "['cached', 'succeeded']",
        "[('miles', 'cached', 'computed by run RUN'), "
        "('fares', 'run', 'code: fares.py: fares changed; parameter per_mile 2.0 -> 2.5')]",
        "computed by run RUN",
        "[3.5, 8.5, 21.0]",
    ]
    assert run(tmp_path, first)[-1] == "[3.5, 8.5, 21.0]"


def test_a_dag_of_a_cell_is_refused(tmp_path: Path) -> None:
    module, first, *_ = blocks(PAGE, "python")
    cells = module + first.replace("import fares\n", "").replace("fares.dag", "dag")
    refused = cells.replace("project = ", "try:\n    project = ").partition("report = ")[0]
    (said,) = run(tmp_path, f"{refused}except Exception as error:\n    print(error)")
    assert said.startswith("pipeline 'fares' is in no module that can be imported")
