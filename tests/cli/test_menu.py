"""The menu as somebody meets it who sits at a terminal."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from baton.engines.find import engine_names
from tests.cli.terminal import Terminal, terminal
from tests.conftest import BATON, Command

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "examples" / "run_examples.sh"
CHOOSE = "Choose [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]: "
INSTALL = "Choose [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, a, 0]: "
DIAMOND = "--pipeline=baton.testing.pipelines:diamond"
NUMBERS = {"simple": "1", "airflow": "2", "prefect": "3", "make": "4"}

Open = Callable[..., Terminal]


@pytest.fixture
def menu(tmp_path: Path, environment: None) -> Iterator[Open]:
    """Return a function that opens the menu in a terminal, in a folder of its own."""
    with ExitStack() as opened:
        yield lambda *options, **environ: opened.enter_context(
            terminal([*BATON, "menu", *options], tmp_path, **environ)
        )


def test_it_begins_with_what_is_installed_in_which_version(menu: Open) -> None:
    shown = menu(DIAMOND).wait_for(CHOOSE)
    assert f"Python {sys.version.split()[0]}" in shown
    assert re.search(r"needed: baton-ml \d[\w.]*, .*mlflow \d.*xgboost \d", shown)
    assert re.search(r"for airflow: apache-airflow (\d|MISSING)", shown)
    assert re.search(r"for prefect: prefect (\d|MISSING)", shown)


@pytest.mark.parametrize("engine", ["simple", "make"])
def test_an_engine_runs_as_the_command_that_is_shown(menu: Open, tmp_path: Path, engine: str) -> None:
    window = menu(DIAMOND)
    window.answer(CHOOSE, NUMBERS[engine])
    shown = window.wait_for(CHOOSE)
    assert f"$ baton run --engine {engine} {DIAMOND}" in shown
    assert "joined: [2, 11]" in shown
    assert re.search(r"exit code 0 after \d+\.\d s: done", shown)
    assert (tmp_path / "published.txt").exists()


@pytest.mark.long
@pytest.mark.parametrize("engine", ["airflow", "prefect"])
def test_the_other_engines_run_or_say_why_they_cannot(menu: Open, engine: str) -> None:
    window = menu(DIAMOND)
    window.answer(CHOOSE, NUMBERS[engine])
    shown = window.wait_for(CHOOSE)
    assert f"$ baton run --engine {engine} {DIAMOND}" in shown
    code = re.search(r"exit code (\d+) after", shown)
    assert code is not None
    if engine not in engine_names():
        assert code[1] == "2"
        assert f"engine '{engine}' does not exist" in shown
    else:
        assert code[1] in ("0", "4")


def test_all_engines_run_in_sequence_and_end_in_one_table(
    menu: Open, tmp_path: Path, prefect_server: str
) -> None:
    write_pipeline(tmp_path, "")
    window = menu("--pipeline=own:dag", PREFECT_API_URL=prefect_server)
    window.answer(CHOOSE, "5")
    shown = window.wait_for(CHOOSE)
    assert "$ baton compare --pipeline=own:dag" in shown
    assert "identical: 1 artifact on simple, " in shown
    assert "exit code 0" in shown


def test_a_failing_engine_stops_no_other_and_says_how_to_resume(
    menu: Open, tmp_path: Path, prefect_server: str
) -> None:
    write_pipeline(tmp_path, "simple")
    window = menu("--pipeline=own:dag", PREFECT_API_URL=prefect_server)
    window.answer(CHOOSE, "5")
    shown = window.wait_for(CHOOSE)
    assert "exit code 1" in shown
    table = shown[shown.rindex("engine  ") :]
    assert re.search(r"ended +failed: told +succeeded", table)
    assert "error: simple: task 'told' failed: simple was told to fail" in table
    found = re.search(r"resume: (baton run --resume .*)", table)
    assert found is not None
    assert "--engine simple" in found[1]
    write_pipeline(tmp_path, "")
    window.answer(CHOOSE, "0")
    words = found[1].split()[1:]
    ended = subprocess.run([*BATON, *words], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_installing_shows_the_command_and_does_nothing_without_a_yes(menu: Open) -> None:
    window = menu(DIAMOND)
    window.answer(CHOOSE, "6")
    assert "1) airflow: apache-airflow" in window.wait_for(INSTALL)
    window.answer(INSTALL, "a")
    assert re.search(
        r"This would run: .*"
        r"install 'baton-ml\[airflow,catboost,celery,dask,lightgbm,notify,plotly,prefect,s3,sweep,torch\]'",
        window.wait_for("[y/N]: "),
    )
    window.answer("Run it? [y/N]: ", "")
    assert "exit code" not in window.wait_for(CHOOSE)


def test_installing_runs_the_command_after_a_yes(menu: Open, tmp_path: Path) -> None:
    if any(not version_of(name) for name in ("apache-airflow", "prefect")):
        pytest.skip("the extras are not installed here, and a test fetches nothing")
    window = menu(DIAMOND, PIP_NO_INDEX="1")
    for prompt, line in (
        (CHOOSE, "6"),
        (INSTALL, "8"),
        ("Run it? [y/N]: ", "y"),
    ):
        window.answer(prompt, line)
    shown = window.wait_for(CHOOSE)
    assert "Requirement already satisfied: prefect" in shown
    assert "exit code 0" in shown


def test_cleaning_shows_first_and_removes_after_a_yes(menu: Open, tmp_path: Path, baton: Command) -> None:
    assert baton("run", DIAMOND).code == 0
    window = menu(DIAMOND)
    window.answer(CHOOSE, "7")
    window.answer("Choose [1, 2, 3, 0]: ", "1")
    assert f"$ baton clean --dry-run {DIAMOND}" in window.wait_for("Delete this? [y/N]: ")
    window.answer("Delete this? [y/N]: ", "n")
    window.wait_for(CHOOSE)
    assert (tmp_path / "published.txt").exists()
    window.answer(CHOOSE, "7")
    window.answer("Choose [1, 2, 3, 0]: ", "1")
    window.answer("Delete this? [y/N]: ", "y")
    assert f"$ baton clean {DIAMOND}" in window.wait_for(CHOOSE)
    assert "deleted source" in window.screen


def test_cleaning_can_empty_the_cache(menu: Open, tmp_path: Path, baton: Command) -> None:
    assert baton("run", DIAMOND).code == 0
    window = menu(DIAMOND)
    window.answer(CHOOSE, "7")
    window.answer("Choose [1, 2, 3, 0]: ", "3")
    window.answer("and all entries of", "y")
    assert "exit code 0" in window.wait_for(CHOOSE)
    assert list((tmp_path / ".baton" / "store" / "objects").rglob("[0-9a-f]" * 64)) == []


def test_cleaning_collects_garbage_and_leads_back(menu: Open) -> None:
    window = menu(DIAMOND)
    window.answer(CHOOSE, "7")
    window.answer("Choose [1, 2, 3, 0]: ", "2")
    assert f"$ baton cache gc {DIAMOND}" in window.wait_for("Delete this? [y/N]: ")
    window.answer("Delete this? [y/N]: ", "y")
    assert f"$ baton cache gc --yes {DIAMOND}" in window.wait_for(CHOOSE)
    window.answer(CHOOSE, "7")
    window.answer("Choose [1, 2, 3, 0]: ", "0")
    assert "exit code" not in window.wait_for(CHOOSE)


def test_cleaning_removes_leftovers_of_the_shipped_pipeline(menu: Open, tmp_path: Path) -> None:
    leftover = tmp_path / ".baton" / "scratch" / "train-left"
    leftover.mkdir(parents=True)
    os.utime(leftover, (0, 0))
    window = menu()
    window.answer(CHOOSE, "7")
    window.answer("Choose [1, 2, 3, 4, 0]: ", "4")
    assert "$ baton run cleanup" in window.wait_for(CHOOSE)
    assert not leftover.exists()


def test_the_configuration_is_shown_with_origins(menu: Open) -> None:
    window = menu(DIAMOND, "--start=4")
    window.answer(CHOOSE, "8")
    shown = window.wait_for(CHOOSE)
    assert f"$ baton config show {DIAMOND} --start=4" in shown
    assert re.search(r"start +4 +command line --start", shown)


def test_the_components_are_tested(menu: Open) -> None:
    window = menu(DIAMOND)
    window.answer(CHOOSE, "9")
    shown = window.wait_for(CHOOSE)
    assert f"$ baton doctor {DIAMOND}" in shown
    assert re.search(r"ok +mlflow", shown)
    assert "exit code 0" in shown


def test_zero_leaves_it(menu: Open) -> None:
    window = menu(DIAMOND)
    window.answer(CHOOSE, "0")
    window.wait_for("ended with 0")


@pytest.mark.parametrize("wrong", ["x", "10", "", "$(exit)"])
def test_wrong_input_is_told_and_asked_again(menu: Open, wrong: str) -> None:
    window = menu(DIAMOND)
    window.answer(CHOOSE, wrong)
    shown = window.wait_for("Choose [1")
    assert f"'{wrong}' is not one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 0" in shown
    window.answer(CHOOSE, "0")
    window.wait_for("ended with 0")


def test_ctrl_c_in_the_middle_of_a_run_returns_to_the_menu(menu: Open) -> None:
    window = menu("--pipeline=baton.testing.pipelines:naps", "--nap-s=50")
    window.answer(CHOOSE, "1")
    window.wait_for("nap_one")
    window.press("C-c")
    shown = window.wait_for(CHOOSE)
    assert "exit code 130" in shown
    assert "interrupted" in shown
    window.answer(CHOOSE, "0")
    window.wait_for("ended with 0")


def test_ctrl_c_in_the_middle_of_all_engines_returns_to_the_menu(menu: Open, tmp_path: Path) -> None:
    window = menu("--pipeline=baton.testing.pipelines:naps", "--nap-s=50")
    window.answer(CHOOSE, "5")
    window.wait_for("nap_one")
    window.press("C-c")
    assert "exit code 130" in window.wait_for(CHOOSE)
    assert not (tmp_path / ".baton" / "compare").exists()


def test_ctrl_c_at_the_prompt_ends_with_130(menu: Open) -> None:
    window = menu(DIAMOND)
    window.wait_for(CHOOSE)
    window.press("C-c")
    window.wait_for("ended with 130")


def test_the_end_of_input_at_a_prompt_leaves_it(menu: Open) -> None:
    window = menu(DIAMOND)
    window.answer(CHOOSE, "7")
    window.wait_for("Choose [1, 2, 3, 0]: ")
    window.press("C-d")
    window.wait_for("ended with 0")


def test_termination_ends_the_run_and_the_menu(menu: Open, tmp_path: Path) -> None:
    window = menu("--pipeline=baton.testing.pipelines:naps", "--nap-s=50")
    window.answer(CHOOSE, "1")
    window.wait_for("nap_one")
    pane = int(window.tmux("list-panes", "-F", "#{pane_pid}"))
    (process,) = children_of(pane)
    (run,) = children_of(process)
    os.kill(process, signal.SIGTERM)
    window.wait_for("ended with 143")
    assert not Path(f"/proc/{run}").exists()


def test_without_a_terminal_it_names_the_commands(baton: Command) -> None:
    ended = baton("menu")
    assert ended.code == 2
    assert ended.stderr.startswith("error: the menu needs a terminal")
    for command in ("baton run --engine", "baton compare", "baton clean", "baton doctor"):
        assert command in ended.stderr


def test_a_secret_is_not_shown(menu: Open) -> None:
    window = menu(DIAMOND, "--tracking-uri=http://someone:secret@127.0.0.1:1")
    window.answer(CHOOSE, "8")
    shown = window.wait_for(CHOOSE)
    assert "--tracking-uri=http://127.0.0.1:1" in shown
    assert "secret" not in shown


def test_the_runner_opens_the_menu_with_what_it_is_given(tmp_path: Path, environment: None) -> None:
    folder = runner_folder(tmp_path)
    with terminal([folder / "run_examples.sh", DIAMOND], tmp_path, PATH=f"{bin_folder()}:{PATH}") as window:
        window.answer(CHOOSE, "1")
        assert "joined: [2, 11]" in window.wait_for(CHOOSE)
        window.answer(CHOOSE, "0")
        window.wait_for("ended with 0")
    assert (folder / "published.txt").exists()


def test_the_runner_prefers_the_environment_beside_it(tmp_path: Path) -> None:
    folder = runner_folder(tmp_path)
    own = tmp_path / ".venv" / "bin" / "baton"
    own.parent.mkdir(parents=True)
    own.write_text('#!/bin/sh\necho "own: $# $*"\n')
    own.chmod(0o755)
    ended = subprocess.run(
        ["bash", folder / "run_examples.sh", "--source", "a b"], capture_output=True, text=True
    )
    assert ended.stdout == "own: 3 menu --source a b\n"


def test_the_runner_says_what_is_missing(tmp_path: Path) -> None:
    folder = runner_folder(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("dirname", "bash"):
        (tools / name).symlink_to(str(shutil.which(name)))
    ended = subprocess.run(
        ["bash", folder / "run_examples.sh"], capture_output=True, text=True, env={"PATH": str(tools)}
    )
    assert ended.returncode == 4
    assert ended.stderr.startswith("error: baton is not installed")
    assert "hint: install Python 3.11 or newer" in ended.stderr


def test_the_runner_needs_no_newer_bash_than_3_2() -> None:
    text = RUNNER.read_text()
    assert subprocess.run(["bash", "--posix", "-n", RUNNER]).returncode == 0
    newer = {
        "case of a variable (4.0)": r"\$\{\w+(\^|,)",
        "associative arrays, namerefs (4.0, 4.3)": r"\b(declare|local|typeset)\s+-[A-Za-z]*[Agn]",
        "mapfile (4.0)": r"\b(mapfile|readarray|coproc)\b",
        "redirecting both streams (4.0)": r"&>>|\|&",
        "falling through a case (4.0)": r";;?&",
        "transformations (4.4)": r"\$\{\w+@\w\}",
        "printing time, -v test (4.2)": r"%\(|\[\[? -v ",
        "globstar (4.0)": r"\bshopt -s globstar\b",
        "negative index (4.3)": r"\[-\d+\]|\$\{\w+:\s*-?\d+:\s*-",
        "EPOCHSECONDS (5.0)": r"\bEPOCH(SECONDS|REALTIME)\b|\bBASHPID\b",
    }
    assert [what for what, pattern in newer.items() if re.search(pattern, text)] == []


PATH = os.environ["PATH"]


def bin_folder() -> Path:
    return Path(sys.executable).parent


def runner_folder(tmp_path: Path) -> Path:
    """Return a folder like ``examples`` with nothing but the runner, and no environment beside it."""
    folder = tmp_path / "examples"
    folder.mkdir()
    shutil.copy(RUNNER, folder)
    return folder


def version_of(name: str) -> str:
    from baton.core.installed import version_of

    return version_of(name)


def children_of(process: int) -> list[int]:
    """Return the processes that a process started, once there is one."""
    listed = Path(f"/proc/{process}/task/{process}/children")
    for _ in range(100):
        if found := listed.read_text().split():
            return [int(number) for number in found]
        time.sleep(0.05)
    return []


def write_pipeline(folder: Path, failing: str) -> None:
    """Write a pipeline that is quick on every engine, and fails on one."""
    (folder / "own.py").write_text(
        "from baton import Dag, Json, TaskContext, TaskError, task\n"
        "@task\n"
        "def number() -> Json:\n    return 1\n"
        "@task(effect=True)\n"
        "def told(number: Json, context: TaskContext) -> None:\n"
        f"    if context.provenance.engine == {failing!r}:\n"
        "        raise TaskError(f'{context.provenance.engine} was told to fail', 'tell it otherwise')\n"
        "dag = Dag('own', [number, told])\n"
    )
