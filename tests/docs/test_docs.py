"""The texts are true: what they name exists, what they show runs, the reference is the program's."""

import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from baton.cli.app import COMMANDS, app
from baton.cli.exit_codes import ExitCode
from baton.config.environment import variable_for
from baton.config.settings import all_settings
from baton.core.parameters import leaves

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
GUIDES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((DOCS / "tutorial").glob("*.md")),
    *sorted((DOCS / "how-to").glob("*.md")),
    *sorted((DOCS / "explanation").glob("*.md")),
]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED_PATH = re.compile(
    r"`((?:src|docs|tests|examples|dags|benchmarks|requirements)/[^`\s]*|[\w.]+\.(?:md|toml|yml))`"
)
ASSIGNMENT = re.compile(r"^[A-Z_]+=")
UNWANTED = {
    "what is not the project": re.compile(r"\b(issues?|sessions?|the seed)\b", re.IGNORECASE),
    "a path of one machine": re.compile(r"(?<![\w.:/{])/(work|home|root|tmp|Users)/"),
    "a package registry's host": re.compile(r"py[p]i|python[h]osted", re.IGNORECASE),
}


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def command_lines() -> list[tuple[str, str]]:
    """Return every baton command that a guide shows, with the page that shows it."""
    found = []
    for page in GUIDES:
        shown = [line for block in blocks(page, "bash") for line in block.replace("\\\n", " ").splitlines()]
        shown += [
            line[2:] for block in blocks(page, "console") for line in block.splitlines() if line[:2] == "$ "
        ]
        for line in shown:
            words = shlex.split(line, comments=True)
            while words and ASSIGNMENT.match(words[0]):
                words.pop(0)
            if words and words[0] == "baton":
                found.append((page_id(page), shlex.join(words[1:])))
    return list(dict.fromkeys(found))


def all_commands() -> list[tuple[str, click.Command]]:
    context = click.Context(app)
    found = []
    for name in COMMANDS:
        command = app.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {inner}", command.commands[inner]) for inner in command.commands]
    return found


@pytest.fixture
def own_project(tmp_path, monkeypatch):
    """A project folder that holds the pipelines that the guides name."""
    (tmp_path / "iris.py").write_text((ROOT / "examples/own_pipeline/iris.py").read_text())
    (tmp_path / "flowers.py").write_text(readme_pipeline())
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("BATON_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "iris", raising=False)
    monkeypatch.delitem(sys.modules, "flowers", raising=False)
    return tmp_path


def readme_pipeline() -> str:
    (pipeline,) = [block for block in blocks(ROOT / "README.md", "python") if "Dag(" in block]
    return pipeline


def run_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    command = [sys.executable, "-m", "baton.cli.app", *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)


def test_reference_pages_are_what_the_program_says():
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    command = [sys.executable, str(DOCS / "generate.py"), "--check"]
    checked = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", [name for name, _ in all_commands()])
def test_every_command_is_in_the_reference(name):
    assert f"\n## baton {name}\n" in (DOCS / "reference/cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "command"), all_commands(), ids=[name for name, _ in all_commands()])
def test_every_option_is_in_the_reference(name, command):
    text = (DOCS / "reference/cli.md").read_text(encoding="utf-8")
    section = text.split(f"\n## baton {name}\n")[1].split("\n## ")[0]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    assert [o.opts for o in options if not all(opt in section for opt in o.opts)] == []


def test_every_setting_and_parameter_is_in_the_reference():
    from tripduration.parameters import DurationParameters

    text = (DOCS / "reference/settings.md").read_text(encoding="utf-8")
    wanted = [
        f"| `{leaf.key}` | `--{leaf.name.replace('_', '-')}` | `{variable_for(leaf.name)}` |"
        for leaf in [*leaves(all_settings()), *leaves(DurationParameters)]
    ]
    assert [row for row in wanted if row not in text] == []


def test_every_exit_code_is_in_the_reference():
    text = (DOCS / "reference/exit-codes.md").read_text(encoding="utf-8")
    assert [code for code in ExitCode if f"| {code.value} | `{code.name}` |" not in text] == []


def test_every_task_is_in_the_reference():
    from tripduration.pipeline import dag

    text = (DOCS / "reference/tasks.md").read_text(encoding="utf-8")
    assert [task.name for task in dag.tasks if f"\n## {task.name}\n" not in text] == []


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [
        page.name for page in DOCS.rglob("*.md") if page.relative_to(DOCS).as_posix() not in navigation
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_leads_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [target.partition("#")[0] for target in LINK.findall(text) if "://" not in target]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_path_named_exists(page):
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    paths = NAMED_PATH.findall(text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_make_target_is_in_contributing():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):.*## ", makefile, re.MULTILINE)) - {"help"}
    told = set(re.findall(r"`make (\w+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert told == targets


def test_code_in_contributing_is_quoted_from_the_code():
    sources = [
        _unindented(path.read_text(encoding="utf-8"))
        for path in [*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py")]
    ]
    for block in blocks(ROOT / "CONTRIBUTING.md", "python"):
        assert any(_unindented(block) in source for source in sources), block


def _unindented(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


WITH_EXAMPLES = [path for path in (ROOT / "src").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.name)
def test_the_examples_in_docstrings_run(path):
    name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_guides_show_commands():
    assert len(command_lines()) > 20


@pytest.mark.parametrize(("page", "line"), command_lines(), ids=lambda text: text)
def test_every_command_shown_parses(page, line, own_project):
    words = shlex.split(line)
    command: click.Command = app
    context = click.Context(app, info_name="baton")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
        context = click.Context(command, info_name=name, parent=context)
    if "--help" not in words:
        command.make_context(context.info_name, words, parent=context.parent)


def test_readme_pipeline_runs_and_is_remembered(own_project):
    first = run_command(own_project, "run", "--pipeline", "flowers:dag", "--json")
    assert first.returncode == 0, first.stderr
    again = run_command(own_project, "run", "--pipeline", "flowers:dag", "--cache")
    assert re.search(r"score +cached", again.stderr)
    changed = run_command(own_project, "run", "--pipeline", "flowers:dag", "--cache", "--strength", "0.5")
    assert re.search(r"flowers +cached", changed.stderr)
    path = own_project / "flowers.py"
    path.write_text(
        path.read_text().replace(
            "from sklearn.linear_model import LogisticRegression",
            "from sklearn.svm import LinearSVC as LogisticRegression",
        )
    )
    another = run_command(own_project, "run", "--pipeline", "flowers:dag", "--cache", "-v")
    assert re.search(r"score +succeeded", another.stderr), "another model under the same name"
    assert re.search(r"score +succeeded", changed.stderr)


def test_readme_first_screen_is_short():
    """Whoever opens it sees what it is, both commands and a transcript without reading far."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = text.split("## A pipeline of your own")[0]
    (transcript,) = blocks(ROOT / "README.md", "console")
    assert "make demo" in first
    assert "make test" in first
    assert len(first.splitlines()) <= 50
    assert len(transcript.splitlines()) <= 18


def test_engines_in_readme_are_those_that_exist():
    from baton.engines.find import OWN

    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert table == list(OWN)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_text_speaks_of_the_project_alone(page):
    text = page.read_text(encoding="utf-8")
    found = {what: sorted({m.group() for m in pattern.finditer(text)}) for what, pattern in UNWANTED.items()}
    assert {what: words for what, words in found.items() if words} == {}
