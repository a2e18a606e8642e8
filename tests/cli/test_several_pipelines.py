"""Several pipelines in one folder: the file and the environment of one do not stop another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.conftest import Command

PIPELINE = """
import sys
from baton import Dag, Json, Parameters, task

print("imported {name}")

class Chosen(Parameters):
    {parameter}: int = 1

@task
def {task}({parameter}: int) -> Json:
    return {parameter}

dag = Dag("{name}", [{task}], parameters=Chosen)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two pipelines."""
    for name, task, parameter in (("one", "first", "width"), ("two", "second", "height")):
        (tmp_path / f"{name}.py").write_text(PIPELINE.format(name=name, task=task, parameter=parameter))
    return tmp_path


def written(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "orchestration_config.json").read_text())


def test_keys_of_the_shipped_pipeline_do_not_stop_another(baton: Command, folder: Path) -> None:
    assert baton("config", "set", "source", "sample").code == 0
    ended = baton("plan", "--json", "--pipeline", "one:dag", BATON_YEAR="2022")
    assert ended.code == 0, ended.stderr
    assert [one["task"] for one in json.loads(ended.stdout)] == ["first"]
    assert "warning" not in ended.stderr


def test_keys_of_the_folders_own_pipeline_do_not_stop_another(baton: Command, folder: Path) -> None:
    for words in (("pipeline", "one"), ("width", "5")):
        assert baton("config", "set", *words).code == 0
    assert written(folder) == {"baton": {"pipeline": "one"}, "width": 5}
    ended = baton("run", "--pipeline", "two", BATON_WIDTH="7")
    assert ended.code == 0, ended.stderr
    assert "imported one" not in ended.stderr


def test_a_misspelt_key_is_refused_with_the_nearest_name(baton: Command, folder: Path) -> None:
    (folder / "orchestration_config.json").write_text('{"data": {"source": "sample"}, "widht": 5}')
    ended = baton("plan", "--pipeline", "one:dag", BATON_HIEGHT="3")
    assert ended.code == 2
    assert "unknown key 'widht'; did you mean 'width'?" in ended.stderr
    assert "data.source" not in ended.stderr
    misspelt = baton("plan", "--pipeline", "two", BATON_HIEGHT="3", BATON_CONFIG="/dev/null")
    assert "unknown environment variable BATON_HIEGHT; did you mean 'BATON_HEIGHT'?" in misspelt.stderr


def test_a_variable_of_nobody_is_warned_of_once(baton: Command, folder: Path) -> None:
    ended = baton("run", "--engine", "make", "--pipeline", "one", BATON_ZZZ="1")
    assert ended.code == 0
    assert ended.stderr.count("warning: BATON_ZZZ is neither a setting nor a parameter") == 1


def test_a_parameter_of_another_pipeline_is_set_in_its_section(baton: Command, folder: Path) -> None:
    assert baton("config", "set", "width", "5", "--pipeline", "one.py").code == 0
    assert baton("config", "set", "engine", "make", "--pipeline", "one.py").code == 0
    assert written(folder) == {"pipelines": {"one:dag": {"width": 5}}, "baton": {"engine": "make"}}
    shown = json.loads(baton("config", "show", "--json", "--pipeline", "one").stdout)["width"]
    assert (shown["value"], shown["source"]) == (5, "file")
    assert shown["place"].endswith("orchestration_config.json: pipelines.one:dag")
    # The section stays the place of the pipeline's parameters when it becomes the folder's own.
    assert baton("config", "set", "pipeline", "one:dag").code == 0
    assert baton("config", "set", "width", "6").code == 0
    assert written(folder)["pipelines"] == {"one:dag": {"width": 6}}
    assert baton("config", "set", "width", "none").code == 0
    assert written(folder)["pipelines"] == {"one:dag": {}}


@pytest.mark.parametrize("words", [("run", "second"), ("plan", "second"), ("explain", "second")])
def test_a_task_of_another_pipeline_is_answered_with_the_option(
    baton: Command, folder: Path, words: tuple[str, ...]
) -> None:
    ended = baton(*words, "--pipeline", "one:dag")
    assert ended.code == 2
    assert "another pipeline's need --pipeline MODULE:OBJECT" in ended.stderr


@pytest.mark.parametrize("target", ["one.py", "one:dag"])
def test_a_file_in_the_place_of_a_target_is_answered_with_the_option(
    baton: Command, folder: Path, target: str
) -> None:
    ended = baton("run", target)
    assert ended.code == 2
    assert f"to choose a pipeline write: --pipeline {target}" in ended.stderr


def test_a_misspelt_module_and_object_are_answered_with_what_there_is(baton: Command, folder: Path) -> None:
    ended = baton("list", "--pipeline", "tow:dag")
    assert "module 'tow' does not exist; did you mean 'two'?" in ended.stderr
    ended = baton("list", "--pipeline", "two:pipeline")
    assert "hint: write: --pipeline two:dag" in ended.stderr


def test_another_pipeline_that_is_broken_does_not_stop_this_one(baton: Command, folder: Path) -> None:
    (folder / "one.py").write_text("1 / 0")
    (folder / "orchestration_config.json").write_text(
        '{"data": {"source": "x"}, "pipelines": {"one:dag": {"width": 5}}}'
    )
    ended = baton("plan", "--pipeline", "two:dag")
    assert ended.code == 0, ended.stderr


def test_the_schema_for_editors_knows_the_keys_of_all_pipelines(baton: Command, folder: Path) -> None:
    for words in (("month", "3"), ("pipeline", "one"), ("width", "5"), ("height", "2", "--pipeline", "two")):
        assert baton("config", "set", *words).code == 0
    content = {"$schema": "./schema.json", **written(folder)}
    (folder / "orchestration_config.json").write_text(json.dumps(content))
    validator = Draft202012Validator(json.loads(baton("config", "schema").stdout))
    assert validator.is_valid(content)
    assert not validator.is_valid({**content, "widht": 5})
    assert not validator.is_valid({**content, "width": "5"})
    assert baton("config", "set", "width", "6").code == 0
    assert written(folder)["$schema"] == "./schema.json"
