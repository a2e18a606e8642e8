"""Test support for authors of engines, kinds and pipelines.

Test your own kind with one line, ``check_kind(MyKind, value)``, and your own engine with a short test
file::

    from baton.testing import EngineSuite


    class TestMyEngine(EngineSuite):
        engine = "mine"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from baton.testing.kind_check import check_kind
from baton.testing.reporting import RecordingReporter

if TYPE_CHECKING:
    from baton.testing.engine_suite import EngineSuite

__all__ = ["EngineSuite", "RecordingReporter", "check_kind"]


def __getattr__(name: str) -> Any:
    """Import the suite when it is asked for: it needs pytest, and interpreters that try a kind do not."""
    if name == "EngineSuite":
        from baton.testing.engine_suite import EngineSuite

        return EngineSuite
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
