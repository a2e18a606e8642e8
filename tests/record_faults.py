"""Records how tests of faults ended, for the table that ``docs/generate.py`` writes.

``python -m pytest -m fault -p tests.record_faults --record-faults FILE`` writes each result into a JSON
file; what it tells of tests that did not run this time stays there, except of tests that are gone.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# The worst comes first: one case that failed is what is told of a test.
OUTCOMES = ("failed", "skipped", "passed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-faults", metavar="FILE", type=Path, help="record how tests of faults ended")


def pytest_configure(config: pytest.Config) -> None:
    if file := config.getoption("--record-faults"):
        config.pluginmanager.register(Recorder(file, config.rootpath))


@dataclass(eq=False)  # pytest keeps plugins in a set
class Recorder:
    """Gathers the outcomes of one session, over all cases of a parametrised test."""

    file: Path
    root: Path
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    cases: dict[str, dict[str, str]] = field(default_factory=dict)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        report = yield
        if item.get_closest_marker("fault") is not None:
            file, *_classes, name = item.nodeid.partition("[")[0].split("::")
            self._take(f"{file}::{name}", item.nodeid, report)
        return report

    def _take(self, test: str, case: str, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        known = self.ended.setdefault(test, {"outcome": "passed", "reason": "", "duration_s": 0.0})
        self.cases.setdefault(test, {})[case] = report.outcome
        known["duration_s"] += report.duration
        if OUTCOMES.index(report.outcome) < OUTCOMES.index(known["outcome"]):
            known["outcome"] = report.outcome
            known["reason"] = _reason(report)

    def pytest_sessionfinish(self) -> None:
        """Write what was gathered beside what is known of others."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        known = json.loads(self.file.read_text(encoding="utf-8")) if self.file.exists() else {}
        for test, result in self.ended.items():
            known[test] = {
                **result,
                "duration_s": round(result["duration_s"], 1),
                "cases": len(self.cases[test]),
                "date": today,
            }
        there = {test: result for test, result in sorted(known.items()) if self._exists(test)}
        self.file.write_text(json.dumps(there, indent=2) + "\n", encoding="utf-8")

    def _exists(self, test: str) -> bool:
        file, _, name = test.partition("::")
        path = self.root / file
        return path.exists() and f"def {name}(" in path.read_text(encoding="utf-8")


def _reason(report: pytest.TestReport) -> str:
    if not report.skipped:
        return ""
    words = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return str(words).removeprefix("Skipped: ").splitlines()[0][:100]
