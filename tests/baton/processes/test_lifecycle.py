"""How a process begins and ends."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
os.getloadavg = lambda: (float(sys.argv[1]) * len(os.sched_getaffinity(0)), 0, 0)
from baton.processes.lifecycle import lower_priority
lower_priority()
print(os.nice(0) > 0)
"""


@pytest.mark.parametrize(("load", "steps_back"), [("0.2", "True"), ("1.5", "False")], ids=["quiet", "busy"])
def test_a_process_steps_back_on_a_quiet_machine_only(load: str, steps_back: str) -> None:
    """On a busy one it would wait for the processor when it is needed, and cannot take it back."""
    if os.nice(0) > 0:
        pytest.skip("the tests themselves run at low priority")
    words = [sys.executable, "-c", PROGRAM, load]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == steps_back
