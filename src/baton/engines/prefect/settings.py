"""The settings of the engine ``prefect``."""

from __future__ import annotations

from typing import Annotated, Literal

from baton.core.parameters import Parameters, parameter


class PrefectSettings(Parameters, frozen=True):
    """Where the engine prefect has its tasks run."""

    task_runner: Annotated[
        Literal["threads", "dask"],
        parameter("Prefect's task runner: threads of this machine, or processes of a Dask cluster"),
    ] = "threads"
    dask_address: Annotated[
        str | None,
        parameter(
            "Dask's scheduler, as tcp://HOST:8786, for task runner dask; none means a cluster of its own"
        ),
    ] = None
