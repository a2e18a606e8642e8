"""The menu: each choice becomes a command line, which is shown and run in its own process.

So everything in it can be scripted: it runs what a user would type.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from baton.cli import output
from baton.cli.exit_codes import ExitCode
from baton.core.dag import Dag
from baton.core.installed import DISTRIBUTION, Package, wanted_packages
from baton.engines.find import engine_names
from baton.processes.children import stop_child
from baton.runs.command_line import shown_word

_STOP_WITHIN_S = 10.0

ENDINGS: Mapping[int, str] = {
    ExitCode.DONE: "done",
    ExitCode.TASK_FAILED: "a task failed, or engines differ; see above for details",
    ExitCode.USAGE: "the command line, a setting or a parameter is invalid; see above",
    ExitCode.INVALID_PIPELINE: "the pipeline's declaration is not valid; see above",
    ExitCode.UNAVAILABLE: "an engine, the store or a service cannot be used; see above, or try option 9",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "terminated",
}
"""What the menu says about each exit code after a run."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a menu.

    Parameters
    ----------
    key : str
        What the user types to choose it.
    text : str
        A description of the action.
    act : callable
        The action.
    """

    key: str
    text: str
    act: Callable[[], object]


class Leave(Exception):
    """The user leaves the menu."""


class Menu:
    """The interactive menu over one project.

    Parameters
    ----------
    dag : Dag
        The project's pipeline.
    options : sequence of str
        Options for every command on the project: its location, and what the user set.
    """

    def __init__(self, dag: Dag, options: Sequence[str]) -> None:
        self._options = tuple(options)
        self._tidying = [task for task in dag.order if task.position == "last"]

    def run(self) -> None:
        """Show the menu and run the choices until the user leaves."""
        show_packages(wanted_packages())
        try:
            while True:
                _choose("baton", self._items()).act()
        except Leave:
            return

    def _items(self) -> list[Item]:
        return [
            self._engine("1", "simple", "this machine, one task after another"),
            self._engine("2", "airflow", "Apache Airflow, a DAG"),
            self._engine("3", "prefect", "Prefect, a flow"),
            self._engine("4", "make", "this machine, only what is stale"),
            Item("5", "Run all engines in sequence and compare them", lambda: self._baton("compare")),
            Item("6", "Install optional dependencies", self._install),
            Item("7", "Clean up", self._clean),
            Item("8", "Show the configuration", lambda: self._baton("config", "show")),
            Item("9", "Check the components that a run needs", lambda: self._baton("doctor")),
            Item("0", "Exit", _leave),
        ]

    def _engine(self, key: str, name: str, where: str) -> Item:
        known = name in engine_names()
        text = f"Run on {name}: {where}{'' if known else ' (not installed)'}"
        return Item(key, text, lambda: self._baton("run", "--engine", name))

    def _install(self) -> None:
        extras = dict.fromkeys(package.extra for package in wanted_packages() if package.extra)
        items = [
            Item(str(number), f"{extra}: {_versions(extra)}", partial(self._pip, extra))
            for number, extra in enumerate(extras, start=1)
        ]
        items.append(Item("a", "all of them", lambda: self._pip(",".join(extras))))
        _choose("Install", [*items, _BACK]).act()

    def _pip(self, extras: str) -> None:
        installer = find_installer()
        if not installer:
            output.say(f"no pip or uv available; install {DISTRIBUTION}[{extras}] as you installed baton")
            return
        words = [*installer, "install", f"{DISTRIBUTION}[{extras}]"]
        output.say(f"\nThis would run: {shlex.join(words)}")
        if _agree("Run it?"):
            _run(words, shlex.join(words), {})
            show_packages(wanted_packages())

    def _clean(self) -> None:
        items = [
            Item("1", "the pipeline's results and files (asks first)", self._clean_results),
            Item("2", "what no cached result needs (asks first)", self._collect_garbage),
            Item("3", "everything in the cache (asks first)", self._clear),
        ]
        items += [
            Item(str(number), f"{task.name}: {task.description}", partial(self._baton, "run", task.name))
            for number, task in enumerate(self._tidying, start=4)
        ]
        _choose("Clean", [*items, _BACK]).act()

    def _clean_results(self) -> None:
        self._preview_first(("clean", "--dry-run"), "Delete this?", ("clean",))

    def _collect_garbage(self) -> None:
        self._preview_first(("cache", "gc"), "Delete this?", ("cache", "gc", "--yes"))

    def _clear(self) -> None:
        self._baton("cache", "clear")

    def _preview_first(self, look: Sequence[str], question: str, act: Sequence[str]) -> None:
        """Run a command that only shows something, then another if the user agrees."""
        if self._baton(*look) == ExitCode.DONE and _agree(question):
            self._baton(*act)

    def _baton(self, *words: str) -> int:
        """Run a command of baton on the project."""
        arguments = [*words, *self._options]
        shown = shlex.join(["baton", *map(shown_word, arguments)])
        return _run([sys.executable, "-m", "baton.cli.app", *arguments], shown, ENDINGS)


def _leave() -> None:
    raise Leave


_BACK = Item("0", "Back", lambda: None)


def show_packages(packages: Sequence[Package]) -> None:
    """Show which packages are installed, their versions, and which are missing."""
    output.say(f"\nPython {sys.version.split()[0]}")
    output.say(f"needed: {_listed([package for package in packages if not package.extra])}")
    for extra in dict.fromkeys(package.extra for package in packages if package.extra):
        output.say(f"for {extra}: {_listed([package for package in packages if package.extra == extra])}")
    if any(not package.version and not package.extra for package in packages):
        output.say(f"\nhint: install missing packages with: pip install {DISTRIBUTION}")


def find_installer() -> list[str]:
    """Return the command that installs packages into this Python, or nothing if there is none."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    uv = shutil.which("uv")
    return [uv, "pip", "--python", sys.executable] if uv else []


def _listed(packages: Sequence[Package]) -> str:
    return ", ".join(f"{package.name} {package.version or 'MISSING'}" for package in packages)


def _versions(extra: str) -> str:
    return _listed([package for package in wanted_packages() if package.extra == extra])


def _choose(title: str, items: Sequence[Item]) -> Item:
    """Show items and ask until the user chooses one."""
    output.say(f"\n{title}")
    for item in items:
        output.say(f"  {item.key}) {item.text}")
    by_key: Mapping[str, Item] = {item.key: item for item in items}
    while True:
        answer = output.ask(f"Choose [{', '.join(by_key)}]: ")
        if answer is None:
            raise Leave
        if answer in by_key:
            return by_key[answer]
        output.say(f"'{answer}' is not one of {', '.join(by_key)}")


def _agree(question: str) -> bool:
    """Ask a yes-or-no question; the default is no."""
    answer = output.ask(f"{question} [y/N]: ")
    if answer is None:
        raise Leave
    return answer.lower() in ("y", "yes")


def _run(words: Sequence[str], shown: str, endings: Mapping[int, str]) -> int:
    """Show a command, run it, and say how it ended; Ctrl-C stops the command, not the menu."""
    output.say(f"\n$ {shown}\n")
    began = time.monotonic()
    with _ignoring_interrupts():
        child = subprocess.Popen(list(words), stdout=output.stdout())
        try:
            code = child.wait()
        except BaseException:
            stop_child(child, within_s=_STOP_WITHIN_S)
            raise
    _discard_input()
    code = 128 - code if code < 0 else code  # the shell's code for a signal
    meaning = endings.get(code, "done" if code == 0 else "see above")
    output.say(f"\nexit code {code} after {time.monotonic() - began:.1f} s: {meaning}")
    return code


def _discard_input() -> None:
    """Discard what was typed while a command ran: it would answer later questions."""
    try:
        import termios
    except ImportError:  # not a POSIX system
        return
    with contextlib.suppress(OSError, ValueError, termios.error):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Let Ctrl-C reach only the command; with SIG_IGN the command would ignore it, too."""
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
