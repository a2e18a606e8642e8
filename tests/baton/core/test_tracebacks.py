"""A traceback for the author of the code: their lines, what caused it, and no line of baton."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

import baton
from baton.core.execute import execute_task
from baton.core.tracebacks import place_of
from baton.runs.pipeline import load_pipeline

BEGIN = "from baton import Dag, Json, TaskContext, task\n"
RAISES = {
    "itself": ("1 / 0", ["ZeroDivisionError"]),
    "from a cause": (
        "try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('late') from error",
        ["KeyError", "ValueError", "direct cause"],
    ),
    "while handling another": (
        "try:\n    {}['a']\nexcept KeyError:\n    raise ValueError('late')",
        ["KeyError", "ValueError", "During handling"],
    ),
    "several": (
        "try:\n    {}['a']\nexcept KeyError as error:\n    raise ExceptionGroup('all', [error, OSError()])",
        ["KeyError", "OSError", "ExceptionGroup"],
    ),
    "through a library": ("import json\njson.loads('{')", ["JSONDecodeError", "json/decoder.py"]),
    "called back by baton": (
        "from baton.core.parameters import leaves\ntry:\n    leaves(3)\n"
        "except Exception as error:\n    raise ValueError('late') from error",
        ["ValueError"],
    ),
}


def failure_of(package, make_run, body: str):
    source = BEGIN + "@task\ndef f() -> Json:\n" + textwrap.indent(body, "    ") + "\ndag = Dag('a', [f])\n"
    package.write("tasks.py", source)
    dag = load_pipeline(f"{package.name}.tasks:dag", package.folder)
    failure = execute_task(dag.task("f"), {}, make_run()).failure
    assert failure is not None
    return failure


@pytest.mark.parametrize("case", RAISES)
def test_a_traceback_has_the_users_frames_first_and_none_of_baton(package, make_run, case):
    body, words = RAISES[case]
    trace = failure_of(package, make_run, body).traceback
    files = re.findall(r'File "(.*?)", line', trace)
    assert files[0].endswith("tasks.py")
    assert not [file for file in files if Path(file).is_relative_to(Path(baton.__file__).parent)]
    assert all(word in trace for word in words)


def test_the_message_begins_with_the_users_last_line(package, make_run, monkeypatch):
    monkeypatch.chdir(package.folder)
    package.write("helper.py", "import json\n\ndef read(text):\n    return json.loads(text)\n")
    message = failure_of(package, make_run, "from PKG.helper import read\nread('{')").message
    assert message.startswith(f"{package.name}/helper.py:4: JSONDecodeError: Expecting")


def test_an_exception_of_baton_alone_keeps_its_frames(make_run, package, monkeypatch):
    from baton.store.store import Store

    monkeypatch.setattr(Store, "decide", None)
    failure = failure_of(package, make_run, "return 1")
    assert "core/execute.py" in failure.traceback


def test_an_exception_that_was_never_raised_has_no_place():
    assert place_of(ValueError()) == ""
