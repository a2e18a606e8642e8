"""How tests of faults ended is recorded as it was, and nothing else is told in the docs."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAULTS = """
import pytest

pytestmark = pytest.mark.fault("what", "outcome")

@pytest.mark.parametrize("good", [True, False, True])
def test_mixed(good):
    assert good

def test_good():
    pass

def test_not_here():
    pytest.skip("this user may not mount")
"""


def test_the_worst_case_and_the_reason_are_recorded_and_tests_that_are_gone_are_dropped(tmp_path):
    (tmp_path / "test_some.py").write_text(FAULTS)
    file = tmp_path / "results.json"
    known = {"outcome": "passed", "reason": "", "duration_s": 1.0, "cases": 1, "date": "2020-01-01"}
    file.write_text(json.dumps({"test_some.py::test_gone": known}))
    words = [
        "-p",
        "tests.record_faults",
        "--record-faults",
        str(file),
        "-c",
        os.devnull,
        "--rootdir",
        tmp_path,
    ]
    ended = subprocess.run([sys.executable, "-m", "pytest", *words, tmp_path], cwd=ROOT, capture_output=True)
    assert ended.returncode == 1, ended.stdout
    told = {
        name: (one["outcome"], one["cases"], one["reason"])
        for name, one in json.loads(file.read_text()).items()
    }
    assert told == {
        "test_some.py::test_good": ("passed", 1, ""),
        "test_some.py::test_mixed": ("failed", 3, ""),
        "test_some.py::test_not_here": ("skipped", 1, "this user may not mount"),
    }


def test_every_recorded_test_of_a_fault_exists():
    for test in json.loads((ROOT / "docs" / "explanation" / "faults.json").read_text()):
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(), test
