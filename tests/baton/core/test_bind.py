"""One task many times: copies with other inputs and fixed values, and DAGs made of DAGs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from baton import Dag, Json, Parameters, Period, Scan, Table, api, flatten, task
from baton.codetrace.reader import CodeReader
from baton.core.task import AnyTask
from baton.errors import InvalidPipeline
from baton.runs.project import Project
from baton.store.key import describe_work


class Rows(Parameters, frozen=True):
    rows: int = 3


class Months(Parameters, frozen=True):
    year: int = 2021
    month: int = 1


@task
def data(rows: int) -> Json:
    return list(range(rows))


@task
def other_data(rows: int) -> Json:
    return [-one for one in range(rows)]


@task
def scaled(data: Json, factor: float) -> Json:
    return [factor * one for one in data]


@task
def difference(one: Json, other: Json) -> Json:
    return [a - b for a, b in zip(one, other, strict=True)]


@task
def sums(parts: Mapping[str, Json]) -> Json:
    return [[name, sum(numbers)] for name, numbers in parts.items()]


@task(outputs=("low", "high"))
def ends(data: Json) -> tuple[Json, Json]:
    return min(data), max(data)


@task
def table() -> Table: ...


@task(effect=True, after="difference")
def publish(difference: Json) -> None: ...


twice, thrice = scaled.bind("twice", factor=2), scaled.bind("thrice", factor=3)
swept = Dag("swept", [data, twice, thrice, sums.bind("totals", parts=[twice, thrice])], parameters=Rows)


_copies = [twice, thrice, scaled.bind("fourfold", factor=4)]
wider = Dag("swept", [data, *_copies, sums.bind("totals", parts=_copies)], parameters=Rows)
_more = scaled.bind("twice", factor=2.5)
changed = Dag("swept", [data, _more, thrice, sums.bind("totals", parts=[_more, thrice])], parameters=Rows)


def one_way(first: str, second: str) -> Dag:
    compared = difference.bind("compared", one=first, other=second)
    return Dag("compared", [data, other_data, compared], parameters=Rows)


there, back = one_way("data", "other_data"), one_way("other_data", "data")
both = swept.under("north") + swept.under("south")


def outcomes(folder: Path, name: str, **options: object) -> dict[str, str]:
    """Run a DAG of this module with the cache and return how each task ended."""
    report = api.run(opened(folder, name, **options), use_cache=True)
    assert report.is_good, report.tasks
    return {one.task: one.outcome.value for one in report.tasks}


def opened(folder: Path, name: str, **options: object) -> Project:
    reference = f"tests.baton.core.test_bind:{name}"
    return api.open_project(folder=folder, options={"pipeline": reference, **options}, environ={})


def loaded(folder: Path, artifact: str) -> object:
    """Return the JSON value of the artifact that was made last under a name."""
    project = opened(folder, "swept")
    report = api.run(project, use_cache=True)
    return project.store.load(report.artifacts[artifact], Json)


def problems_of(*tasks: AnyTask | Dag, parameters: type[Parameters] = Rows) -> str:
    with pytest.raises(InvalidPipeline) as caught:
        Dag("wrong", tasks, parameters=parameters)
    return str(caught.value)


class TestBind:
    def test_a_copy_has_its_own_name_output_and_values(self):
        assert (twice.name, list(twice.outputs), dict(twice.fixed)) == ("twice", ["twice"], {"factor": 2.0})
        assert twice.function is scaled.function
        assert twice([1, 2], factor=5) == [5, 10]

    def test_copies_are_one_group(self):
        assert {task.name for task in swept.members("scaled")} == {"twice", "thrice"}
        assert scaled.bind("twice", factor=2, group="grid").group == "grid"

    def test_several_outputs_get_the_name_before_theirs(self):
        assert list(ends.bind("first").outputs) == ["first_low", "first_high"]
        assert list(ends.bind("first", outputs=("a", "b")).outputs) == ["a", "b"]

    def test_a_copy_can_be_bound_further(self):
        again = scaled.bind("half", factor=0.5).bind("half_of_other", data="other_data")
        assert dict(again.inputs) == {"other_data": Json}
        assert dict(again.fixed) == {"factor": 0.5}

    def test_elements_have_the_names_of_their_artifacts_or_given_keys(self, tmp_path):
        assert loaded(tmp_path, "totals") == [["twice", 6], ["thrice", 9]]
        keyed = sums.bind("totals", parts={"2": twice, "3": "thrice"})
        assert keyed.arguments["parts"].elements == {"2": "twice", "3": "thrice"}

    def test_a_value_that_was_fixed_is_checked_when_it_is_fixed_anew(self):
        again = scaled.bind("half", factor=0.5).bind("most", factor="much")
        assert again.problems == ("bind argument 'factor': expected a number, got a text",)

    def test_two_arguments_may_read_one_artifact_in_two_ways(self):
        @task
        def compared(one: Table, other: Scan) -> Json: ...

        bound = compared.bind("compared", one="table", other="table")
        assert Dag("both", [table, bound]).upstream_of(bound) == (table,)

    def test_what_waits_for_tasks_can_wait_for_others(self):
        assert publish.bind("publish_it").after == ("difference",)
        assert publish.bind("publish_it", after="twice").after == ("twice",)


class TestKey:
    def test_one_more_value_runs_only_its_own_copy_and_what_takes_all(self, tmp_path):
        outcomes(tmp_path, "swept")
        assert outcomes(tmp_path, "wider") == {
            "data": "cached",
            "twice": "cached",
            "thrice": "cached",
            "fourfold": "succeeded",
            "totals": "succeeded",
        }

    def test_another_fixed_value_is_other_work(self, tmp_path):
        outcomes(tmp_path, "swept")
        ended = outcomes(tmp_path, "changed")
        assert ended["twice"] == ended["totals"] == "succeeded"
        assert ended["thrice"] == "cached"

    def test_swapped_inputs_are_other_work_even_where_all_bytes_are_the_same(self, tmp_path):
        outcomes(tmp_path, "there", rows=1)
        assert outcomes(tmp_path, "there", rows=1)["compared"] == "cached"
        assert outcomes(tmp_path, "back", rows=1)["compared"] == "succeeded"

    def test_the_reason_names_the_argument(self, tmp_path):
        outcomes(tmp_path, "there")
        reason = next(one.reason for one in api.plan(opened(tmp_path, "back")) if one.task == "compared")
        assert reason == "argument one 'data' -> 'other_data'; argument other 'other_data' -> 'data'"

    def test_an_artifact_that_is_read_in_another_way_is_other_work(self):
        def width(table): ...

        keys, bound = [], []
        for kind in (Table, Scan):
            width.__annotations__ = {"table": kind, "return": Json}
            bound.append(task(width))
            keys.append(describe_work(bound[-1], {}, {}, CodeReader()).key)
        assert len(set(keys)) == 2
        assert [dict(one.readers) for one in bound] == [{}, {"table": "baton.kinds.polars:_ScanKind"}]

    def test_the_keys_of_tasks_that_are_not_bound_stay(self):
        assert data.bound == {}
        assert difference.bound == {}


class TestWrong:
    def test_a_task_that_takes_several_must_be_told_which(self):
        assert "argument 'parts' takes several artifacts: say which with sums.bind(..., parts=[...])" in (
            problems_of(data, sums)
        )

    @pytest.mark.parametrize(
        ("bound", "said"),
        [
            (scaled.bind("a", faktor=2), "bind argument 'faktor': 'scaled' has no such argument"),
            (
                scaled.bind("a", factor="much"),
                "bind argument 'factor': expected a number, got a text",
            ),
            (scaled.bind("a", factor=1, data=3), "bind argument 'data': expected a task or the name of an"),
            (
                scaled.bind("a", factor=1, data=table),
                "bind argument 'data': 'table' is table, but it takes json",
            ),
            (
                scaled.bind("a", factor=1, data=ends),
                "task 'ends' makes low, high: give the name of one artifact",
            ),
            (scaled.bind("a", factor=1, data=publish), "task 'publish' makes no artifact"),
            (scaled.bind("a", factor=1, data="dta"), "no task makes its input 'dta'; did you mean 'data'?"),
            (
                sums.bind("a", parts=[data, data]),
                "bind argument 'parts': two of its elements are called 'data'",
            ),
            (sums.bind("a", parts=[]), "bind argument 'parts': it must take at least one artifact"),
            (sums.bind("a", parts=data), "bind argument 'parts': it takes several artifacts: give a list"),
            (sums.bind("a", parts={1: data}), "bind argument 'parts': its elements must be named by texts"),
            (ends.bind("a", outputs=("b",)), "it names 1 outputs and returns 2"),
            (scaled.bind("a b", factor=1), "task name 'a b' is not an identifier"),
            (data.bind("data"), "two tasks are called 'data'"),
        ],
    )
    def test_is_told_with_the_task(self, bound, said):
        assert said in problems_of(data, bound)


class TestJoined:
    def test_a_dag_stands_for_its_tasks_and_brings_its_parameters(self):
        @task
        def report(totals: Json, month: int) -> Json: ...

        joined = Dag("all", [swept, report], parameters=Months)
        assert [one.name for one in joined.order] == ["data", "twice", "thrice", "totals", "report"]
        assert set(joined.parameters.__struct_fields__) == {"rows", "year", "month"}

    def test_two_can_be_added_and_share_tasks(self):
        both = one_way("data", "other_data") + swept
        assert [one.name for one in both.tasks] == [
            "data",
            "other_data",
            "compared",
            "twice",
            "thrice",
            "totals",
        ]
        assert both.name == "compared"
        assert both.parameters is Rows

    def test_one_can_stand_in_another_twice_under_prefixes(self, tmp_path):
        assert both.target_names == (
            "north_data",
            "north_scaled",
            "north_sums",
            "south_data",
            "south_scaled",
            "south_sums",
            *("north_twice", "north_thrice", "north_totals", "south_twice", "south_thrice", "south_totals"),
        )
        assert set(outcomes(tmp_path, "both").values()) == {"succeeded"}

    def test_what_waits_and_the_default_get_the_prefix_too(self):
        tasks = [data, other_data, difference.bind("difference", one="data", other="other_data"), publish]
        under = Dag("published", tasks, parameters=Rows, default="publish").under("a")
        assert under.default == "a_publish"
        assert under.task("a_publish").after == ("a_difference",)

    def test_a_parameter_that_both_declare_differently_is_refused(self):
        class Other(Parameters, frozen=True):
            rows: int = 4

        assert "parameter 'rows' differs between" in problems_of(swept, parameters=Other)

    def test_defaults_that_are_lists_come_along(self):
        class Lists(Parameters, frozen=True):
            months: list[int] = msgspec.field(default_factory=lambda: [1, 2])

        joined = Dag("all", [swept], parameters=Lists).parameters
        assert flatten(joined()) == {"months": [1, 2], "rows": 3}

    def test_different_periods_are_refused(self):
        monthly = Dag("monthly", [data], parameters=Rows, period=None)
        assert monthly.period is None
        years = Dag("y", [table], parameters=Months, period=Period("year", ("year",)))
        months = Dag("m", [table], parameters=Months, period=Period("month", ("year", "month")))
        assert "its parts have different periods" in problems_of(years, months)
