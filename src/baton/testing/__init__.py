"""Test support for authors of engines, kinds and pipelines.

Test your own tasks with `task_context`, `FakeTrackingRun` and `FakeModelRegistry`, which need no run and no
server, your own kind with one line, ``check_kind(MyKind, value)``, and your own engine with a short test
file::

    from baton.testing import EngineSuite


    class TestMyEngine(EngineSuite):
        engine = "mine"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from baton.testing.fakes import FakeModelRegistry, FakeTrackingRun, task_context
from baton.testing.kind_check import check_kind
from baton.testing.reporting import RecordingReporter

if TYPE_CHECKING:
    from baton.testing.engine_suite import EngineSuite

__all__ = [
    "EngineSuite",
    "FakeModelRegistry",
    "FakeTrackingRun",
    "RecordingReporter",
    "check_kind",
    "task_context",
]


def __getattr__(name: str) -> Any:
    """Import the suite when it is asked for: it needs pytest, and interpreters that try a kind do not."""
    if name == "EngineSuite":
        from baton.testing.engine_suite import EngineSuite

        return EngineSuite
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
