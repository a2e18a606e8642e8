"""Finding a pipeline by its reference: every way to be wrong has its own words."""

from __future__ import annotations

import pytest

from baton import Dag
from baton.errors import BatonError, InvalidPipeline, UsageError
from baton.runs.pipeline import load_pipeline

GOOD = """
    from baton import Dag, Json, task

    @task
    def f() -> Json:
        return 1

    dag = Dag("small", [f])
    number = 3

    class Holder:
        inner = dag
"""


@pytest.fixture(autouse=True)
def _import_path(monkeypatch):
    """Keep the import path as it is, whatever loading adds to it."""
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.parametrize("attribute", ["dag", "Holder.inner"])
def test_a_pipeline_is_found(package, attribute):
    package.write("tasks.py", GOOD)
    found = load_pipeline(f"{package.name}.tasks:{attribute}", package.folder)
    assert isinstance(found, Dag)
    assert found.name == "small"


def test_a_module_in_the_projects_folder_is_found(tmp_path):
    (tmp_path / "own_pipeline_of_a_test.py").write_text(
        "from baton import Dag, Json, task\n@task\ndef f() -> Json: ...\ndag = Dag('own', [f])"
    )
    assert load_pipeline("own_pipeline_of_a_test:dag", tmp_path).name == "own"


REFUSED = {
    "no module": ("PKG.nowhere:dag", GOOD, UsageError, "does not exist"),
    "no package": ("nowhere_at_all.x:dag", GOOD, UsageError, "module 'nowhere_at_all.x' does not exist"),
    "no object": ("PKG.tasks:dagg", GOOD, UsageError, "has no 'dagg'; did you mean 'dag'"),
    "not a DAG": ("PKG.tasks:number", GOOD, UsageError, "is a int, not a Dag"),
    "no colon": ("PKG.tasks", GOOD, UsageError, "is not the name of a pipeline"),
    "empty": ("", GOOD, UsageError, "is not the name of a pipeline"),
    "relative": (".tasks:dag", GOOD, UsageError, "is not the name of a pipeline"),
    "path": ("a/b.py:dag", GOOD, UsageError, "is not the name of a pipeline"),
    "missing import": (
        "PKG.tasks:dag",
        "import nowhere_at_all",
        InvalidPipeline,
        "No module named 'nowhere_at_all'",
    ),
    "error": ("PKG.tasks:dag", "1 / 0", InvalidPipeline, "fails: ZeroDivisionError"),
    "syntax": ("PKG.tasks:dag", "def f(:", InvalidPipeline, "fails: SyntaxError"),
    "exit": ("PKG.tasks:dag", "raise SystemExit(0)", InvalidPipeline, "fails: SystemExit"),
    "invalid": (
        "PKG.tasks:dag",
        "from baton import Dag\ndag = Dag('a', [])",
        InvalidPipeline,
        "it has no task",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_loaded_is_told(package, case):
    reference, source, kind, words = REFUSED[case]
    package.write("tasks.py", source)
    with pytest.raises(BatonError, match=words) as raised:
        load_pipeline(reference.replace("PKG", package.name), package.folder)
    assert type(raised.value) is kind
