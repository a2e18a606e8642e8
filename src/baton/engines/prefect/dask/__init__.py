"""Prefect's Dask task runner: the flow runs here, its tasks in the processes of a Dask cluster."""
