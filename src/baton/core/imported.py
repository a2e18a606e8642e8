"""When the modules of this process were imported, as far as that is known.

Baton reads the source of a module later than Python did.  It is what runs only if the file has not been
edited in between.
"""

from __future__ import annotations

import marshal
import os
import sys
import time
from functools import cache
from pathlib import Path

_AT_NS = time.time_ns()
"""When baton was imported: as early as possible, see `baton`."""
_BEFORE = frozenset(
    name
    for name, module in list(sys.modules.items())
    if not getattr(getattr(module, "__spec__", None), "_initializing", False)
)
"""The modules whose import had ended by then."""
_TICK_NS = 10_000_000
"""The time of an edit may come from a clock that is this much behind, and the time of a process's start is
rounded down by as much."""


def may_be_edited_since(module: str, file: Path) -> bool:
    """Whether the source file of a loaded module may have been edited after its import."""
    try:
        state = file.stat()
    except OSError:
        return True
    since_ns = _process_start_ns() + _TICK_NS if module in _BEFORE else _AT_NS - _TICK_NS
    return max(state.st_mtime_ns, state.st_ctime_ns) > since_ns or _is_stale(module, file)


def _is_stale(module: str, file: Path) -> bool:
    """Whether Python may have run compiled code of an earlier text.

    It compares the size and the time in whole seconds, so it misses an edit of equal length within a second.
    """
    cached = getattr(getattr(sys.modules.get(module), "__spec__", None), "cached", None)
    try:
        content = Path(cached).read_bytes() if cached else b""
        if not content or not _is_taken(content[:_HEADER], file):
            return False
        compiled = marshal.loads(content[_HEADER:])  # noqa: S302  # Python has run it already
        return bool(compiled != compile(file.read_bytes(), str(file), "exec", dont_inherit=True))
    except FileNotFoundError:
        return False  # compiled from the text
    except (OSError, ValueError, EOFError, TypeError, SyntaxError):
        return True


_HEADER = 16
"""Bytes before the code in a compiled file."""


def _is_taken(header: bytes, file: Path) -> bool:
    """Whether Python takes compiled code for the source file as it is; else it compiled the text."""
    flags, seconds, size = (int.from_bytes(header[at : at + 4], "little") for at in (4, 8, 12))
    state = file.stat()
    return bool(flags) or (seconds, size) == (int(state.st_mtime) & _WORD, state.st_size & _WORD)


_WORD = 0xFFFFFFFF


@cache
def _process_start_ns() -> int:
    """Return when this process, or the one that it was forked from, began; 0 if unknown."""
    try:
        pid, began, stack = os.getpid(), 0, ""
        while True:  # a process and the one that it was forked from have their stack at the same address
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if stack not in ("", fields[_STACK]):
                break
            pid, began, stack = int(fields[_PARENT]), int(fields[_BEGAN]), fields[_STACK]
        lasted_s = time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):  # no Linux
        return 0
    return time.time_ns() - int(lasted_s * 1e9)


_PARENT, _BEGAN, _STACK = 1, 19, 25
"""Places of values in /proc/PID/stat, counted after the program's name: see proc_pid_stat(5)."""
