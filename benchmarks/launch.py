"""Start one command, wait for it, and write what it cost as JSON: ``launch.py RESULT WORD...``.

It is a process of its own, and imports next to nothing, because Linux hands the peak memory of a
starting process down to what it becomes: started from a large process, a small command would look
large.

The peak is that of ``wait4``: the largest single process among the command and those of its
descendants that were waited for.  ``resource.getrusage(RUSAGE_CHILDREN)`` would be the largest of
every command that this process ever waited for, and could never go down.
"""

import json
import os
import sys
import time


def main() -> None:
    result, *words = sys.argv[1:]
    began = time.perf_counter()
    child = os.posix_spawnp(words[0], words, os.environ)
    _, status, usage = os.wait4(child, 0)
    wall_s = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024  # bytes in ru_maxrss
    cost = {
        "code": os.waitstatus_to_exitcode(status),
        "wall_s": wall_s,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss * unit / 1024**2,
    }
    with open(result, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is an import more
        json.dump(cost, file)


if __name__ == "__main__":
    main()
