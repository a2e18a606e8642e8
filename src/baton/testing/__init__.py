"""Test support for authors of engines, kinds and pipelines.

Test your own kind with one line, ``check_kind(MyKind, value)``, and your own engine with a short test
file::

    from baton.testing import EngineSuite


    class TestMyEngine(EngineSuite):
        engine = "mine"
"""

from baton.testing.engine_suite import EngineSuite
from baton.testing.kind_check import check_kind
from baton.testing.reporting import RecordingReporter

__all__ = ["EngineSuite", "RecordingReporter", "check_kind"]
