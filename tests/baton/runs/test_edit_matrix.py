"""What each edit runs again: exactly the tasks that it can change, and `explain` names the cause.

Every step is a process of its own over a project of several modules, as a user has it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BATON, Ended

SOURCES = {
    "flow.py": '''
        """A small flow."""
        import hashlib
        from pathlib import Path
        from typing import Annotated

        from baton import Dag, Json, Parameters, TaskContext, parameter, task
        from trips import rules, shapes
        from trips.sums import add_up


        class Chosen(Parameters):
            most: Annotated[int, parameter("longest trip that is kept, in minutes")] = 60
            margin: Annotated[float, parameter("what is forgiven, in minutes")] = 1.0
            data: Annotated[str, parameter("file of the trips")] = "trips.txt"
            address: Annotated[str, parameter("where names come from")] = "https://me:hush@names.example/a?sig=hush"


        def state_of(data: str) -> str:
            return hashlib.sha256(Path(data).read_bytes()).hexdigest()


        @task(version=state_of)
        def rows(data: str) -> Json:
            return [int(word) for word in Path(data).read_text().split()]


        @task
        def kept(rows: Json, most: int, margin: float) -> Json:
            """Keep what the rules allow."""
            return [row for row in rows if rules.allow(row, most + margin)]


        @task
        def total(kept: Json) -> Json:
            return add_up(kept)


        @task
        def names(rows: Json, address: str) -> Json:
            return shapes.Table(rows).names()


        @task(effect=True)
        def tell(total: Json, names: Json, context: TaskContext) -> None:
            context.fact("Total", total)


        dag = Dag("flow", [rows, kept, total, names, tell], parameters=Chosen)
    ''',
    "trips/__init__.py": "",
    "trips/rules.py": '''
        from trips.checks import checked
        from trips.limits import LEAST


        @checked(times=2)
        def allow(row, most, least=LEAST):
            """Say whether a row is kept."""
            low = least  # the bound is kept, too
            return low <= row <= most
    ''',
    "trips/limits.py": "LEAST = 1\n",
    "trips/checks.py": """
        def checked(times):
            def decorate(function):
                def call(*given):
                    for _ in range(times):
                        answer = function(*given)
                    return answer

                return call

            return decorate
    """,
    "trips/sums.py": """
        import pricing

        from trips.rounding import up as rounded


        def add_up(values):
            return rounded(pricing.RATE * sum(values))
    """,
    "trips/rounding.py": """
        def up(value):
            return -int(-value // 1)


        def up_again(value):
            return -int(-value // 1)
    """,
    "trips/shapes.py": """
        from trips import odd
        from trips.base import Shape


        class Table(Shape):
            def names(self):
                return [odd.prefix() + self.label(row) for row in self.rows]
    """,
    "trips/base.py": """
        class Shape:
            def __init__(self, rows):
                self.rows = rows

            def label(self, row):
                return f"trip of {row}"

            def unused(self):
                return None
    """,
    "trips/odd.py": """
        PREFIX = "a "


        def prefix():
            return globals()["PREFIX"]
    """,
    "trips.txt": "0 5 61 90\n",
    "site-packages/pricing/__init__.py": "RATE = 2.5\n",
    "site-packages/pricing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: pricing\nVersion: 1.0\n",
}
"""The project's files before any edit; 5 and 61 are kept."""


@dataclass(frozen=True)
class FlowProject:
    """The project in a folder of its own, with the real command."""

    folder: Path

    def command(self, *arguments: str) -> Ended:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
        ended = subprocess.run(
            [*BATON, *arguments, "--pipeline", "flow:dag"],
            cwd=self.folder,
            # Two edits within one second and of one length would look the same to Python's bytecode cache.
            env={**clean, "PYTHONPATH": "site-packages", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def run(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """Run with the cache and return the tasks' records by name."""
        ended = self.command("run", "--cache", "--json", *arguments)
        assert ended.code == 0, ended.stderr
        return {task["task"]: task for task in json.loads(ended.stdout)["tasks"]}

    def computed(self, *arguments: str) -> set[str]:
        """Run with the cache and return the pure tasks that were computed."""
        tasks = self.run(*arguments)
        return {name for name, task in tasks.items() if task["outcome"] == "succeeded"} - {"tell"}

    def plan(self, *arguments: str) -> dict[str, dict[str, Any]]:
        ended = self.command("plan", "--json", *arguments)
        assert ended.code == 0, ended.stderr
        return {task["task"]: task for task in json.loads(ended.stdout)}

    def explain(self, task: str, *arguments: str) -> dict[str, Any]:
        ended = self.command("explain", task, "--json", *arguments)
        assert ended.code == 0, ended.stderr
        return dict(json.loads(ended.stdout))

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def object_of(self, artifact: str) -> Path:
        """Return the file that holds an artifact of the last run."""
        record = json.loads(max((self.folder / ".baton/runs").glob("*.json")).read_text())
        outputs = {name: made for task in record["tasks"] for name, made in task["outputs"].items()}
        digest = outputs[artifact]["digest"]
        return self.folder / ".baton/store/objects" / digest[:2] / digest


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FlowProject:
    """Return a project in which everything was computed once; not to be edited."""
    project = FlowProject(tmp_path_factory.mktemp("flow"))
    for name, text in SOURCES.items():
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    assert project.computed() == {"rows", "kept", "total", "names"}
    return project


@pytest.fixture
def project(finished: FlowProject, tmp_path: Path) -> FlowProject:
    """Return a copy of the finished project, in another folder."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return FlowProject(tmp_path / "copy")


Edit = tuple[str, str, str]

HARMLESS: dict[str, Edit] = {
    "a comment": ("trips/rules.py", "# the bound is kept, too", "# of both bounds, this one"),
    "a docstring": ("trips/rules.py", "Say whether a row is kept.", "Tell which rows stay."),
    "a docstring of the task": ("flow.py", "Keep what the rules allow.", "Keep some."),
    "reformatting": (
        "trips/rules.py",
        "return low <= row <= most",
        "return (\n        low\n        <= row <= most\n    )",
    ),
    "moved lines": ("trips/rules.py", "\n\n@checked", "\n\n\n\n\n\n@checked"),
    "a function that nothing reaches": (
        "trips/rounding.py",
        "def up_again(value):\n    return",
        "def up_again(value):\n    return 1 +",
    ),
    "retries of a task": ("flow.py", "@task\ndef kept", "@task(retries=3)\ndef kept"),
    "an unused import": ("trips/sums.py", "import pricing\n", "import json\nimport pricing\n"),
}

CODE: dict[str, tuple[Edit, set[str], str, str]] = {
    # edit, tasks computed again, the task to explain, what its explanation says
    "a local variable renamed": (
        ("trips/rules.py", "low ", "lowest "),
        {"kept"},
        "kept",
        "code: trips/rules.py: allow changed",
    ),
    "a helper in another module": (
        ("trips/rules.py", "low <= row <= most", "low <= row < most"),
        {"kept", "total"},
        "kept",
        "code: trips/rules.py: allow changed",
    ),
    "a constant": (
        ("trips/limits.py", "LEAST = 1", "LEAST = 0"),
        {"kept", "total"},
        "kept",
        "code: trips/limits.py: LEAST changed",
    ),
    "a default value": (
        ("trips/rules.py", "least=LEAST", "least=LEAST + 5"),
        {"kept", "total"},
        "kept",
        "code: trips/rules.py: allow changed",
    ),
    "a decorator's argument": (
        ("trips/rules.py", "times=2", "times=3"),
        {"kept"},
        "kept",
        "code: trips/rules.py: allow changed",
    ),
    "a closure": (
        ("trips/checks.py", "range(times)", "range(times + 1)"),
        {"kept"},
        "kept",
        "code: trips/checks.py: checked changed",
    ),
    "a method of a base class": (
        ("trips/base.py", "trip of {row}", "trip over {row}"),
        {"names"},
        "names",
        "code: trips/base.py: Shape changed",
    ),
    "a method reached through an attribute of a module": (
        ("trips/shapes.py", "self.label(row) for", "self.label(row).upper() for"),
        {"names"},
        "names",
        "code: trips/shapes.py: Table changed",
    ),
    "an import under another name": (
        ("trips/sums.py", "rounded", "rounded_up"),
        {"total"},
        "total",
        "code: trips/sums.py: add_up changed",
    ),
    "another thing imported under the same name": (
        ("trips/sums.py", "import up as", "import up_again as"),
        {"total"},
        "total",
        "code: trips/rounding.py: up_again added",
    ),
    "a name found in globals()": (
        ("trips/odd.py", '"a "', '"b "'),
        {"names"},
        "names",
        "code: trips/odd.py: PREFIX changed",
    ),
    "the task itself": (
        ("flow.py", "return add_up(kept)", "return 1 + add_up(kept)"),
        {"total"},
        "total",
        "code: flow.py: total changed",
    ),
    "what version= reads": (
        ("trips.txt", "90", "91"),
        {"rows", "kept", "names"},  # 90 and 91 are both too long: what is kept stays the same
        "rows",
        "input from outside ",
    ),
}


def sentences(explained: dict[str, Any]) -> list[str]:
    return [cause["sentence"] for cause in explained["causes"]]


@pytest.mark.parametrize("edit", HARMLESS.values(), ids=HARMLESS)
def test_an_edit_that_changes_nothing_computes_nothing(project: FlowProject, edit: Edit) -> None:
    project.edit(*edit)
    assert project.computed() == set()


@pytest.mark.parametrize(("edit", "computed", "task", "told"), CODE.values(), ids=CODE)
def test_an_edit_computes_what_it_can_change_and_the_cause_is_named(
    project: FlowProject, edit: Edit, computed: set[str], task: str, told: str
) -> None:
    project.edit(*edit)
    explained = project.explain(task)
    assert explained["would_run"]
    assert any(sentence.startswith(told) for sentence in sentences(explained))
    tasks = project.run()
    assert {name for name, one in tasks.items() if one["outcome"] == "succeeded"} - {"tell"} == computed
    assert told in tasks[task]["reason"]
    assert project.computed() == set()


def test_another_version_of_a_package_computes_what_imports_it(project: FlowProject) -> None:
    installed = project.folder / "site-packages"
    (installed / "pricing-1.0.dist-info").rename(installed / "pricing-1.1.dist-info")
    assert sentences(project.explain("total")) == ["package pricing 1.0 -> 1.1"]
    assert project.computed() == {"total"}


class TestAParameter:
    def test_that_changed_computes_the_tasks_that_read_it_and_what_their_outputs_change(
        self, project: FlowProject
    ) -> None:
        planned = project.plan("--most", "59")
        assert planned["kept"]["reason"] == "parameter most 60 -> 59"
        assert planned["total"]["reason"] == "after 'kept', which would run"
        assert not planned["rows"]["would_run"]
        assert not planned["names"]["would_run"]
        assert project.computed("--most", "59") == {"kept", "total"}

    def test_toggled_back_computes_nothing(self, project: FlowProject) -> None:
        assert project.computed("--most", "20") == {"kept", "total"}
        assert project.computed() == set()
        assert project.computed("--most", "20") == set()

    def test_is_compared_with_the_last_run_even_if_that_computed_nothing(self, project: FlowProject) -> None:
        project.run("--most", "20")
        project.run()
        assert project.plan("--most", "7")["kept"]["reason"] == "parameter most 60 -> 7"

    def test_without_effect_on_the_output_stops_there(self, project: FlowProject) -> None:
        assert project.computed("--most", "62") == {"kept"}

    def test_of_two_both_are_told(self, project: FlowProject) -> None:
        reason = project.plan("--most", "59", "--margin", "2")["kept"]["reason"]
        assert reason == "parameter most 60 -> 59; parameter margin 1.0 -> 2.0"

    def test_that_holds_a_secret_is_told_without_it(self, project: FlowProject) -> None:
        other = ("--address", "https://me:quiet@names.example/a?sig=quiet")
        assert project.plan(*other)["names"]["reason"] == "parameter address changed"
        assert project.run(*other)["names"]["reason"] == "parameter address changed"
        told = [project.command(*words, *other) for words in (["plan", "--json"], ["explain", "names", "-v"])]
        assert not any("hush" in one.stdout or "quiet" in one.stdout for one in told)
        kept = [path for name in ("index", "code", "latest") for path in store_files(project, name)]
        assert kept
        assert not any("hush" in path.read_text() or "quiet" in path.read_text() for path in kept)


class TestAnObject:
    def test_that_was_deleted_is_computed_again_and_nothing_else(self, project: FlowProject) -> None:
        project.object_of("kept").unlink()
        assert sentences(project.explain("kept")) == ["its output 'kept' is missing from the store"]
        tasks = project.run()
        assert {name for name, one in tasks.items() if one["outcome"] == "succeeded"} == {"kept", "tell"}
        assert tasks["kept"]["reason"] == "its output 'kept' is missing from the store"

    def test_that_was_cut_short_is_computed_again_and_nothing_else(self, project: FlowProject) -> None:
        damage(project.object_of("kept"), b"[5")
        assert sentences(project.explain("kept")) == ["its output 'kept' is corrupt in the store"]
        assert project.plan()["kept"]["would_run"]
        assert project.computed() == {"kept"}
        assert project.object_of("kept").read_bytes() == b"[5,61]"

    def test_whose_bytes_changed_is_found_by_explain_and_by_whoever_reads_it(
        self, project: FlowProject
    ) -> None:
        damage(project.object_of("kept"), b"[5,62]")
        explained = project.explain("kept")
        assert sentences(explained) == ["its output 'kept' is corrupt in the store"]
        assert not explained["would_run"]  # as nothing reads it now
        project.edit("flow.py", "return add_up(kept)", "return add_up(kept) + 1")
        assert project.computed() == {"kept", "total"}


class TestSeveralCauses:
    def test_are_all_told_and_the_most_important_first(self, project: FlowProject) -> None:
        project.edit("trips/rules.py", "times=2", "times=3")
        project.edit("trips/limits.py", "LEAST = 1", "LEAST = 6")
        explained = project.explain("kept", "--most", "59")
        assert sentences(explained) == [
            "code: trips/limits.py: LEAST changed",
            "code: trips/rules.py: allow changed",
            "parameter most 60 -> 59",
        ]

    def test_of_a_task_after_one_that_would_run_are_told_as_far_as_they_are_certain(
        self, project: FlowProject
    ) -> None:
        project.edit("trips/rules.py", "times=2", "times=3")
        project.edit("flow.py", "return add_up(kept)", "return add_up(kept) + 1")
        assert (
            project.plan()["total"]["reason"] == "code: flow.py: total changed; after 'kept', which would run"
        )

    def test_an_input_tells_the_task_that_made_it(self, project: FlowProject) -> None:
        project.run("--most", "59")  # what is kept was never seen by `total` with this code
        project.edit("flow.py", "return add_up(kept)", "return add_up(kept) + 1")
        explained = project.explain("total")
        assert sentences(explained) == ["code: flow.py: total changed", "input 'kept' changed"]
        assert explained["causes"][1]["note"].startswith("from 'kept', cached: computed by run ")

    def test_a_forced_task_is_told_with_its_other_causes(self, project: FlowProject) -> None:
        planned = project.plan("--force", "kept", "--most", "59")
        assert planned["kept"]["reason"] == "forced; parameter most 60 -> 59"
        assert project.plan("--force", "kept")["kept"]["reason"] == "forced"
        assert project.run("--force", "kept")["kept"]["reason"] == "forced"


class TestTheChangeOfCode:
    def test_is_shown_as_a_short_diff_without_comments(self, project: FlowProject) -> None:
        project.edit("trips/rules.py", "least  # the bound", "least + 1  # another bound")
        explained = project.explain("kept")
        assert explained["causes"][0]["diff"].splitlines()[1:] == [
            " @checked(times=2)",
            " def allow(row, most, least=LEAST):",
            "-    low = least",
            "+    low = least + 1",
            "     return low <= row <= most",
        ]
        shown = project.command("explain", "kept").stdout
        assert "    +    low = least + 1\n" in shown

    def test_is_not_shown_where_its_text_was_removed_from_the_store(self, project: FlowProject) -> None:
        for path in store_files(project, "code"):
            path.write_text("{torn")
        project.edit("trips/limits.py", "LEAST = 1", "LEAST = 6")
        cause = project.explain("kept")["causes"][0]
        assert (cause["sentence"], cause["diff"]) == ("code: trips/limits.py: LEAST changed", "")

    def test_names_the_module_that_counts_whole_and_why(self, project: FlowProject) -> None:
        project.edit("trips/odd.py", '"a "', '"b "')
        explained = project.explain("names")
        told = "trips.odd:prefix uses globals: all of trips.odd counts"
        assert explained["causes"][0]["note"] == told
        assert explained["unresolved"] == [told]
        assert told in project.command("explain", "names").stdout


class TestWhatIsRemembered:
    def test_in_a_store_that_another_project_fills_is_compared_with(
        self, project: FlowProject, tmp_path: Path
    ) -> None:
        shutil.copytree(project.folder, tmp_path / "other", ignore=shutil.ignore_patterns(".baton"))
        other = FlowProject(tmp_path / "other")
        store = ("--store", str(project.folder / ".baton/store"))
        assert other.plan(*store, "--most", "59")["kept"]["reason"] == "parameter most 60 -> 59"
        assert other.computed(*store) == set()

    @pytest.mark.parametrize("text", ["", "{", '{"version": 99, "key": 1}', "[]"])
    def test_but_cannot_be_read_does_no_harm(self, project: FlowProject, text: str) -> None:
        shutil.rmtree(project.folder / ".baton/runs")
        for path in store_files(project, "latest"):
            path.write_text(text)
        assert project.plan("--most", "59")["kept"]["reason"] == "never built"
        assert project.computed("--most", "59") == {"kept", "total"}

    def test_and_then_removed_is_told_as_missing(self, project: FlowProject) -> None:
        shutil.rmtree(project.folder / ".baton/store")
        assert project.plan()["rows"]["reason"] == "its earlier result is missing from the store"


class TestExplain:
    def test_tells_that_nothing_was_built_yet(self, project: FlowProject) -> None:
        shutil.rmtree(project.folder / ".baton")
        explained = project.explain("total")
        assert sentences(explained) == ["never built", "after 'kept', which would run"]
        assert (explained["key"], explained["inputs"]) == ("", {"kept": ""})
        assert not (project.folder / ".baton").exists()

    def test_tells_why_a_cached_task_was_computed(self, project: FlowProject) -> None:
        project.run("--most", "59")
        explained = project.explain("kept", "--most", "59")
        assert not explained["would_run"]
        assert explained["computed"]["reason"] == "parameter most 60 -> 59"

    def test_shows_what_the_key_is_made_of(self, project: FlowProject) -> None:
        shown = project.command("explain", "total", "--full").stdout
        assert re.search(r"^  kept  [0-9a-f]{12} from kept$", shown, re.MULTILINE)
        assert re.search(r"^  trips/sums.py: add_up +[0-9a-f]{12}$", shown, re.MULTILINE)
        assert re.search(r"^  pricing  1.0$", shown, re.MULTILINE)
        assert shown == project.command("explain", "total", "-v").stdout

    def test_of_an_effect_says_that_it_always_runs(self, project: FlowProject) -> None:
        assert sentences(project.explain("tell")) == ["an effect always runs"]

    def test_says_why_code_without_source_is_never_remembered(self, project: FlowProject) -> None:
        project.edit("trips/sums.py", "import pricing", "import pricing\nfrom trips.made import more")
        project.edit("trips/sums.py", "return rounded(", "return more + rounded(")
        made = "import sys, types; sys.modules['trips.made'] = m = types.ModuleType('m'); m.more = 1"
        (project.folder / "trips/__init__.py").write_text(made)
        project.run()
        sentence = sentences(project.explain("total"))[0]
        assert sentence.startswith("not cached: ")
        assert "trips.made has no readable source" in sentence
        assert "total" in project.computed() & project.computed()

    def test_says_why_a_task_asked_not_to_be_remembered(self, project: FlowProject) -> None:
        project.edit("flow.py", "def total(kept: Json)", "def total(kept: Json, context: TaskContext)")
        project.edit("flow.py", "return add_up(kept)", "context.do_not_remember('too early'); return 1")
        assert project.computed() == project.computed() == {"total"}
        assert sentences(project.explain("total")) == ["not cached: too early"]

    def test_says_what_fails_in_the_tasks_own_account_of_the_world(self, project: FlowProject) -> None:
        [cause] = project.explain("rows", "--data", "nowhere.txt")["causes"]
        assert cause["sentence"].startswith("it would fail: flow.py:20: FileNotFoundError")

    @pytest.mark.parametrize(
        ("name", "told"),
        [("totl", "did you mean 'total'?"), ("nothing_like_it", "has no task 'nothing_like_it'")],
    )
    def test_of_an_unknown_task_names_the_nearest(self, project: FlowProject, name: str, told: str) -> None:
        ended = project.command("explain", name)
        assert ended.code == 2
        assert told in ended.stderr
        assert ended.stdout == ""


class TestAnEffectOnAnEngineThatLeavesOutWhatIsDone:
    MAKE = ("--engine", "make")

    def test_runs_once(self, project: FlowProject) -> None:
        assert project.plan(*self.MAKE)["tell"]["reason"] == "not done before from this folder"
        project.run(*self.MAKE)
        planned = project.plan(*self.MAKE)["tell"]
        assert not planned["would_run"]
        assert planned["reason"].startswith("done by run ")
        assert project.plan()["tell"]["reason"] == "an effect always runs"

    def test_tells_the_change_of_its_code(self, project: FlowProject) -> None:
        project.run(*self.MAKE)
        project.edit("flow.py", '"Total"', '"Sum"')
        explained = project.explain("tell", *self.MAKE)
        assert sentences(explained) == ["code: flow.py: tell changed"]
        assert explained["causes"][0]["diff"].splitlines()[-2:] == [
            "-    context.fact('Total', total)",
            "+    context.fact('Sum', total)",
        ]
        assert project.run(*self.MAKE)["tell"]["reason"] == "code: flow.py: tell changed"

    def test_tells_its_inputs(self, project: FlowProject) -> None:
        project.run(*self.MAKE)
        assert project.plan(*self.MAKE, "--most", "59")["tell"]["reason"] == "after 'total', which would run"
        assert project.run(*self.MAKE, "--most", "59")["tell"]["reason"] == "input 'total' changed"


def test_planning_and_explaining_write_nothing(project: FlowProject) -> None:
    project.edit("trips/rules.py", "times=2", "times=3")
    before = sorted((path, path.stat().st_mtime_ns) for path in project.folder.rglob("*"))
    project.plan("--most", "59")
    project.explain("total", "--most", "59")
    assert sorted((path, path.stat().st_mtime_ns) for path in project.folder.rglob("*")) == before


def store_files(project: FlowProject, folder: str) -> list[Path]:
    return [path for path in (project.folder / ".baton/store" / folder).rglob("*") if path.is_file()]


def damage(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)
