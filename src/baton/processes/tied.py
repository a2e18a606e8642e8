"""Run a module as a program that ends when the process that started it has gone, however that ended.

``python -m baton.processes.tied MODULE ARGUMENTS``, with a pipe as standard input whose other end only
the starter holds: the system closes it even where the starter was killed.
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
    """Return the command of a module that is tied to whoever starts it with a pipe as standard input."""
    return [sys.executable, "-m", "baton.processes.tied", module, *arguments]


def end_with_starter(end: Callable[[], None], stream: int) -> None:
    """Call `end` from a thread of its own once what the starter holds the other end of has ended."""

    def wait() -> None:
        while os.read(stream, 4096):
            pass
        end()

    threading.Thread(target=wait, name="end-with-starter", daemon=True).start()


def _end() -> None:
    """End this process at once, and all that it started where it leads a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def main(words: Sequence[str]) -> None:
    """Run the module."""
    end_with_starter(_end, keep_stdin())
    sys.argv = list(words)
    # The module finds itself as `__main__`, with its own words.
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
