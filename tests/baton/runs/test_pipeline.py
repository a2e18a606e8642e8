"""Finding a pipeline by its reference: every way to be wrong has its own words."""

from __future__ import annotations

import re
import sys

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
    "error": ("PKG.tasks:dag", "1 / 0", InvalidPipeline, r"fails at .*tasks\.py:1: ZeroDivisionError"),
    "syntax": ("PKG.tasks:dag", "a = 1\ndef f(:", InvalidPipeline, r"fails at .*tasks\.py:2: SyntaxError"),
    "exit": ("PKG.tasks:dag", "raise SystemExit(0)", InvalidPipeline, r"tasks\.py:1: SystemExit: 0"),
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


def advice(package, source: str) -> str:
    package.write("tasks.py", source)
    with pytest.raises(InvalidPipeline) as raised:
        load_pipeline(f"{package.name}.tasks:dag", package.folder)
    return raised.value.hint


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("nowhere_at_all", "pip install nowhere_at_all"),
        ("cv2", "pip install opencv-python"),
        ("json.nowhere", "check the name: json is there"),
    ],
)
def test_a_missing_package_comes_with_the_line_that_installs_it(package, module, words):
    assert words in advice(package, f"import {module}")


def test_a_missing_package_of_an_extra_is_installed_with_the_extra(package, monkeypatch):
    class WithoutLightgbm:
        def find_spec(self, name, path=None, target=None):
            if name == "lightgbm":
                raise ModuleNotFoundError("No module named 'lightgbm'", name=name)

    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [WithoutLightgbm(), *sys.meta_path])
    assert "pip install 'baton-ml[lightgbm]'" in advice(package, "import lightgbm")


def test_a_module_of_ones_own_that_is_misspelt_is_named(package):
    (package.folder / "cleaning.py").write_text("")
    assert "did you mean 'cleaning'?" in advice(package, "import claening")


def test_a_failing_helper_is_named_with_its_line(package):
    package.write("helper.py", "\n\nraise ValueError('no')")
    package.write("tasks.py", "import PKG.helper")
    with pytest.raises(InvalidPipeline, match=r"helper\.py:3: ValueError: no"):
        load_pipeline(f"{package.name}.tasks:dag", package.folder)


@pytest.mark.parametrize("line", ["from PKG.tasks import dag", "import PKG.tasks\nPKG.tasks.dag"])
def test_modules_that_import_each_other_are_told_the_way_out(package, line):
    package.write("helper.py", line)
    assert "import each other" in advice(package, "import PKG.helper\ndag = 1")


def test_an_invalid_declaration_says_where_it_is(package):
    assert re.search(
        r"declared at .*tasks\.py:2", advice(package, "from baton import Dag\ndag = Dag('a', [])")
    )


NO_TASK = {
    "a function": (
        "def f(): ...\ndag = Dag('a', [f])",
        r"'f' at .*tasks\.py:2 is a plain function: write @task",
    ),
    "a list": ("dag = Dag('a', [[]])", r"a list: write \* before it"),
    "a number": ("dag = Dag('a', [3])", "one of its tasks is a int, not a task"),
    "a task alone": ("@task\ndef f() -> Json: ...\ndag = Dag('a', f)", "must be a list, not a Task"),
}


@pytest.mark.parametrize("case", NO_TASK)
def test_what_is_no_task_is_told_with_the_way_out(package, case):
    source, words = NO_TASK[case]
    package.write("tasks.py", "from baton import *\n" + source)
    with pytest.raises(InvalidPipeline, match=words):
        load_pipeline(f"{package.name}.tasks:dag", package.folder)
