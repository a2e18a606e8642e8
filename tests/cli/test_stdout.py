"""Standard output holds data and nothing else, and a command ends as a Python program does."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import BATON, Command

LOUD = """
import ctypes
import os
import subprocess
from baton import Dag, Json, Parameters, TrackingRun, task

def shout(where):
    print("python", where)
    ctypes.CDLL(None).puts(f"c {where}".encode())
    ctypes.CDLL(None).fflush(None)
    os.write(1, f"descriptor {where}\\n".encode())
    subprocess.run(["echo", f"child {where}"], check=True)

shout("at import")

class Chosen(Parameters, frozen=True):
    size: int = 1

@task
def first(size: int) -> Json:
    shout("in first")
    return size

@task
def second(first: Json) -> Json:
    shout("in second")
    return first

@task(effect=True)
def tracked(second: Json, tracking: TrackingRun) -> None:
    shout("in tracked")

dag = Dag("loud", [first, second], parameters=Chosen)
recorded = Dag("recorded", [first, second, tracked], parameters=Chosen)
"""

VOICES = ("python", "c", "descriptor", "child")


@pytest.fixture
def loud(tmp_path: Path) -> Path:
    """Return a project's folder whose pipeline writes on stdout in every way."""
    (tmp_path / "loud.py").write_text(LOUD)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--json"),
        ("run", "--json", "--engine", "make", "--jobs", "2"),
        ("list", "--json"),
    ],
    ids=" ".join,
)
def test_nothing_precedes_or_follows_the_document(loud: Path, baton: Command, words: tuple[str, ...]) -> None:
    ended = baton(*words, "--pipeline", "loud:dag")
    assert ended.code == 0, ended.stderr
    json.loads(ended.stdout)
    assert all(f"{voice} at import\n" in ended.stderr for voice in VOICES)
    if words[0] == "run":
        assert all(f"{voice} in {name}\n" in ended.stderr for voice in VOICES for name in ("first", "second"))


def test_what_the_worker_of_tracked_tasks_prints_is_seen_on_stderr(loud: Path, baton: Command) -> None:
    ended = baton("run", "--json", "--pipeline", "loud:recorded")
    assert ended.code == 0, ended.stderr
    json.loads(ended.stdout)
    assert all(f"{voice} in tracked\n" in ended.stderr for voice in VOICES)


@pytest.mark.parametrize("words", [("list",), ("run", "--help")], ids=" ".join)
def test_without_json_too_what_the_users_code_prints_goes_to_stderr(
    loud: Path, baton: Command, words: tuple[str, ...]
) -> None:
    ended = baton(*words, "--pipeline", "loud:dag")
    assert ended.code == 0
    assert ended.stdout
    assert "at import" not in ended.stdout
    assert all(f"{voice} at import\n" in ended.stderr for voice in VOICES)


def test_airflows_test_runner_keeps_stdout_clean(loud: Path, baton: Command) -> None:
    pytest.importorskip("airflow")
    ended = baton("run", "--json", "--engine", "airflow", "--pipeline", "loud:dag")
    assert ended.code == 0, ended.stderr
    json.loads(ended.stdout)
    assert all(f"{voice} in {name}\n" in ended.stderr for voice in VOICES for name in ("first", "second"))


def test_the_shell_is_answered_on_stdout(baton: Command) -> None:
    asked = {"_BATON_COMPLETE": "bash_complete", "COMP_WORDS": "baton doc", "COMP_CWORD": "1"}
    assert baton(**asked).stdout == "plain,doctor\n"


def test_the_version_and_help_are_data(baton: Command) -> None:
    assert baton("--version").stdout.startswith("baton, version ")
    assert baton("config", "--help").stdout.startswith("Usage: ")


def test_a_program_that_uses_the_library_keeps_its_stdout(loud: Path) -> None:
    program = (
        "from baton import api\n"
        "project = api.open_project(options={'pipeline': 'loud:dag'}, environ={})\n"
        "api.run(project)\n"
        "print('mine')\n"
    )
    ended = subprocess.run(["python", "-c", program], cwd=loud, capture_output=True, text=True, env=python())
    assert ended.returncode == 0, ended.stderr
    assert "python in first\n" in ended.stdout
    assert ended.stdout.endswith("mine\n")


def python(**more: str) -> dict[str, str]:
    """Return an environment in which ``python`` is this one."""
    return {**os.environ, "PATH": f"{Path(BATON[0]).parent}{os.pathsep}{os.environ['PATH']}", **more}


def in_shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line in bash, where ``$BATON`` is the command; the exit code is that of its first program."""
    environ = python(BATON=" ".join(BATON))
    return subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("line", "code", "stdout", "stderr"),
    [
        ("$BATON list --json | head -n 1", 0, "{\n", ""),
        ("$BATON list >&-", 0, "", ""),
        ("$BATON list >&- 2>&-", 0, "", ""),
        ("$BATON list 2>&- | tail -n 1 | cut -c 1-4", 0, None, ""),
        ("$BATON bogus 2>&1 >/dev/null | true", 2, "", ""),
        (
            "$BATON list >/dev/full",
            4,
            "",
            "error: stdout cannot be written: No space left on device\n\n"
            "hint: free space, or redirect it elsewhere\n",
        ),
    ],
    ids=["head", "closed", "both closed", "stderr closed", "nobody listens", "full"],
)
def test_streams_that_end_early_or_are_closed(
    tmp_path: Path, line: str, code: int, stdout: str | None, stderr: str
) -> None:
    ended = in_shell(line, tmp_path)
    assert (ended.returncode, ended.stderr) == (code, stderr)
    assert stdout is None or ended.stdout == stdout


ENDING = """
import atexit
import os
import threading
import time
from pathlib import Path
from baton import Dag, Json, TaskContext, TrackingRun, task

def note(name):
    with Path(os.environ["NOTES"]).open("a") as file:
        file.write(name + "\\n")

atexit.register(note, "import")

def linger():
    time.sleep(0.3)
    note("thread")

@task
def first(context: TaskContext) -> Json:
    atexit.register(note, "first")
    threading.Thread(target=linger).start()
    if (context.project / "stuck").exists():
        threading.Thread(target=time.sleep, args=(600,)).start()
    return 1

@task(effect=True)
def last(first: Json, tracking: TrackingRun) -> None:
    atexit.register(note, "last")

dag = Dag("ending", [first])
recorded = Dag("recorded", [first, last])
"""


@pytest.fixture
def ending(tmp_path: Path) -> Path:
    """Return a project's folder whose tasks leave something to be done at the end."""
    (tmp_path / "ending.py").write_text(ENDING)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "notes"),
    [
        (("run", "--pipeline", "ending:recorded"), ["first", "import", "import", "last", "thread"]),
        (
            ("run", "--engine", "make", "--jobs", "2", "--pipeline", "ending:dag"),
            ["first", "import", "import", "thread"],
        ),
        (("list", "--pipeline", "ending:dag"), ["import"]),
    ],
    ids=["here and in the worker of tracked tasks", "in a worker", "a command that runs nothing"],
)
def test_exit_handlers_and_threads_of_the_users_code_come_to_their_end(
    ending: Path, baton: Command, words: tuple[str, ...], notes: list[str]
) -> None:
    ended = baton(*words, NOTES=str(ending / "notes.txt"))
    assert ended.code == 0, ended.stderr
    assert sorted((ending / "notes.txt").read_text().split()) == notes


def test_exit_handlers_run_in_airflows_test_runner(ending: Path, baton: Command) -> None:
    pytest.importorskip("airflow")
    ended = baton("run", "--engine", "airflow", "--pipeline", "ending:dag", NOTES=str(ending / "notes.txt"))
    assert ended.code == 0, ended.stderr
    assert "first" in (ending / "notes.txt").read_text().split()


def test_a_thread_that_does_not_end_holds_the_command_up_for_seconds_only(
    ending: Path, baton: Command
) -> None:
    (ending / "stuck").touch()
    began = time.monotonic()
    ended = baton("run", "--pipeline", "ending:dag", NOTES=str(ending / "notes.txt"))
    assert ended.code == 0
    assert time.monotonic() - began < 20


def test_whoever_watches_the_program_is_told_of_its_end(ending: Path) -> None:
    """As a tool that measures coverage, which runs the program and then saves what it found."""
    watch = (
        "import runpy, sys\n"
        "sys.argv = ['baton', 'run', '--broken', 'source', '--pipeline', 'baton.testing.pipelines:chain']\n"
        "try:\n    runpy.run_module('baton.cli.app', run_name='__main__')\n"
        "except SystemExit as end:\n    sys.stderr.write(f'ended with {end.code}')\n"
    )
    ended = subprocess.run([BATON[0], "-c", watch], cwd=ending, capture_output=True, text=True)
    assert ended.stderr.endswith("ended with 1")
