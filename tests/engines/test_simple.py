from baton.testing import EngineSuite


class TestSimpleEngine(EngineSuite):
    engine = "simple"
