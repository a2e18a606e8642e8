"""What a process kept or looked up before a task counts for the task's result."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Command

PIPELINE = "from baton import Dag, Json, task\n{tasks}\ndag = Dag('p', [{names}])\n"
TASKS = {
    "one": "@task\ndef one() -> Json: return work()",
    "two": "@task\ndef two() -> Json: return [2, work()]",
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def ran(baton: Command) -> set[str]:
    """Run with the cache and return the tasks that were computed."""
    ended = baton("run", "--pipeline", "p:dag", "--cache")
    assert ended.code == 0, ended.stderr
    return {line.split()[0] for line in ended.stderr.splitlines() if " succeeded " in line}


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    tasks = "from work import work\n" + "\n".join(TASKS.values())
    write(tmp_path, {"p.py": PIPELINE.format(tasks=tasks, names=", ".join(TASKS))})
    return tmp_path


def test_a_file_that_an_earlier_task_read_into_a_cached_function(baton: Command, pipeline: Path) -> None:
    lines = (
        "import functools, pathlib\n@functools.cache\ndef work(): return pathlib.Path('a.txt').read_text()"
    )
    write(pipeline, {"work.py": lines, "a.txt": "1"})
    assert ran(baton) == {"one", "two"}
    assert ran(baton) == set()
    write(pipeline, {"a.txt": "2"})
    assert ran(baton) == {"one", "two"}


def test_a_module_that_is_only_looked_up(baton: Command, pipeline: Path) -> None:
    lines = "from importlib.util import find_spec\ndef work(): return find_spec('extra') is not None"
    write(pipeline, {"work.py": lines, "extra.py": ""})
    assert ran(baton) == {"one", "two"}
    assert ran(baton) == set()
    (pipeline / "extra.py").unlink()
    assert ran(baton) == {"one", "two"}
    assert ran(baton) == set()


def test_a_function_that_runs_only_while_a_module_is_imported(baton: Command, pipeline: Path) -> None:
    plugin = "from registry import known\n@known\ndef g(x): return [x, 1]\n"
    files = {
        "registry.py": "def known(g=None, _all={}):\n    if g is None:\n        return _all\n"
        "    _all[g.__name__] = g\n    return g\n",
        "plugin.py": plugin,
        "limit.py": "import plugin\nfrom registry import known\ndef find(x): return known()['g'](x)\n",
        "settings.py": "LIMIT = 0\n",
        "setup.py": "import settings\nfrom limit import find\nsettings.LIMIT = find(1)\n",
        "work.py": "import settings\nimport setup\ndef work(): return settings.LIMIT\n",
    }
    write(pipeline, files)
    assert ran(baton) == {"one", "two"}
    assert ran(baton) == set()
    write(pipeline, {"plugin.py": plugin.replace("[x, 1]", "[x, 2]")})
    assert ran(baton) == {"one", "two"}


def test_an_import_that_is_moved_below_its_use(baton: Command, pipeline: Path) -> None:
    lines = ["import other", "PARTS = [other]", "def work(): return len(PARTS)"]
    write(pipeline, {"late.py": "\n".join(lines), "other.py": ""})
    write(pipeline, {"work.py": "def work():\n    from late import work as late\n    return late()\n"})
    assert ran(baton) == {"one", "two"}
    write(pipeline, {"late.py": "\n".join([lines[1], lines[0], lines[2]])})
    ended = baton("run", "--pipeline", "p:dag", "--cache")
    assert ended.code == 1
    assert "NameError: name 'other' is not defined" in ended.stderr


def test_a_module_that_a_library_imported_for_an_earlier_task(baton: Command, pipeline: Path) -> None:
    library = pipeline / "site-packages"
    (library / "lib-1.0.dist-info").mkdir(parents=True)
    lines = [
        "import os",
        "from importlib import import_module",
        "def work(): return import_module(os.environ['ONE']).RATE",
    ]
    files = {"lib.py": "\n".join(lines), "lib-1.0.dist-info/METADATA": "Name: lib\nVersion: 1.0\n"}
    write(library, files)
    write(pipeline, {"work.py": "from lib import work", "plain.py": "RATE = 1"})
    run = partial(baton, PYTHONPATH=str(library), ONE="plain")
    assert ran(run) == {"one", "two"}
    assert ran(run) == set()
    write(pipeline, {"plain.py": "RATE = 22"})
    assert ran(run) == {"one", "two"}
