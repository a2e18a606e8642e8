from baton.engines.airflow.dag import airflow_dag

dag = airflow_dag("/srv/trips")  # the project's folder
