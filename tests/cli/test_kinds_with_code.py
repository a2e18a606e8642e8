"""A kind of one's own whose bytes name code: what takes a value runs again when that code changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command

KINDS = """\
import pickle
from typing import Annotated, Any

from baton import Kind


class PickleKind(Kind):
    name = "pickle"

    @classmethod
    def write(cls, value, path):
        path.write_bytes(pickle.dumps(value, protocol=4))

    @classmethod
    def read(cls, path):
        return pickle.loads(path.read_bytes())

    @classmethod
    def code(cls, value):
        return [step if callable(step) else type(step) for step in value["steps"]]


Steps = Annotated[Any, PickleKind]
"""
OWN = """\
import helpers


def scale(number):
    return helpers.factor() * number


class Shift:
    by = 1

    def __call__(self, number):
        return number + self.by


class Limit:
    def most(self):
        return 100


hidden = scale
"""
HELPERS = "def factor():\n    return 2\n"
FLOW = """\
import functools
import math
import pickle

import own
from baton import Dag, Json, Parameters, task
from kinds import Steps


class Chosen(Parameters, frozen=True):
    start: int = 3


@task
def fitted() -> Steps:
    return {"steps": [own.scale, own.Shift(), functools.partial(own.scale), math.floor]}


@task
def wrapped(fitted: Steps) -> Steps:
    return {"steps": [*fitted["steps"]]}


@task
def unpickled() -> Steps:
    "Find a function in a way that no reading of the source can follow."
    return {"steps": [pickle.loads(bytes([10]).join([b"celsewhere", b"limit", b"."]))]}


@task
def applied(wrapped: Steps, start: int) -> Json:
    value = start
    for step in wrapped["steps"]:
        value = step(value)
    return value


@task
def limited(unpickled: Steps) -> Json:
    [limit] = unpickled["steps"]
    return limit(7)


dag = Dag("flow", [fitted, wrapped, unpickled, applied, limited], parameters=Chosen)
"""
ELSEWHERE = "def limit(number):\n    return min(number, 5)\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {"kinds": KINDS, "own": OWN, "helpers": HELPERS, "flow": FLOW, "elsewhere": ELSEWHERE}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


@pytest.fixture
def run(baton: Command, project: Path):
    """Return a function that runs the pipeline and returns why each task ran that did."""

    def make(engine: str = "make", *options: str) -> dict[str, str]:
        words = ("run", "applied", "limited", "--engine", engine, "--cache", "--json", *options)
        ended = baton(*words, "--pipeline", "flow:dag")
        assert ended.code == 0, ended.stderr
        tasks = json.loads(ended.stdout)["tasks"]
        return {one["task"]: one["reason"] for one in tasks if one["outcome"] == "succeeded"}

    return make


def value(baton: Command, project: Path, output: str) -> object:
    record = json.loads(baton("status", "--run", "latest", "--json", "--pipeline", "flow:dag").stdout)
    [digest] = [
        fields["digest"]
        for one in record["tasks"]
        for name, fields in one["outputs"].items()
        if name == output
    ]
    return json.loads((project / ".baton/store/objects" / digest[:2] / digest).read_text())


def edit(project: Path, module: str, old: str, new: str) -> None:
    path = project / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("module", "old", "new", "applied", "changed"),
    [
        ("own", "helpers.factor() * number", "helpers.factor() * number + 1", 17, "own.py: scale"),
        ("helpers", "return 2", "return 3", 30, "helpers.py: factor"),
        ("own", "number + self.by", "number + 2 * self.by", 16, "own.py: Shift"),
    ],
    ids=["a function", "what a function calls", "a method of an instance's class"],
)
def test_a_change_of_code_inside_a_value_reaches_what_takes_it(
    baton, project, run, module, old, new, applied, changed
):
    run()
    assert value(baton, project, "applied") == 14
    assert run() == {}
    edit(project, module, old, new)
    ran = run()
    assert list(ran) == ["fitted", "wrapped", "applied"]
    assert ran["applied"] == f"code: {changed} changed; input 'wrapped' changed"
    assert value(baton, project, "applied") == applied
    assert run() == {}
    edit(project, module, new, old)
    assert run() == {}, "what was remembered for the code before the edit holds again"


def test_a_change_of_other_code_reaches_nothing(project, run):
    run()
    edit(project, "own", "return 100", "return 101")
    assert run() == {}


def test_a_function_that_no_reading_of_the_source_finds_makes_its_task_run_again(baton, project, run):
    run()
    assert value(baton, project, "limited") == 5
    edit(project, "elsewhere", "5", "6")
    ran = run()
    assert list(ran) == ["unpickled", "limited"]
    assert ran["unpickled"] == "code: elsewhere.py: limit changed"
    assert value(baton, project, "limited") == 6


def test_it_is_the_same_on_every_way_to_run(project, run):
    run("make", "-j", "2")
    assert run("simple") == {}
    edit(project, "own", "helpers.factor() * number", "helpers.factor() * number + 1")
    assert list(run("make", "-j", "2")) == ["fitted", "wrapped", "applied"]
    assert run("simple") == {}
