"""Which month a run trains that was asked for no month."""

from __future__ import annotations

import datetime

MONTH_PARAMETERS = ("year", "month")
"""Parameters of these names, both whole numbers, say which month a pipeline works on."""

LAG_MONTHS = 2
"""From the month of a run to the one that it trains: the month between is complete, and validates."""


def implied_month(moment: datetime.datetime, lag_months: int = LAG_MONTHS) -> tuple[int, int]:
    """Return year and month that a run scheduled at `moment` trains.

    Parameters
    ----------
    moment : datetime
        The scheduled time, with its time zone; the month is that of UTC.
    lag_months : int
        How many months before the month of `moment`.

    Examples
    --------
    >>> implied_month(datetime.datetime(2021, 3, 1, 6, tzinfo=datetime.UTC))
    (2021, 1)
    >>> implied_month(datetime.datetime(2021, 2, 28, tzinfo=datetime.UTC))
    (2020, 12)
    """
    utc = moment.astimezone(datetime.UTC)
    months = utc.year * 12 + utc.month - 1 - lag_months
    return months // 12, months % 12 + 1
