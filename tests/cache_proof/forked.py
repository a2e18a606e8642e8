"""Many runs of baton's command from one process that has imported everything already.

A run needs a process of its own, as it imports the project's modules.  Started anew it would spend
seconds on libraries; forked from a process that has them it takes some hundredths of a second.

This file is a client, `Forks`, and the program that it starts: itself.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIBRARIES = ("baton.cli.app", "baton.cli.commands.run", "yaml", "jinja2", "asyncio", "multiprocessing")
LARGE_LIBRARIES = (
    *("numpy", "polars", "pandas", "pyarrow.csv", "pyarrow.dataset", "pyarrow.json", "pydantic"),
    *("sklearn.linear_model", "sklearn.preprocessing", "sklearn.svm"),
)
_LONGEST_S = 30
_PROJECT = "from baton import Dag, Json, task\n@task\ndef f() -> Json:\n    return 1\ndag = Dag('p', [f])\n"


@dataclass(frozen=True)
class Ran:
    """How one command ended.

    Parameters
    ----------
    code : int
        The exit code; negative where a signal ended it.
    said : str
        What it wrote to stderr.
    answer : Any
        What it wrote as JSON; None where it wrote none.
    """

    code: int
    said: str
    answer: Any

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """Return the record of each task of a run by name."""
        return {task["task"]: task for task in self.answer["tasks"]} if self.answer else {}

    def made(self, task: str) -> dict[str, str] | None:
        """Return the digests of what a task made; None where it made nothing."""
        record = self.tasks.get(task)
        if record is None or record["outcome"] not in ("succeeded", "cached"):
            return None
        return {name: output["digest"] for name, output in record["outputs"].items()}


def words_of(command: Sequence[str]) -> list[str]:
    """Return the command line's words for a project whose pipeline is ``p:dag``."""
    return [*command, "--json", "--pipeline", "p:dag"]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a run: the machine's without baton's own, with installed things beside."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    return {**clean, "PYTHONPATH": "site-packages", "PYTHONDONTWRITEBYTECODE": "1", **variables}


def ran(code: int, stdout: str, stderr: str) -> Ran:
    """Return how a command ended; a task may have printed before the JSON, which is the last that is said."""
    for start in ("{", "["):
        at = 0 if stdout.startswith(start) else stdout.find(f"\n{start}") + 1
        if stdout[at : at + 1] == start:
            try:
                return Ran(code, stderr, json.loads(stdout[at:]))
            except json.JSONDecodeError:
                continue
    return Ran(code, stderr, None)


def run_afresh(folder: Path, variables: Mapping[str, str], *command: str) -> Ran:
    """Run a command as a process of its own, as users do."""
    ended = subprocess.run(
        [sys.executable, "-m", "baton.cli.app", *words_of(command)],
        cwd=folder,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
    )
    return ran(ended.returncode, ended.stdout, ended.stderr)


class Forks:
    """Processes with everything imported that a run imports; each run is a fork of one of them.

    To fork a process with large libraries takes five times as long as to fork one without, so there are two.
    """

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            with process:
                assert process.stdin is not None
                process.stdin.close()

    def run(self, folder: Path, variables: Mapping[str, str], *command: str) -> Ran:
        """Run a command in a folder."""
        texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
        needs_large = any(name.partition(".")[0] in text for name in LARGE_LIBRARIES for text in texts)
        process = self._process(" ".join((*LIBRARIES, *(LARGE_LIBRARIES if needs_large else ()))))
        assert process.stdin is not None
        assert process.stdout is not None
        asked = {"folder": str(folder), "variables": dict(variables), "words": words_of(command)}
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        return ran(*json.loads(process.stdout.readline()))

    def _process(self, libraries: str) -> subprocess.Popen[str]:
        if libraries not in self._processes:
            # A process that has threads cannot fork.
            threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
            self._processes[libraries] = subprocess.Popen(
                [sys.executable, __file__, libraries],
                env={**environment({}), **threads},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._processes[libraries]


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _warm_up()
    for line in sys.stdin:
        answers.write(json.dumps(_in_a_fork(json.loads(line))) + "\n")
        answers.flush()


def _warm_up() -> None:
    """Import what a run imports, as a first run tells it."""
    for name in sys.argv[1].split():
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "p.py").write_text(_PROJECT)
        loaded = Path(folder, "loaded")
        asked = {
            "folder": folder,
            "variables": {},
            "words": words_of(["run", "--cache"]),
            "loaded": str(loaded),
        }
        _in_a_fork(asked)
        for name in loaded.read_text().split():
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _in_a_fork(asked: Mapping[str, Any]) -> tuple[int, str, str]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            try:
                _run_here(asked, out.fileno(), err.fileno())
            finally:
                os._exit(99)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return os.waitstatus_to_exitcode(status), out.read(), err.read()


def _run_here(asked: Mapping[str, Any], out: int, err: int) -> None:
    from baton.cli.app import run_command_line

    signal.alarm(_LONGEST_S)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(asked["folder"])
    os.environ.update(asked["variables"])
    # Where Python starts with PYTHONPATH it puts these first, below the program's own folder.
    sys.path[:1] = [str(Path(place).absolute()) for place in os.environ["PYTHONPATH"].split(os.pathsep)]
    code = run_command_line(asked["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    if "loaded" in asked:
        own = [name for name in sys.modules if name.partition(".")[0] not in ("p", "__main__", "__mp_main__")]
        Path(asked["loaded"]).write_text("\n".join(own))
    os._exit(code)


if __name__ == "__main__":
    _serve()
