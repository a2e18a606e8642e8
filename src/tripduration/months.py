"""Months of trip data: for training and for validation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from tripduration.errors import MonthInvalid

_WRITTEN = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month, ordered by time.

    Parameters
    ----------
    year
        1 to 9998.
    month
        1 (January) to 12.

    Raises
    ------
    MonthInvalid
        The year or the month is not a whole number in its range.

    Examples
    --------
    >>> str(Month(2021, 12).next())
    '2022-01'
    >>> Month(2021, 1).minus(1) < Month(2021, 1)
    True
    """

    year: int
    month: int

    def __post_init__(self) -> None:
        """Reject invalid months."""
        if type(self.year) is not int or not 1 <= self.year <= 9998:
            raise MonthInvalid(
                f"the year {self.year!r} is not a whole number from 1 to 9998",
                hint="yellow-taxi trips are published from 2009-01 on, green-taxi trips from 2013-08 on",
            )
        if type(self.month) is not int or not 1 <= self.month <= 12:
            raise MonthInvalid(
                f"the month {self.month!r} is not a whole number from 1 to 12",
                hint="1 is January, 12 is December",
            )

    def __str__(self) -> str:
        """Return the month as in the names of trip files."""
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def parse(cls, written: str) -> Month:
        """Read a month written as ``YYYY-MM``.

        Raises
        ------
        MonthInvalid
            `written` has another form, or is not a valid month.
        """
        match = _WRITTEN.fullmatch(written)
        if match is None:
            raise MonthInvalid(f"{written!r} is not a month", hint="write it as YYYY-MM")
        return cls(int(match[1]), int(match[2]))

    def plus(self, months: int) -> Month:
        """Return the month `months` later, or earlier if negative."""
        year, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Month(year, month + 1)

    def minus(self, months: int) -> Month:
        """Return the month `months` earlier."""
        return self.plus(-months)

    def next(self) -> Month:
        """Return the next month; January follows December."""
        return self.plus(1)

    @property
    def begins(self) -> datetime:
        """The start of the month, without a time zone, as in trip files."""
        return datetime(self.year, self.month, 1)


def training_window(year: int, month: int, train_months: int) -> tuple[Month, ...]:
    """Return the `train_months` months that end at `year`-`month`, oldest first.

    Raises
    ------
    MonthInvalid
        The last month is invalid, or `train_months` is below 1.

    Examples
    --------
    >>> [str(month) for month in training_window(2021, 1, 2)]
    ['2020-12', '2021-01']
    """
    last = Month(year, month)
    if type(train_months) is not int or train_months < 1:
        raise MonthInvalid(
            f"a training window of {train_months!r} months is empty",
            hint="set train_months to 1 or more",
        )
    return tuple(last.minus(back) for back in reversed(range(train_months)))


def validation_month(
    year: int, month: int, validation_year: int | None, validation_month: int | None
) -> Month:
    """Return the validation month of a model whose training window ends at `year`-`month`.

    Parameters
    ----------
    year, month
        The last training month.
    validation_year, validation_month
        The validation month, both or neither; None means the month after the last training month.

    Raises
    ------
    MonthInvalid
        A month is invalid, or only one of the two is given.

    Examples
    --------
    >>> str(validation_month(2021, 12, None, None))
    '2022-01'
    """
    following = Month(year, month).next()
    if validation_year is None and validation_month is None:
        return following
    if validation_year is None or validation_month is None:
        missing = "validation_year" if validation_year is None else "validation_month"
        raise MonthInvalid(
            f"the validation month is incomplete: {missing} is not set",
            hint="set both validation_year and validation_month, or neither",
        )
    return Month(validation_year, validation_month)
