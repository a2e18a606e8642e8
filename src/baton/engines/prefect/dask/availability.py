"""Check that Dask can be used, before anything else starts."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from baton.core.addresses import without_secrets
from baton.errors import ExtraMissing, Unavailable

CONNECT_WITHIN_S = 5.0
_NEEDED = ("prefect_dask", "distributed")


def require_dask() -> None:
    """Raise `ExtraMissing` unless the task runner's packages are installed; import nothing."""
    if any(importlib.util.find_spec(package) is None for package in _NEEDED):
        raise ExtraMissing("task runner 'dask'", "dask")


def require_scheduler(address: str) -> None:
    """Check that a Dask scheduler answers.

    Raises
    ------
    Unavailable
        If none answers at the address within a few seconds.
    """
    from distributed import Client

    try:
        Client(address, timeout=CONNECT_WITHIN_S, set_as_default=False).close()
    except Exception as error:  # a wrong address, or anything a wrong server raises
        raise no_scheduler(address, error) from error


@contextmanager
def quiet_dask() -> Iterator[None]:
    """Keep Dask from writing to the terminal: errors are in exceptions and reports."""
    import distributed  # sets up its loggers, each with its own level

    names = [name for name in logging.root.manager.loggerDict if name.startswith(distributed.__name__)]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def no_scheduler(address: str, error: Exception) -> Unavailable:
    """Return the error for a Dask scheduler that cannot be used."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return Unavailable(
        f"the Dask scheduler at {without_secrets(address)} cannot be used: {lines[0][:200]}",
        "start one with: dask scheduler; or unset dask_address to start a cluster for the run",
    )
