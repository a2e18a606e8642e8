"""Pipelines of users pass a strict type checker: the README's, the examples, and what `baton init` writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import Command
from tests.docs.test_docs import ROOT, blocks, readme_pipeline

EXAMPLES = ROOT / "examples"
OWN_PIPELINE = ROOT / "docs" / "how-to" / "own-pipeline.md"


def test_they_pass_mypy_strictly(tmp_path: Path, baton: Command) -> None:
    (tmp_path / "flowers.py").write_text(readme_pipeline())
    assert baton("init", "begun").code == 0
    paths = [tmp_path / "flowers.py", tmp_path / "begun" / "begun.py", tmp_path / "begun" / "test_begun.py"]
    for name in ("spaceflights", "get_started", "titanic", "parts"):
        paths.append(EXAMPLES / name / f"{name}.py")
    paths.append(EXAMPLES / "own_pipeline" / "iris.py")
    texts = {f"{path.parent.name}_data": path.read_text() for path in EXAMPLES.glob("*/make_data.py")}
    whole = [block for block in blocks(OWN_PIPELINE, "python") if "import" in block]
    texts |= {f"block_{number}": text for number, text in enumerate(whole)}
    for name, text in texts.items():
        paths.append(tmp_path / f"{name}.py")
        paths[-1].write_text(text)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\nignore_missing_imports = True\n")
    roots = [tmp_path / "begun", EXAMPLES / "titanic"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", *map(str, paths)],
        cwd=tmp_path,
        env={"MYPYPATH": ":".join(map(str, roots))},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_package_says_that_it_is_typed() -> None:
    import baton

    assert (Path(baton.__file__).parent / "py.typed").is_file()
