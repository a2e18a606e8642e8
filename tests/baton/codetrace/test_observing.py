"""What was seen while a task ran: its result is used again only while all of that is the same."""

# ruff: noqa: E501  # a module written in one line reads best
from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from baton import task
from baton.codetrace import execution, facts, modules
from baton.codetrace.loading import is_surely_installed
from baton.codetrace.observing import follow_imports, is_own_file, watching
from baton.core.events import Event, TaskLogged
from baton.core.execute import TaskRun, execute_task
from baton.core.outcome import Outcome, TaskReport
from baton.store.store import Store


@dataclass
class Project:
    """A package whose ``tasks.f`` is run as a task, each time as a new process would."""

    package: object
    folder: Path
    make_run: Callable[..., TaskRun]
    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    value: object = None
    unremembered: str = ""

    def write(self, files: dict[str, str]) -> None:
        """Write modules into the package, other files into the project's folder."""
        for name, content in files.items():
            if name.endswith(".py"):
                self.package.write(name, content)
            else:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).write_text(content)

    def run(self) -> Outcome:
        """Run the task with the cache and return how it ended."""
        facts._earlier.clear()  # what earlier tests ran in this process
        follow_imports(self.package.name)
        store = Store(str(self.folder / "store"), self.folder / "home", "small")
        store.project = self.folder
        events: list[Event] = []
        run = self.make_run(events, store=store)
        report = execute_task(task(self.package.load().f), {}, run)
        self.warnings = [one.message for one in events if isinstance(one, TaskLogged)]
        self.reason = report.reason
        self.unremembered = report.unremembered
        self.value = self._value(store, report)
        return report.outcome

    @staticmethod
    def _value(store: Store, report: TaskReport) -> object:
        from baton import Json

        assert report.failure is None, report.failure
        return store.load(report.outputs["f"], Json)


@pytest.fixture
def project(package, tmp_path, make_run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, module in list(sys.modules.items()):
        # A pipeline of an earlier test: no other process could import it, so nothing that finds a module by a
        # computed name would be cached.
        is_ours = name.partition(".")[0] in ("baton", "tests")
        if not is_ours and (file := getattr(module, "__file__", None)) and not is_surely_installed(file):
            monkeypatch.delitem(sys.modules, name)
    return Project(package, tmp_path, make_run)


HEAD = "from baton import Json\n"

# Each case: the files, an edit of one of them that changes what the task returns, and what the reason names.
SEEN: dict[str, tuple[dict[str, str], tuple[str, str, str], str]] = {
    "registry filled by a decorator": (
        {
            "tasks.py": "R = {}\ndef register(g):\n    R[g.__name__] = g\n    return g\n"
            "@register\ndef g(): return 1\ndef f() -> Json: return R['g']()"
        },
        ("tasks.py", "return 1", "return 9"),
        "tasks.py: g",
    ),
    "registry of another module, filled by a third": (
        {
            "tasks.py": "from . import plugins\nfrom .registry import R\ndef f() -> Json: return R['g']()",
            "registry.py": "R = {}\ndef register(g):\n    R[g.__name__] = g\n    return g",
            "plugins.py": "from .registry import register\n@register\ndef g(): return 1",
        },
        ("plugins.py", "return 1", "return 9"),
        "plugins.py: g",
    ),
    "class with a classmethod that registers models": (
        {
            "tasks.py": "from . import models\nfrom .factory import Factory\n"
            "def f() -> Json: return Factory.make('ridge').fit()",
            "factory.py": "class Factory:\n    known = {}\n    @classmethod\n    def register(cls, name):\n"
            "        def keep(model):\n            cls.known[name] = model\n            return model\n"
            "        return keep\n    @classmethod\n    def make(cls, name): return cls.known[name]()",
            "models.py": "from .factory import Factory\n@Factory.register('ridge')\nclass Ridge:\n"
            "    def fit(self): return 1",
        },
        ("models.py", "return 1", "return 9"),
        "models.py: Ridge",
    ),
    "implementation of a generic function in another module": (
        {
            "tasks.py": "from . import more\nfrom .show import show\ndef f() -> Json: return show(3)",
            "show.py": "from functools import singledispatch\n@singledispatch\ndef show(x): return 0",
            "more.py": "from .show import show\n@show.register\ndef _(x: int): return 1",
        },
        ("more.py", "return 1", "return 9"),
        "more.py: _",
    ),
    "instances that list themselves": (
        {
            "tasks.py": "from . import features\nfrom .base import Feature\n"
            "def f() -> Json: return [one.compute() for one in Feature.all]",
            "base.py": "class Feature:\n    all = []\n    def __init__(self, compute):\n"
            "        self.compute = compute\n        Feature.all.append(self)",
            "features.py": "from .base import Feature\ndef g(): return 1\nfeature = Feature(g)",
        },
        ("features.py", "return 1", "return 9"),
        "features.py: g",
    ),
    "accessor registered with another package": (
        {
            "tasks.py": "import polars as pl\nfrom . import accessor\n"
            "def f() -> Json: return pl.DataFrame({'a': [1]}).own_PKG.g()",
            "accessor.py": "import warnings\nimport polars as pl\nwarnings.simplefilter('ignore')\n@pl.api.register_dataframe_namespace('own_PKG')\n"
            "class Own:\n    def __init__(self, frame): self.frame = frame\n    def g(self): return 1",
        },
        ("accessor.py", "return 1", "return 9"),
        "accessor.py: Own",
    ),
    "import by a computed name": (
        {
            "tasks.py": "import importlib\ndef f() -> Json: return importlib.import_module('PKG.' + 'mod').g()",
            "mod.py": "def g(): return 1",
        },
        ("mod.py", "return 1", "return 9"),
        "mod.py",
    ),
    "constant of a module that is found by a computed name": (
        {
            "tasks.py": "import pydoc\nfrom . import mod\n"
            "def f() -> Json: return pydoc.locate('PKG.' + 'mod.LIMIT')",
            "mod.py": "LIMIT = 1",
        },
        ("mod.py", "LIMIT = 1", "LIMIT = 9"),
        "mod.py",
    ),
    "module loaded from its file": (
        {
            "tasks.py": "import importlib.util\nfrom pathlib import Path\ndef f() -> Json:\n"
            "    spec = importlib.util.spec_from_file_location('x', Path(__file__).parent / 'mod.py')\n"
            "    x = importlib.util.module_from_spec(spec)\n    spec.loader.exec_module(x)\n    return x.g()",
            "mod.py": "def g(): return 1",
        },
        ("mod.py", "return 1", "return 90"),
        "mod.py",
    ),
    "script run by runpy": (
        {
            "tasks.py": "import runpy\ndef f() -> Json: return runpy.run_path('script.txt')['X']",
            "script.txt": "X = 1",
        },
        ("script.txt", "X = 1", "X = 9"),
        "file script.txt changed",
    ),
    "file beside the module": (
        {
            "tasks.py": "from pathlib import Path\ndef f() -> Json: return Path('query.sql').read_text()",
            "query.sql": "select 1",
        },
        ("query.sql", "select 1", "select 9"),
        "file query.sql changed",
    ),
    "file read when the module is imported": (
        {
            "tasks.py": "from .config import LIMIT\ndef f() -> Json: return LIMIT",
            "config.py": "import json\nfrom pathlib import Path\nLIMIT = json.loads(Path('config.json').read_text())['limit']",
            "config.json": '{"limit": 1}',
        },
        ("config.json", "1", "9"),
        "file config.json changed",
    ),
    "file that a library reads in native code": (
        {
            "tasks.py": "import polars as pl\ndef f() -> Json: return pl.read_csv('data/x.csv')['a'].to_list()",
            "data/x.csv": "a\n1\n",
        },
        ("data/x.csv", "1", "9"),
        "file data/x.csv changed",
    ),
    "lazy scan over a pattern": (
        {
            "tasks.py": "import polars as pl\n"
            "def f() -> Json: return pl.scan_csv('data/*.csv').collect()['a'].to_list()",
            "data/x.csv": "a\n1\n",
        },
        ("data/x.csv", "1", "9"),
        "file data/x.csv changed",
    ),
    "class-level data of a registered class": (
        {
            "tasks.py": "R = []\ndef register(c):\n    R.append(c)\n    return c\n"
            "@register\nclass A:\n    rate = 1\ndef f() -> Json: return [c.rate for c in R]"
        },
        ("tasks.py", "rate = 1", "rate = 9"),
        "tasks.py: A",
    ),
    "lambda in a table": (
        {
            "tasks.py": "from .table import T\ndef f() -> Json: return T['g'](2)",
            "table.py": "T = {'g': lambda x: x * 1}",
        },
        ("table.py", "x * 1", "x * 9"),
        "table.py: T",
    ),
}


@pytest.mark.parametrize("case", SEEN)
def test_what_reading_cannot_find_is_seen(project, case):
    files, (edited, old, new), named = SEEN[case]
    files = {name: HEAD + text if name == "tasks.py" else text for name, text in files.items()}
    project.write(files)
    assert project.run() is Outcome.SUCCEEDED
    assert project.unremembered == ""
    first = project.value
    assert project.run() is Outcome.CACHED, (project.reason, project.warnings)
    assert old in files[edited]
    project.write({edited: files[edited].replace(old, new)})
    assert project.run() is Outcome.SUCCEEDED
    assert project.value != first
    assert named in project.reason


UNRELATED = {
    "another function under the same decorator": (
        {
            "tasks.py": "R = {}\ndef register(g):\n    R[g.__name__] = g\n    return g\n"
            "@register\ndef g(): return 1\n@register\ndef other(): return 2\n"
            "def f() -> Json: return R['g']()"
        },
        ("tasks.py", "return 2", "return 9"),
    ),
    "a data file that only another function reads": (
        {
            "tasks.py": "from pathlib import Path\nHERE = Path(__file__).parent\n"
            "def other(): return (HERE / 'other.sql').read_text()\ndef f() -> Json: return 1",
            "other.sql": "select 1",
        },
        ("other.sql", "1", "9"),
    ),
    "type hints": (
        {"tasks.py": "def g(x): return x\ndef f() -> Json: return g(1)"},
        ("tasks.py", "def g(x)", "def g(x: int) -> int"),
    ),
    "an f-string without a field": (
        {"tasks.py": "def f() -> Json: return f'a'"},
        ("tasks.py", "f'a'", "'a'"),
    ),
    "a redundant pass": (
        {"tasks.py": "def f() -> Json:\n    return 1"},
        ("tasks.py", "    return 1", "    pass\n    return 1"),
    ),
    "what a module says on import": (
        {"tasks.py": "import sys\nprint('a', file=sys.stderr)\ndef f() -> Json: return 1"},
        ("tasks.py", "'a'", "'b'"),
    ),
}


@pytest.mark.parametrize("case", UNRELATED)
def test_what_cannot_matter_is_no_reason(project, case):
    files, (edited, old, new) = UNRELATED[case]
    files = {name: HEAD + text if name == "tasks.py" else text for name, text in files.items()}
    project.write(files)
    assert project.run() is Outcome.SUCCEEDED
    assert old in files[edited]
    project.write({edited: files[edited].replace(old, new)})
    assert project.run() is Outcome.CACHED, (project.reason, project.warnings)


def test_functions_of_equal_code_in_two_modules_are_told_apart(project):
    """Python takes code for equal whatever file it is from."""
    text = "def g(x): return x + 1"
    package = project.package.name
    project.write(
        {
            "one.py": text,
            "two.py": text,
            "tasks.py": f"import {package}.one as one, {package}.two as two\ndef f(): pass",
        }
    )
    follow_imports(package)
    tasks = project.package.load()
    for many in (1, 20):
        ran: execution.Codes = {}
        with execution.watching(ran, {}, is_own_file):
            for _ in range(many):
                tasks.one.g(1), tasks.two.g(1)
        assert {Path(file).name for file, name, _ in execution.names_of(ran.values()) if name == "g"} == {
            "one.py",
            "two.py",
        }


@pytest.mark.parametrize(
    "look_up",
    [
        "os.environ.get('LEVEL_PKG', '1')",
        "os.getenv('LEVEL_PKG', '1')",
        "dict(os.environ).get('LEVEL_PKG', '1')",
    ],
)
def test_an_environment_variable_counts_by_its_value(project, monkeypatch, look_up):
    project.write({"tasks.py": f"{HEAD}import os\ndef f() -> Json: return {look_up}"})
    name = f"LEVEL_{project.package.name}"
    assert project.run() is Outcome.SUCCEEDED
    monkeypatch.setenv(name, "7")
    if "dict(" not in look_up:  # a variable that is new was not among those that were listed
        assert project.run() is Outcome.SUCCEEDED
        assert f"environment variable {name} added" in project.reason
        assert project.value == "7"
        monkeypatch.setenv(name, "8")
        assert project.run() is Outcome.SUCCEEDED
        assert f"environment variable {name} changed" in project.reason


def test_the_value_of_a_variable_is_not_kept(project, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "hush-hush")
    project.write({"tasks.py": f"{HEAD}import os\ndef f() -> Json: return len(os.environ['API_TOKEN'])"})
    assert project.run() is Outcome.SUCCEEDED
    kept = [path.read_bytes() for path in (project.folder / "store").rglob("*.json")]
    assert any(b"API_TOKEN" in content for content in kept)
    assert [content for content in kept if b"hush-hush" in content] == []


def test_what_a_library_sets_on_import_is_no_reason_but_what_a_program_sets_is():
    program = """
import os
from baton.codetrace.observing import follow_imports, original_variables, variable
follow_imports("tripduration.pipeline")
import polars
assert "_RJEM_MALLOC_CONF" in os.environ
assert original_variables()["_RJEM_MALLOC_CONF"] is None
assert variable("_RJEM_MALLOC_CONF") is None
os.environ["_RJEM_MALLOC_CONF"] = os.environ["CHOSEN"] = "by the program"
assert variable("_RJEM_MALLOC_CONF") == variable("CHOSEN") == "by the program"
assert "_RJEM_MALLOC_CONF" not in original_variables()
"""
    environ = {name: value for name, value in os.environ.items() if name != "_RJEM_MALLOC_CONF"}
    subprocess.run([sys.executable, "-c", program], env=environ, check=True)


def test_the_digest_of_a_large_file_is_written_nowhere_but_into_the_folder_of_the_store(project, monkeypatch):
    monkeypatch.setattr("baton.codetrace.facts._SETTLED_NS", -(10**18))
    (project.folder / "large.bin").write_bytes(b"x" * (1 << 21))
    project.write(
        {
            "tasks.py": f"{HEAD}from pathlib import Path\ndef f() -> Json: return len(Path('large.bin').read_bytes())"
        }
    )
    assert project.run() is Outcome.SUCCEEDED
    assert project.run() is Outcome.CACHED
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    assert (project.folder / "home" / "digests.json").is_file()


def test_a_file_that_appears_is_noticed(project):
    project.write(
        {
            "tasks.py": f"{HEAD}from pathlib import Path\n"
            "def f() -> Json: return Path('extra.txt').exists() and Path('extra.txt').read_text()"
        }
    )
    assert project.run() is Outcome.SUCCEEDED
    assert project.run() is Outcome.CACHED
    (project.folder / "extra.txt").write_text("more")
    assert project.run() is Outcome.SUCCEEDED
    assert "file extra.txt added" in project.reason
    (project.folder / "extra.txt").unlink()
    assert project.run() is Outcome.SUCCEEDED
    assert project.value is False


def test_a_file_that_is_added_to_a_listed_folder_is_noticed(project):
    project.write(
        {
            "tasks.py": f"{HEAD}from pathlib import Path\n"
            "def f() -> Json: return sorted(p.name for p in Path('parts').glob('*.txt'))",
            "parts/a.txt": "1",
        }
    )
    assert project.run() is Outcome.SUCCEEDED
    assert project.run() is Outcome.CACHED
    project.write({"parts/b.txt": "2"})
    assert project.run() is Outcome.SUCCEEDED
    assert "folder parts changed" in project.reason


def test_what_a_task_wrote_itself_is_no_input(project):
    project.write(
        {
            "tasks.py": f"{HEAD}from pathlib import Path\ndef f() -> Json:\n"
            "    Path('made.txt').write_text('1')\n    return Path('made.txt').read_text()"
        }
    )
    assert project.run() is Outcome.SUCCEEDED
    (project.folder / "made.txt").unlink()
    assert project.run() is Outcome.CACHED


def test_a_module_that_is_installed_later_is_noticed(project, tmp_path):
    name = f"extra_of_{project.package.name}"
    project.write(
        {
            "tasks.py": f"{HEAD}try:\n    import {name} as extra\nexcept ImportError:\n    extra = None\n"
            "def f() -> Json: return extra is not None"
        }
    )
    assert project.run() is Outcome.SUCCEEDED
    assert project.run() is Outcome.CACHED
    (tmp_path / f"{name}.py").write_text("")
    assert project.run() is Outcome.SUCCEEDED
    assert project.value is True
    sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("__import__('subprocess').run(['true'])", "it starts the program true"),
        ("datetime.date.today().year and 1", "it reads the current date with datetime.date.today"),
    ],
)
def test_what_cannot_hold_still_is_told_and_not_remembered(project, body, said):
    project.write({"tasks.py": f"{HEAD}import datetime\ndef f() -> Json:\n    {body}\n    return 1"})
    assert project.run() is Outcome.SUCCEEDED
    assert any(said in one and "tasks.py, line 4" in one and "version=" in one for one in project.warnings)
    assert project.run() is Outcome.SUCCEEDED


def test_random_numbers_without_a_seed_are_told(project):
    project.write({"tasks.py": f"{HEAD}import random\ndef f() -> Json: return random.random()"})
    project.run()
    assert any("random numbers without a seed" in one for one in project.warnings)
    project.write({"tasks.py": f"{HEAD}import random\ndef f() -> Json:\n    random.seed(1)\n    return 2"})
    project.run()
    assert project.warnings == []


def test_an_edit_of_equal_length_within_a_second_is_run(tmp_path):
    """Python itself would run the compiled code of the first text."""
    (tmp_path / "p.py").write_text(
        "from baton import Dag, Json, task\nimport m\n@task\ndef f() -> Json: return m.g()\ndag = Dag('p', [f])"
    )
    moment = 1_700_000_000
    values = []
    for number in (1, 2):
        (tmp_path / "m.py").write_text(f"def g(): return {number}")
        os.utime(tmp_path / "m.py", (moment, moment))
        ended = subprocess.run(
            [sys.executable, "-c", f"{_RUN}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        )
        values.append(ended.stdout.strip())
    assert values == ["1", "2"]


_RUN = """
from pathlib import Path
from baton.runs.pipeline import load_pipeline
print(load_pipeline("p:dag", Path.cwd()).task("f")())
"""


def test_a_look_at_the_clock_is_told_with_its_line(project):
    project.write({"tasks.py": HEAD + "import time\ndef f() -> Json: return int(time.time() * 0)"})
    project.run()
    assert [one for one in project.warnings if "time.time (tasks.py, line 3)" in one]


def test_the_first_observation_of_a_process_needs_nothing_worked_out_before(tmp_path):
    for kept in (modules.installed_prefixes, modules.installed_folders, is_own_file):
        kept.cache_clear()
    with watching(()) as seen:
        os.path.lexists(tmp_path)
    assert str(tmp_path) in str(seen)
