"""The engine that runs a pipeline as a Prefect flow.  Its modules import Prefect, so import them late."""
