"""Run commands as whole processes, in turn, and say what each run cost."""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LAUNCHER = Path(__file__).with_name("launch.py")
TIMEOUT_S = 1800
SAMPLED_EVERY_S = 0.05
FOREIGN = ("BATON_", "MLFLOW_", "AWS_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
"""Beginnings of environment variables that would change what is measured."""


QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "true",
    "KEDRO_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}
"""Nothing that is measured calls home."""


class CommandFailed(Exception):
    """A measured command did not end well."""


def leave_as_is(folder: Path) -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command to be measured.

    Parameters
    ----------
    name : str
        What the report calls it.
    words : tuple of str
        Program and arguments.
    prepare : callable
        Fills the new empty folder that each run gets as its current one; not measured.
    folder : Path, optional
        A folder that every run gets as it is, instead of a new empty one.
    path : Path, optional
        A folder of programs that the command finds first.
    variables : tuple of (str, str)
        Environment variables that it gets besides.
    """

    name: str
    words: tuple[str, ...]
    prepare: Callable[[Path], object] = leave_as_is
    folder: Path | None = None
    path: Path | None = None
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a command cost.

    Parameters
    ----------
    wall_s : float
        Seconds from start to end.
    cpu_s : float
        User and system seconds of the process and its descendants.
    peak_mib : float
        Largest resident memory of any single process of the run, in MiB.
    stdout : str
        What it printed.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    stdout: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """All runs of one command.

    Parameters
    ----------
    runs : tuple of Run
        The measured runs, in the order in which they were made.
    together_mib : float
        Peak memory of all processes of the run together, in MiB, each shared page counted in parts;
        sampled, and in the warm-up run only, so that sampling disturbs no measured one.
    """

    runs: tuple[Run, ...]
    together_mib: float

    @property
    def wall_s(self) -> tuple[float, ...]:
        return tuple(run.wall_s for run in self.runs)

    @property
    def cpu_s(self) -> tuple[float, ...]:
        return tuple(run.cpu_s for run in self.runs)

    @property
    def peak_mib(self) -> tuple[float, ...]:
        return tuple(run.peak_mib for run in self.runs)


def alternate(commands: Sequence[Command], runs: int, tell: Callable[[str], None]) -> dict[str, Measured]:
    """Run each command once to warm up, then all in turn (A B A B) `runs` times.

    In turn, because a machine's speed drifts: what runs side by side is slowed alike.

    Raises
    ------
    CommandFailed
        If a command does not exit with 0; its stderr is in the message.
    """
    together = {command.name: _warm_up(command, tell) for command in commands}
    made: dict[str, list[Run]] = {command.name: [] for command in commands}
    for turn in range(runs):
        for command in commands:
            run = run_once(command)
            made[command.name].append(run)
            tell(f"{command.name}, run {turn + 1} of {runs}: {run.wall_s:.2f} s, {run.peak_mib:.0f} MiB")
    return {name: Measured(tuple(own), together[name]) for name, own in made.items()}


def ratios(of: Sequence[float], to: Sequence[float]) -> tuple[float, ...]:
    """Divide pair by pair: the first run of one by the first of the other, and so on.

    Examples
    --------
    >>> ratios([1.0, 2.0], [2.0, 8.0])
    (0.5, 0.25)
    """
    return tuple(one / other for one, other in zip(of, to, strict=True))


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def run_once(command: Command, *, watch: Callable[[int], None] | None = None) -> Run:
    """Run a command in a new empty folder and measure it.

    Parameters
    ----------
    command : Command
        The command.
    watch : callable, optional
        Told the process id of the launcher, whose descendants are the run.

    Raises
    ------
    CommandFailed
        If it does not exit with 0.
    """
    scratch = tempfile.mkdtemp(dir=_scratch().name)
    folder = command.folder or Path(scratch, "run")
    folder.mkdir(exist_ok=True)
    command.prepare(folder)
    result = Path(scratch, "cost.json")
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LAUNCHER), str(result), *command.words],
        cwd=folder,
        env={**environment(os.environ, command.path), **dict(command.variables)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if watch is not None:
        watch(process.pid)
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    told = result.read_text(encoding="utf-8") if result.exists() else '{"code": "unknown"}'
    cost: dict[str, Any] = json.loads(told)
    if cost["code"] != 0:
        raise CommandFailed(f"{shlex.join(command.words)}\nended with code {cost['code']}:\n{stderr}")
    return Run(cost["wall_s"], cost["cpu_s"], cost["peak_mib"], stdout)


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of all runs.

    It is deleted at the end of the program: ext4 avoids inodes that were freed in the last minute, so that
    after a deletion every new file costs several times as much.
    """
    return tempfile.TemporaryDirectory(prefix="baton-benchmark-")


def environment(environ: Mapping[str, str], path: Path | None = None) -> dict[str, str]:
    """Return what measured commands see: the machine's environment without what would change them."""
    kept = {name: value for name, value in environ.items() if not name.startswith(FOREIGN)}
    if path is not None:
        kept["PATH"] = f"{path}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, **QUIET}


def script(name: str, folder: Path | None = None) -> str:
    """Return the path of a program that is installed in a folder, or beside this Python.

    Raises
    ------
    CommandFailed
        If it is not installed.
    """
    path = (folder or Path(sys.executable).parent) / name
    if not path.exists():
        raise CommandFailed(f"the program '{name}' is not installed in {path.parent}")
    return str(path)


def _warm_up(command: Command, tell: Callable[[str], None]) -> float:
    """Run a command unmeasured; return the peak memory of all its processes together, in MiB."""
    tell(f"{command.name}, warm-up")
    with _sampled_memory() as (watch, seen):
        run_once(command, watch=watch)
    return max(seen, default=0.0)


@contextmanager
def _sampled_memory() -> Iterator[tuple[Callable[[int], None], list[float]]]:
    """Yield what is told of the launcher, and the list that fills with MiB of its descendants."""
    ended = threading.Event()
    seen: list[float] = []
    threads: list[threading.Thread] = []

    def sample(launcher: int) -> None:
        while not ended.wait(SAMPLED_EVERY_S):
            seen.append(_memory_of_descendants(launcher))

    def watch(launcher: int) -> None:
        threads.append(threading.Thread(target=sample, args=(launcher,), daemon=True))
        threads[0].start()

    try:
        yield watch, seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _memory_of_descendants(launcher: int) -> float:
    import psutil  # type: ignore[import-untyped, unused-ignore]  # ships no types

    total = 0
    try:
        for process in psutil.Process(launcher).children(recursive=True):
            try:
                memory = process.memory_full_info()
            except psutil.Error:
                continue
            total += getattr(memory, "pss", memory.rss)
    except psutil.Error:
        pass  # it has just ended
    return total / 1024**2
