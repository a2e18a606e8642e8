"""A real terminal, through tmux: keys are typed, and what stands on the screen is read."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

WITHIN_S = 120.0  # Prefect and Airflow take their time to start


class Terminal:
    """One window of a tmux server of its own.

    Parameters
    ----------
    socket : Path
        Where the server listens.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._seen = 0

    def tmux(self, *words: str) -> str:
        """Run a command of tmux and return what it prints."""
        ended = subprocess.run(["tmux", "-S", str(self._socket), *words], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    @property
    def screen(self) -> str:
        """Everything that the terminal showed so far, long lines whole."""
        return self.tmux("capture-pane", "-p", "-J", "-S", "-", "-t", "0")

    @property
    def new(self) -> str:
        """What it showed since the last answer was typed."""
        return self.screen[self._seen :]

    def wait_for(self, text: str) -> str:
        """Wait until a text stands on what is new, and return what is new."""
        ends = time.monotonic() + WITHIN_S
        while time.monotonic() < ends:
            if text in self.new:
                return self.new
            time.sleep(0.05)
        pytest.fail(f"'{text}' did not appear within {WITHIN_S:g} s:\n{self.screen}")

    def answer(self, prompt: str, line: str) -> None:
        """Wait for a prompt, then type a line after it."""
        self.wait_for(prompt)
        self._seen = len(self.screen.rstrip())
        self.tmux("send-keys", "-t", "0", "-l", line)
        self.tmux("send-keys", "-t", "0", "Enter")

    def press(self, *keys: str) -> None:
        """Press keys, as ``C-c``."""
        self._seen = len(self.screen.rstrip())
        self.tmux("send-keys", "-t", "0", *keys)


@contextmanager
def terminal(words: Sequence[object], folder: Path, **environ: str) -> Iterator[Terminal]:
    """Open a terminal that runs a command in a folder, and shows ``ended with N`` after it."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed, and without it there is no terminal to type into")
    command = shlex.join(map(str, words))
    opened = Terminal(folder / "tmux.socket")
    subprocess.run(
        [
            *("tmux", "-S", str(folder / "tmux.socket"), "-f", "/dev/null", "new-session", "-d"),
            *("-x", "200", "-y", "50", "-c", str(folder), f"{command}; echo ended with $?; exec sleep 600"),
        ],
        check=True,
        env={**os.environ, "TERM": "xterm-256color", **environ},
    )
    try:
        yield opened
    finally:
        opened.tmux("kill-server")
