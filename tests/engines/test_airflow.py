from baton.testing import EngineSuite


class TestAirflowEngine(EngineSuite):
    engine = "airflow"
