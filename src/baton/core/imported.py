"""When the modules of this process were imported, as far as that is known.

Baton reads the source of a module later than Python did.  It is what runs only if the file has not been
edited in between.
"""

from __future__ import annotations

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
_MARGIN_NS = 50_000_000
"""File systems take the time of an edit from a clock that may be this much behind."""


def may_be_edited_since(module: str, file: Path) -> bool:
    """Whether the source file of a loaded module may have been edited after its import."""
    try:
        state = file.stat()
    except OSError:
        return True
    imported_ns = _process_start_ns() if module in _BEFORE else _AT_NS
    return max(state.st_mtime_ns, state.st_ctime_ns) > imported_ns - _MARGIN_NS


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
