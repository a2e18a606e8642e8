"""What authors of engines and pipelines need for their tests.

A third party's engine proves itself with a test file of a few lines::

    from baton.testing import EngineSuite


    class TestMyEngine(EngineSuite):
        engine = "mine"
"""

from baton.testing.engine_suite import EngineSuite
from baton.testing.reporting import RecordingReporter

__all__ = ["EngineSuite", "RecordingReporter"]
