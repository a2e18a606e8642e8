"""The settings of the engine ``prefect``."""

from __future__ import annotations

from typing import Annotated, Literal

from baton.core.parameters import Parameters, parameter


class PrefectSettings(Parameters, frozen=True):
    """Where the engine prefect runs its tasks."""

    task_runner: Annotated[
        Literal["threads", "dask"],
        parameter("Prefect's task runner: local threads, or the processes of a Dask cluster"),
    ] = "threads"
    dask_address: Annotated[
        str | None,
        parameter("Dask scheduler such as tcp://HOST:8786 for task runner dask; none starts a cluster"),
    ] = None
