"""Modules that a program imports itself, before baton can see it."""

from __future__ import annotations

import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FLOW = """
from baton import Dag, Json, task
from helper import LIMIT

@task
def one() -> Json:
    return [LIMIT, 1]

dag = Dag("flow", [one])
"""
PROGRAM = """
import sys
from pathlib import Path
import helper
if "baton first" in sys.argv:
    import baton
import flow

def edit(name, old, new):
    path = Path(name)
    path.write_text(path.read_text().replace(old, new))

if "edit helper" in sys.argv:
    edit("helper.py", "5", "16")
if "edit flow" in sys.argv:
    edit("flow.py", "1]", "22]")
if "again" in sys.argv:
    from baton import api
    api.open_project(options={"pipeline": "flow:dag"})
    import importlib
    importlib.reload(helper)
    importlib.reload(flow)

from baton import api

project = api.open_project(options={"pipeline": "flow:dag"})
(ran,) = api.run(project, use_cache=True).tasks
print(ran.outcome.value, api.load(project, "one"))
print(ran.reason, file=sys.stderr)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project whose modules are older than the program that imports them."""
    for name, text in (("flow", FLOW), ("helper", "LIMIT = 5\n"), ("program", PROGRAM)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def run(folder: Path, *what: str) -> tuple[str, str]:
    words = [sys.executable, "program.py", *what]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return ended.stdout.strip(), ended.stderr


def test_what_was_not_edited_since_is_cached(folder: Path) -> None:
    assert run(folder) == ("succeeded [5, 1]", "never built\n")
    assert run(folder)[0] == "cached [5, 1]"
    assert run(folder, "baton first")[0] == "cached [5, 1]"


@pytest.mark.parametrize(
    ("edited", "now"), [("edit helper", "[16, 1]"), ("edit flow", "[5, 22]")], ids=lambda text: text
)
@pytest.mark.parametrize("first", ["", "baton first"])
def test_what_was_edited_since_is_not_cached_under_the_code_that_did_not_run(
    folder: Path, edited: str, now: str, first: str
) -> None:
    ended, reason = run(folder, edited, first)
    assert ended == "succeeded [5, 1]"
    assert f"{edited.split()[1]} may have been edited after its import" in reason
    assert run(folder)[0] == f"succeeded {now}"


def test_compiled_code_of_an_earlier_text_is_not_cached_as_the_new_one(folder: Path) -> None:
    assert run(folder)[0] == "succeeded [5, 1]"
    (folder / "helper.py").write_text("LIMIT = 7\n")  # often within the second: Python may run the old code
    assert run(folder)[0] in ("succeeded [5, 1]", "succeeded [7, 1]")
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    assert run(folder)[0] in ("succeeded [7, 1]", "cached [7, 1]")


def test_compiled_code_that_python_does_not_take_is_no_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "helper.py").write_text("LIMIT = 1234\n")
    py_compile.compile(str(folder / "helper.py"))
    (folder / "helper.py").write_text("LIMIT = 5\n")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # so what is left stays there
    assert run(folder)[0] == "succeeded [5, 1]"
    assert run(folder)[0] == "cached [5, 1]"


def test_what_is_imported_again_is_cached(folder: Path) -> None:
    assert run(folder, "edit helper", "again")[0] == "succeeded [16, 1]"
    assert run(folder)[0] == "cached [16, 1]"


USES_THE_DAG = """
import sys
import flow
from baton import Dag, api
from baton.errors import UsageError

def made():
    return Dag("made", [flow.one])

mine = made()
for dag in (flow.dag, mine, made()):
    try:
        project = api.open_project(options={"pipeline": dag})
    except UsageError as error:
        print(error.message, "|", error.hint)
    else:
        print(api.run(project, engine="make", jobs=2).is_good, api.load(project, "one"))
"""


def test_a_dag_of_a_module_is_as_good_as_its_name(folder: Path) -> None:
    (folder / "program.py").write_text(USES_THE_DAG)
    ended, _ = run(folder)
    known, *others = ended.splitlines()
    assert known == "True [5, 1]"
    said = "pipeline 'made' is in no module that can be imported, as other processes must"
    way_out = "put its tasks and its Dag into a module, and import the Dag from there"
    assert others == [f"{said} | {way_out}"] * 2
