"""The scripts of the examples: options of every parameter, the reference's lines, the usual endings."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.examples.conftest import EXAMPLES

SCRIPT = '''
"""Run the small pipeline.

    python small.py
"""

from baton import api
from scripts import run_script

run_script(
    __doc__,
    lambda asked: api.run(
        asked.project, asked.targets, engine="make", jobs=asked.jobs, forced=asked.forced, report=asked.report
    ),
    like_make=True,
)
'''


@pytest.fixture
def script(tmp_path: Path, environment: None):
    """Return what runs a script like make over the diamond in a folder of its own."""
    (tmp_path / "small.py").write_text(SCRIPT)
    shutil.copy(EXAMPLES / "scripts.py", tmp_path)

    def run(*arguments: str) -> Ended:
        words = [sys.executable, "small.py", *arguments]
        if "--help" not in arguments:
            words += ["--pipeline", "baton.testing.pipelines:diamond"]
        ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8")
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


def test_a_run_is_told_group_by_group(script) -> None:
    ended = script()
    assert ended.code == 0
    assert re.sub(r"\d+\.\d\ds", "N.NNs", ended.stdout) == (
        "🎯 Target: publish\n"
        "🔄 Force rebuild: False\n"
        "🚂 Engine: make\n"
        f"{'-' * 50}\n"
        "\n🚀 Running task: source\n"
        "✅ Task 'source' completed in N.NNs\n"
        "\n🚀 Running task: branches\n"
        "✅ Task 'branches' completed in N.NNs\n"
        "\n🚀 Running task: join\n"
        "✅ Task 'join' completed in N.NNs\n"
        "joined: [2, 11]\n"
        "\n🚀 Running task: publish\n"
        "✅ Task 'publish' completed in N.NNs\n"
        f"\n{'=' * 50}\n"
        "🎉 Pipeline completed successfully!\n"
    )


def test_what_is_up_to_date_is_said_to_be(script) -> None:
    script()
    again = script()
    assert "Running task" not in again.stdout
    assert "✅ Task 'branches' is up to date\n" in again.stdout
    changed = script("--factor", "3")
    assert re.search(
        r"✅ Task 'branches' completed in \d+\.\d\ds \(1 of its 2 tasks up to date\)\n", changed.stdout
    )


def test_force_runs_everything(script) -> None:
    script()
    forced = script("--force")
    assert "🔄 Force rebuild: True\n" in forced.stdout
    assert len(re.findall("🚀", forced.stdout)) == 4


def test_two_jobs_end_in_the_same_lines(script) -> None:
    ended = script("-j", "2")
    assert ended.code == 0
    assert len(re.findall(r"✅ Task '\w+' completed", ended.stdout)) == 4


def test_a_failed_task_exits_1_and_says_why(script) -> None:
    ended = script("--broken", "left")
    assert ended.code == 1
    assert re.search(r"🚀 Running task: branches\n❌ Task 'branches' failed after \d", ended.stdout)
    assert "🚫 Task 'publish' did not run: 'join' upstream failed\n" in ended.stdout
    assert ended.stdout.endswith("❌ Pipeline failed\n")
    assert "error: task 'left' failed: left was told to fail\n\nhint: choose another task" in ended.stderr
    assert re.search(r"^resume: baton run --resume \S+ .*--engine make$", ended.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("brances",), "has no target 'brances'; did you mean 'branches'?"),
        (("--factor", "many"), "--factor cannot be 'many': expected a whole number"),
        (("--fctor", "2"), "No such option '--fctor'"),
    ],
    ids=["target", "value", "option"],
)
def test_a_mistake_exits_2_without_a_traceback(script, arguments, told) -> None:
    ended = script(*arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_list_has_every_target(script) -> None:
    ended = script("--list")
    targets = [line.split()[0] for line in ended.stdout.splitlines()]
    assert targets == ["target", "source", "branches", "branches", "join", "publish"]


def test_clean_forgets_results_and_removes_what_was_left_for_people(script, tmp_path) -> None:
    script()
    cleaned = script("--clean")
    assert cleaned.code == 0
    assert f"🧹 Removed {tmp_path / 'published.txt'}\n" in cleaned.stdout
    assert "🧹 Forgot join (1 remembered)\n" in cleaned.stdout
    assert not (tmp_path / "published.txt").exists()
    assert script("--clean").stdout == "🧹 There is nothing to remove\n"
    assert len(re.findall("🚀", script().stdout)) == 4


def test_clean_takes_targets(script) -> None:
    script()
    assert script("--clean", "branches").stdout.count("🧹 Forgot") == 2
    again = script()
    assert "✅ Task 'source' is up to date\n" in again.stdout
    assert "🚀 Running task: branches\n" in again.stdout


def test_help_keeps_the_lines_of_the_docstring(script) -> None:
    ended = script("--help")
    assert ended.code == 0
    assert re.search(r"Run the small pipeline\.\n\n +python small\.py\n", ended.stdout)
    assert "--month" in ended.stdout


def test_a_terminal_that_knows_no_pictures_shows_the_words(tmp_path, script, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    assert "? Target: publish" in script().stdout
