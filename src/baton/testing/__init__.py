"""What authors of engines, kinds and pipelines need for their tests.

A kind of your own proves itself with one line, ``check_kind(MyKind, value)``, and a third party's engine
with a test file of a few::

    from baton.testing import EngineSuite


    class TestMyEngine(EngineSuite):
        engine = "mine"
"""

from baton.testing.engine_suite import EngineSuite
from baton.testing.kind_check import check_kind
from baton.testing.reporting import RecordingReporter

__all__ = ["EngineSuite", "RecordingReporter", "check_kind"]
