"""Run a module as a program that exits when its parent process exits, however that happens.

Usage: ``python -m baton.processes.tied MODULE ARGUMENTS``, with a pipe as standard input whose other end only
the parent holds: the system closes it even if the parent is killed.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from baton.processes.lifecycle import keep_stdin


def tied(module: str, *arguments: str) -> list[str]:
    """Return the command for a module tied to a parent that connects a pipe to its standard input."""
    return [sys.executable, "-m", "baton.processes.tied", module, *arguments]


def exit_with_parent(end: Callable[[], None], stream: int) -> None:
    """Call `end` from a separate thread once the parent's end of the pipe closes."""

    def wait() -> None:
        while os.read(stream, 4096):
            pass
        end()

    threading.Thread(target=wait, name="exit-with-parent", daemon=True).start()


def _end() -> None:
    """Kill this process and, if it leads a process group, everything it started."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def main(words: Sequence[str]) -> None:
    """Run the module."""
    exit_with_parent(_end, keep_stdin())
    sys.argv = list(words)
    # The module runs as `__main__`, with its own arguments.
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
