"""How a process begins and ends."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
os.getloadavg = lambda: (float(sys.argv[1]) * len(os.sched_getaffinity(0)), 0, 0)
lowered = []
os.nice = lowered.append
os.sched_setscheduler = lambda *_: None
from baton.processes.lifecycle import lower_priority
lower_priority()
print(lowered)
"""


@pytest.mark.parametrize(("load", "lowered"), [("0.2", "[19]"), ("1.5", "[]")], ids=["quiet", "busy"])
def test_a_process_lowers_its_priority_only_on_a_quiet_machine(load: str, lowered: str) -> None:
    """On a busy one it would still wait for the CPU when it is needed, and cannot raise it again."""
    words = [sys.executable, "-c", PROGRAM, load]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == lowered
