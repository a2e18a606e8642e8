"""Months: order, arithmetic, the training window and the month that judges."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tripduration.errors import DataError, MonthInvalid
from tripduration.months import Month, training_window, validation_month


def test_a_month_is_written_as_the_files_are_named() -> None:
    assert str(Month(2021, 1)) == "2021-01"


def test_a_month_reads_back_what_it_writes() -> None:
    assert Month.parse(str(Month(2021, 12))) == Month(2021, 12)


@pytest.mark.parametrize("written", ["2021-1", "2021-13", "2021-00", "202101", "", "0000-01"])
def test_text_that_is_no_month_is_refused(written: str) -> None:
    with pytest.raises(MonthInvalid):
        Month.parse(written)


@pytest.mark.parametrize(
    ("year", "month"), [(2021, 0), (2021, 13), (0, 1), (9999, 1), (2021, 1.0), (2021, True)]
)
def test_what_no_calendar_has_is_refused_with_a_hint(year: int, month: int) -> None:
    with pytest.raises(DataError) as caught:
        Month(year, month)
    assert caught.value.hint
    assert not caught.value.message.endswith(".")


def test_months_are_ordered_by_time() -> None:
    assert sorted([Month(2021, 2), Month(2020, 12), Month(2021, 1)]) == [
        Month(2020, 12),
        Month(2021, 1),
        Month(2021, 2),
    ]


def test_january_follows_december() -> None:
    assert Month(2020, 12).next() == Month(2021, 1)
    assert Month(2021, 1).minus(1) == Month(2020, 12)
    assert Month(2021, 1).minus(25) == Month(2018, 12)
    assert Month(2021, 1).plus(12) == Month(2022, 1)


def test_the_training_window_ends_at_the_month_named_and_starts_with_the_oldest() -> None:
    window = training_window(2021, 2, 4)
    assert [str(month) for month in window] == ["2020-11", "2020-12", "2021-01", "2021-02"]


def test_a_window_of_one_month_is_that_month() -> None:
    assert training_window(2021, 1, 1) == (Month(2021, 1),)


@pytest.mark.parametrize("train_months", [0, -1])
def test_a_window_without_months_is_refused(train_months: int) -> None:
    with pytest.raises(MonthInvalid, match="training window"):
        training_window(2021, 1, train_months)


def test_the_next_month_judges_unless_another_is_named() -> None:
    assert validation_month(2021, 12, None, None) == Month(2022, 1)
    assert validation_month(2021, 12, 2021, 6) == Month(2021, 6)


def test_half_a_validation_month_is_refused_and_the_missing_half_named() -> None:
    with pytest.raises(MonthInvalid, match="validation_month is not set"):
        validation_month(2021, 1, 2021, None)
    with pytest.raises(MonthInvalid, match="validation_year is not set"):
        validation_month(2021, 1, None, 2)


def test_importing_the_light_modules_loads_nothing_heavy() -> None:
    code = (
        "import sys, tripduration.months, tripduration.errors, tripduration.source; "
        "print(sorted({'polars', 'numpy', 'pyarrow', 'httpx', 'dataframely', 'baton'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
