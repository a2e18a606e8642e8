"""The engine that runs a pipeline as a Prefect flow.  Its modules load Prefect, so they are imported late."""
