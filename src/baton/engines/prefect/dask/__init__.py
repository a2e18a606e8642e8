"""Prefect's Dask task runner: a flow here, its tasks in the processes of a Dask cluster."""
