"""The exit codes of commands."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    TASK_FAILED = 1
    USAGE = 2
    INVALID_PIPELINE = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130
    TERMINATED = 143
