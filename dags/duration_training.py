"""Copy this into Airflow's dags folder and name your project's folder; see docs/how-to/airflow.md."""

from baton.engines.airflow.dag import airflow_dag

dag = airflow_dag("/srv/trips")
