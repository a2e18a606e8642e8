"""``baton show`` and `api.load`: an artifact of a run."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from baton import Dag, File, Files, Folder, Json, Parameters, Table, TaskContext, api, task
from baton.errors import UsageError
from tests.conftest import Command


class Rows(Parameters, frozen=True):
    rows: int = 12


@task
def numbers(rows: int) -> Table:
    return pl.DataFrame({"n": range(rows), "text": [f"row {n}" for n in range(rows)]})


@task(outputs=("count", "note", "notes", "folder"))
def written(numbers: Table, context: TaskContext) -> tuple[Json, File, Files, Folder]:
    note = context.scratch / "folder" / "note.txt"
    note.parent.mkdir()
    note.write_text("a note")
    return {"rows": numbers.height}, note, {"a.txt": note}, note.parent


dag = Dag("shown", [numbers, written], parameters=Rows)

REFERENCE = "tests.cli.test_show:dag"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def show(baton: Command) -> Command:
    """Return a function that runs the command, which finds this module."""
    return partial(baton, "show", "--pipeline", REFERENCE, PYTHONPATH=str(ROOT))


@pytest.fixture
def project(tmp_path: Path) -> api.Project:
    """Return a project with two runs, the later with fewer rows."""
    for rows in (12, 3):
        opened = api.open_project(folder=tmp_path, options={"pipeline": REFERENCE, "rows": rows}, environ={})
        assert api.run(opened).is_good
    return opened


def test_a_value_is_loaded_as_a_task_would_receive_it(project):
    assert api.load(project, "numbers").height == 3
    assert api.load(project, "count") == {"rows": 3}
    assert api.load(project, "note").read_text() == "a note"
    first = api.status(project)[-1].run_id
    assert api.load(project, "numbers", first).height == 12


def test_a_table_is_shown_by_its_first_rows(project, show):
    shown = show("numbers")
    assert shown.code == 0, shown.stderr
    assert "3 rows of 2 columns" in shown.stdout
    assert [line.split() for line in shown.stdout.splitlines()[2:4]] == [
        ["n", "(Int64)", "text", "(String)"],
        ["0", "row", "0"],
    ]


def test_json_is_shown_as_it_is_and_files_by_their_place(project, show):
    assert '"rows": 3' in show("count").stdout
    place = show("note").stdout.splitlines()[-1]
    assert Path(place).read_text() == "a note"


def test_json_output_has_the_reference_and_the_head(project, show):
    shown = json.loads(show("numbers", "--json").stdout)
    assert shown["columns"] == {"n": "Int64", "text": "String"}
    assert shown["rows"] == len(shown["head"]) == 3
    assert json.loads(show("count", "--json").stdout)["value"] == {"rows": 3}


def test_it_is_written_to_a_new_file_or_folder_only(project, show, tmp_path):
    assert show("numbers", "-o", "out.parquet").code == 0
    assert pl.read_parquet(tmp_path / "out.parquet").height == 3
    assert show("folder", "-o", "out").code == 0
    assert (tmp_path / "out" / "note.txt").read_text() == "a note"
    again = show("numbers", "-o", "out.parquet")
    assert (again.code, again.stdout) == (2, "")
    assert "out.parquet exists" in again.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("numbrs", "no artifact 'numbrs' in any run of pipeline 'shown'; did you mean 'numbers'?"),
        ("x", "no artifact 'x' in any run of pipeline 'shown'"),
    ],
)
def test_an_unknown_artifact_is_told_with_the_nearest(project, name, said):
    with pytest.raises(UsageError) as caught:
        api.load(project, name)
    assert caught.value.message == said


def test_one_that_no_run_made_yet_is_told_with_the_command(tmp_path):
    opened = api.open_project(folder=tmp_path, options={"pipeline": REFERENCE}, environ={})
    with pytest.raises(UsageError, match="artifact 'count' was not made") as caught:
        api.load(opened, "count")
    assert caught.value.hint == "make it with: baton run written"


def test_one_that_is_gone_from_the_store_is_told(project, show):
    digest = api.status(project)[0].tasks[0].outputs["numbers"]["digest"]
    (project.home / "store" / "objects" / digest[:2] / digest).unlink()
    shown = show("numbers")
    assert shown.code == 4
    assert "numbers" in shown.stderr or digest[:12] in shown.stderr
