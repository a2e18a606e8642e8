"""A task that is skipped: by its condition, by itself, and what a plan says of it."""

from __future__ import annotations

import pytest

from baton import Dag, Json, Parameters, Skip, Table, api, task
from baton.errors import InvalidPipeline
from baton.stepwise import StepwisePipeline


class Chosen(Parameters, frozen=True):
    weekday: int = 1
    limit: int = 2


def is_monday(weekday: int) -> bool:
    return weekday == 1


def is_above(numbers: Json, limit: int) -> bool:
    return sum(numbers) > limit


def never() -> bool:
    raise RuntimeError("the calendar is not there")


@task
def numbers() -> Json:
    return [1, 2]


@task(when=is_monday)
def weekly(weekday: int) -> Json:
    return weekday


@task(when=is_above)
def large(numbers: Json, limit: int) -> Json:
    return numbers


@task
def report(weekly: Json, large: Json) -> Json:
    return [weekly, large]


@task(when=never)
def broken() -> Json:
    return 1


@task(retries=2, retry_delay_s=0)
def picky(numbers: Json) -> Json:
    raise Skip("nothing new")


dag = Dag("skips", [numbers, weekly, large, report], parameters=Chosen, default="report")
failing = Dag("failing", [broken])
once = Dag("once", [numbers, picky])


def opened(folder, name="dag", **options):
    options = {"pipeline": f"tests.baton.core.test_skip:{name}", **options}
    return api.open_project(folder=folder, options=options, environ={})


def ended(folder, name="dag", **options):
    return api.run(opened(folder, name, **options), use_cache=True)


def test_a_condition_that_holds_changes_nothing(tmp_path):
    assert {one.outcome.value for one in ended(tmp_path).tasks} == {"succeeded"}
    assert {one.outcome.value for one in ended(tmp_path).tasks} == {"cached"}


def test_a_condition_on_a_parameter_or_an_input_skips_the_task_and_what_needs_it(tmp_path):
    report = ended(tmp_path, weekday=2, limit=5)
    assert report.is_good
    assert {one.task: (one.outcome.value, one.reason) for one in report.tasks if not one.outputs} == {
        "weekly": ("skipped", "is_monday(weekday=2) is false"),
        "large": ("skipped", "is_above(numbers=[1, 2], limit=5) is false"),
        "report": ("skipped", "'weekly' skipped"),
    }


def test_a_cached_result_is_not_used_where_the_condition_does_not_hold(tmp_path):
    ended(tmp_path)
    assert ended(tmp_path, limit=5).outcome_of("large").value == "skipped"


def test_a_plan_knows_what_would_be_skipped(tmp_path):
    ended(tmp_path)
    planned = {one.task: (one.verb, one.reason) for one in api.plan(opened(tmp_path, limit=9))}
    assert planned["large"] == ("skip", "is_above(numbers=[1, 2], limit=9) is false")
    assert planned["report"] == ("skip", "'large' would be skipped")
    assert planned["weekly"][0] == "cached"
    explained = api.explain(opened(tmp_path, limit=9), "large")
    assert (explained.would_run, explained.would_skip) == (False, True)


def test_a_task_that_skips_itself_is_not_retried(tmp_path):
    report = ended(tmp_path, "once")
    assert report.is_good
    assert (report.of("picky").reason, report.of("picky").attempts) == ("nothing new", 1)


def test_a_condition_that_raises_fails_the_task(tmp_path):
    failure = ended(tmp_path, "failing").of("broken").failure
    assert failure is not None
    assert failure.message.endswith(": RuntimeError: the calendar is not there")


def test_a_condition_on_what_the_task_does_not_take_is_refused():
    @task(when=is_monday)
    def other(limit: int) -> Json: ...

    with pytest.raises(InvalidPipeline, match="'other': when= takes 'weekday', which the task does not take"):
        Dag("wrong", [other], parameters=Chosen)


def test_a_condition_on_a_large_input_is_refused():
    def is_long(table: Table) -> bool: ...

    @task
    def table() -> Table: ...

    @task(when=is_long)
    def other(table: Table) -> Json: ...

    with pytest.raises(
        InvalidPipeline, match="when= takes 'table', a table: it may take parameters and inputs"
    ):
        Dag("wrong", [table, other])


def test_a_step_that_is_skipped_is_no_failure(tmp_path):
    pipeline = StepwisePipeline(opened(tmp_path, weekday=2))
    with pipeline:
        reports = pipeline.step("report")
    assert [one.outcome.value for one in reports] == ["succeeded", "skipped", "succeeded", "skipped"]
