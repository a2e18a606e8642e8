"""The taxi services whose trips are published, and how their files differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tripduration.months import Month

Service = Literal["green", "yellow"]
"""Green taxis pick up outside of central Manhattan, yellow taxis anywhere in New York."""

PREFIXES: dict[Service, str] = {"green": "lpep", "yellow": "tpep"}
"""What the names of a file's times begin with, such as ``lpep_pickup_datetime``."""

_TIMES = ("pickup_datetime", "dropoff_datetime")


def published_column(name: str, service: Service) -> str:
    """Return what a service's files call a column of the contract.

    Examples
    --------
    >>> published_column("pickup_datetime", "yellow"), published_column("PULocationID", "yellow")
    ('tpep_pickup_datetime', 'PULocationID')
    """
    return f"{PREFIXES[service]}_{name}" if name in _TIMES else name


def file_name(month: Month | str, service: Service) -> str:
    """Return the published name of a month's file."""
    return f"{service}_tripdata_{month}.parquet"
