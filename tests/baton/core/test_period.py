"""A pipeline says which of its parameters hold the time that a run is about."""

import datetime
from typing import Annotated

import pytest

from baton import Dag, Json, Parameters, Period, parameter, task
from baton.errors import InvalidPipeline, UsageError

MONTHLY = Period("month", ("year", "month"), lag=2)
BY_DATE = Period("day", ["day"])


class Chosen(Parameters, frozen=True):
    year: Annotated[int, parameter("the year")] = 2021
    month: Annotated[int, parameter("the month")] = 1
    day: Annotated[datetime.date, parameter("the day")] = datetime.date(2021, 1, 1)
    name: Annotated[str, parameter("a name")] = ""


@task
def made() -> Json:
    return 1


@pytest.mark.parametrize(
    ("moment", "lag", "expected"),
    [
        (datetime.datetime(2021, 3, 1, 6, tzinfo=datetime.UTC), None, {"year": 2021, "month": 1}),
        (datetime.datetime(2021, 2, 28, tzinfo=datetime.UTC), None, {"year": 2020, "month": 12}),
        (datetime.datetime(2021, 2, 28, tzinfo=datetime.UTC), 0, {"year": 2021, "month": 2}),
        (
            datetime.datetime(2021, 3, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5))),
            0,
            {"year": 2021, "month": 2},
        ),
    ],
    ids=["as declared", "across new year", "another lag", "months are those of UTC"],
)
def test_the_period_of_a_schedule_lies_before_its_moment(moment, lag, expected):
    assert MONTHLY.before(moment, lag) == expected


def test_periods_from_one_to_another_are_named_as_people_write_them():
    found = MONTHLY.between("2020-11", "2021-01")
    assert [MONTHLY.name_of(one) for one in found] == ["2020-11", "2020-12", "2021-01"]
    days = BY_DATE.between("2021-02-27", "2021-03-01")
    assert days == [{"day": "2021-02-27"}, {"day": "2021-02-28"}, {"day": "2021-03-01"}]
    assert BY_DATE.name_of({"day": datetime.date(2021, 2, 28)}) == "2021-02-28"
    assert Period("year", ("year",)).between("2019", "2020") == [{"year": 2019}, {"year": 2020}]


@pytest.mark.parametrize("name", ["2021", "2021-13", "21-1-1", "2021-01-01", "", "x-y", "²021-01"])
def test_what_is_no_period_is_refused_with_an_example(name):
    with pytest.raises(UsageError, match=f"'{name}' is not a month") as refused:
        MONTHLY.between(name, "2021-02")
    assert refused.value.hint == "write it as 2021-01"


def test_the_last_period_comes_after_the_first():
    with pytest.raises(UsageError, match="2021-01 comes before 2021-02"):
        MONTHLY.between("2021-02", "2021-01")


@pytest.mark.parametrize(
    ("period", "problem"),
    [
        (Period("month", ("year", "mont")), "its period names 'mont', which is not a parameter"),
        (Period("month", ("year",)), "a period of one month takes whole numbers for year, month"),
        (Period("year", ("name",)), "a period of one year takes whole numbers for year"),
    ],
    ids=["no parameter", "too few", "of another type"],
)
def test_a_period_that_does_not_fit_the_parameters_is_refused(period, problem):
    with pytest.raises(InvalidPipeline, match=problem):
        Dag("p", [made], parameters=Chosen, period=period)


def test_a_part_of_a_pipeline_has_the_period_of_the_whole():
    whole = Dag("p", [made], parameters=Chosen, period=BY_DATE)
    assert whole.subset(["made"]).period is BY_DATE


def test_a_run_is_given_its_whole_period_or_nothing_of_it():
    implied = {"year": 2021, "month": 1}
    assert MONTHLY.completed({}, implied) == implied
    assert MONTHLY.completed({"year": 2019, "month": 7}, implied) == {}
    with pytest.raises(UsageError, match="missing parameter month"):
        MONTHLY.completed({"year": 2019}, implied)
