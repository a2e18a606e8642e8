"""The Airflow engine: DAGs for Airflow's scheduler, and local runs with Airflow's test runner."""
