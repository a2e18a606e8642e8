"""The Airflow engine: a DAG for Airflow's scheduler, and local runs through Airflow's test runner."""
