"""The worker's process where something goes wrong that nobody foresaw."""

import subprocess
import sys

from baton.engines.protocol import Join, encode


def test_a_defect_ends_the_process_in_order_while_its_parent_still_talks():
    with subprocess.Popen(
        [sys.executable, "-m", "baton.engines.worker_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(encode(Join(spec={})))
        process.stdin.flush()
        told = process.stderr.read().decode()
        assert process.wait(30) == 1, told
    assert "KeyError" in told
    assert "Fatal Python error" not in told
