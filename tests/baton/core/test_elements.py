"""Tasks that run once for each of several elements, which are known when a run begins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from baton import Dag, File, InputFolder, Json, Parameters, Table, api, task
from baton.core.task import AnyTask
from baton.errors import BatonError, InvalidPipeline, UsageError
from baton.runs.project import Project


class Window(Parameters, frozen=True):
    first: int = 1
    count: int = 2
    rates: tuple[float, ...] = (0.1, 0.5)
    texts: tuple[str, ...] = ("a", "b")
    notes: InputFolder = Path("notes")


def months_of(first: int, count: int) -> dict[str, int]:
    return {f"m{month:02d}": month for month in range(first, first + count)}


def failing(first: int) -> list[int]:
    return [1 // (first - first)]


@task(over={"month": months_of})
def extract(month: int) -> Json:
    return [month] * 2


@task(over=extract)
def clean(extract: Json) -> Json:
    return sum(extract)


@task
def total(clean: Mapping[str, Json]) -> Json:
    return clean


@task(over={"rate": "rates"})
def score(rate: float, total: Json) -> Json:
    return round(rate * sum(total.values()), 3)


@task
def best(scores: Mapping[str, Json]) -> Json:
    return max(scores.values())


@task(over={"note": "notes"})
def read(note: File) -> Json:
    return note.read_text(encoding="utf-8")


@task(over=extract, after="extract", effect=True)
def publish(extract: Json) -> None: ...


window = Dag("window", [extract, clean, total], parameters=Window)
nested = Dag("nested", [window, score, best.bind("best", scores=score)], parameters=Window)
files = Dag("files", [read], parameters=Window)
prefixed = window.under("north")


def opened(folder: Path, name: str, **options: object) -> Project:
    reference = f"tests.baton.core.test_elements:{name}"
    return api.open_project(folder=folder, options={"pipeline": reference, **options}, environ={})


def outcomes(folder: Path, name: str, *targets: str, **options: object) -> dict[str, str]:
    report = api.run(opened(folder, name, **options), targets, use_cache=True)
    assert report.is_good, report.tasks
    return {one.task: one.outcome.value for one in report.tasks}


def value(folder: Path, name: str, artifact: str, **options: object) -> Any:
    project = opened(folder, name, **options)
    return project.store.load(api.run(project, use_cache=True).artifacts[artifact], Json)


def problems_of(*tasks: AnyTask) -> str:
    with pytest.raises(InvalidPipeline) as caught:
        Dag("wrong", tasks, parameters=Window)
    return str(caught.value)


class TestElements:
    def test_each_has_its_task_and_its_key(self, tmp_path):
        assert list(outcomes(tmp_path, "window")) == [
            *("extract_m01", "extract_m02", "clean_m01", "clean_m02", "total")
        ]
        assert outcomes(tmp_path, "window", first=2) == {
            "extract_m02": "cached",
            "extract_m03": "succeeded",
            "clean_m02": "cached",
            "clean_m03": "succeeded",
            "total": "succeeded",
        }

    def test_a_task_over_another_takes_its_artifacts_one_by_one_and_any_other_takes_all(self, tmp_path):
        assert value(tmp_path, "window", "total") == {"m01": 2, "m02": 4}

    def test_values_come_from_a_list_too_and_a_bound_argument_takes_all(self, tmp_path):
        assert value(tmp_path, "nested", "best") == 3.0
        assert {"score_0_1", "score_0_5"} <= outcomes(tmp_path, "nested").keys()

    def test_the_files_of_a_folder_are_elements(self, tmp_path):
        (tmp_path / "notes").mkdir()
        for name in ("a.txt", "b.txt"):
            (tmp_path / "notes" / name).write_text(name)
        assert outcomes(tmp_path, "files", "read").keys() >= {"read_a_txt", "read_b_txt"}
        (tmp_path / "notes" / "b.txt").write_text("new")
        ended = outcomes(tmp_path, "files")
        assert (ended["read_a_txt"], ended["read_b_txt"]) == ("cached", "succeeded")
        assert value(tmp_path, "files", "read_b_txt") == "new"

    def test_all_of_them_and_one_of_them_are_targets(self, tmp_path):
        assert list(outcomes(tmp_path, "window", "extract")) == ["extract_m01", "extract_m02"]
        assert list(outcomes(tmp_path, "window", "clean_m02")) == ["extract_m02", "clean_m02"]

    def test_what_waits_for_a_task_waits_for_its_element_or_for_all(self, tmp_path):
        project = opened(tmp_path, "window")
        last = task(effect=True, after="extract")(publish.function).bind("last", extract="total")
        dag = Dag("w", [window, publish, last], parameters=Window).expanded(project.elements)
        assert dag.task("publish_m02").after == ("extract_m02",)
        assert dag.task("last").after == ("extract_m01", "extract_m02")

    def test_a_version_and_a_condition_may_take_the_element(self, tmp_path):
        def version_of(month: int) -> str:
            return f"v{month}"

        def is_even(month: int) -> bool:
            return month % 2 == 0

        choosy = task(over={"month": months_of}, version=version_of, when=is_even)(extract.function)
        dag = Dag("d", [choosy], parameters=Window).expanded({"extract": {"m01": 1}})
        assert dag.task("extract_m01").fixed == {"month": 1}

    def test_a_prefix_keeps_them_together(self, tmp_path):
        assert "north_clean_m02" in outcomes(tmp_path, "prefixed")

    def test_a_worker_gets_those_that_were_found(self, tmp_path):
        (tmp_path / "notes").mkdir()
        (tmp_path / "notes" / "a.txt").write_text("a")
        project = opened(tmp_path, "files")
        assert project.elements == {"read": {"a_txt": "notes/a.txt"}}
        later = api.open_project(
            folder=tmp_path,
            options={"pipeline": "tests.baton.core.test_elements:files"},
            environ={},
            elements={"read": {"b_txt": "notes/b.txt"}},
        )
        assert "read_b_txt" in [one.name for one in later.dag.tasks]


class TestWrong:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"rates": [0.1, 0.1]}, "task 'score' runs over two elements called '0_1'; look at rates"),
            ({"rates": []}, "task 'score' has no elements: rates gives none"),
            ({"count": 0}, "task 'extract' has no elements: months_of() gives none"),
        ],
    )
    def test_elements_are_refused_before_work_starts(self, tmp_path, options, said):
        with pytest.raises(UsageError) as caught:
            api.run(opened(tmp_path, "nested", **options))
        assert "; ".join(filter(None, [caught.value.message, caught.value.hint])) == said

    def test_a_function_that_fails_is_named(self, tmp_path):
        project = opened(tmp_path, "window")
        dag = Dag("d", [task(over={"month": failing})(extract.function)], parameters=Window)
        with pytest.raises(UsageError) as caught:
            dag.elements(project.configuration.parameters, lambda _: [])
        assert caught.value.message == (
            "over= of task 'extract' fails: ZeroDivisionError: integer division or modulo by zero"
        )
        assert caught.value.hint == "see tests.baton.core.test_elements:failing"

    def test_an_element_that_does_not_exist_is_told_with_the_nearest(self, tmp_path):
        with pytest.raises(BatonError, match="no target 'clean_m09'; did you mean 'clean_m0"):
            api.run(opened(tmp_path, "window"), ["clean_m09"])

    def test_a_value_of_another_type_is_told_with_its_element(self, tmp_path):
        dag = Dag("d", [task(over={"month": "texts"})(extract.function)], parameters=Window)
        with pytest.raises(UsageError, match="task 'extract': element 'a' is 'a': expected a whole number"):
            dag.expanded({"extract": {"a": "a"}})

    @pytest.mark.parametrize(
        ("tasks", "said"),
        [
            (
                [task(over={"mont": months_of})(extract.function)],
                "over= gives values to 'mont', which the function does not take; did you mean 'month'?",
            ),
            (
                [task(over={"month": "rats"})(extract.function)],
                "over= takes 'rats', which is not a parameter; did you mean 'rates'?",
            ),
            (
                [task(over={"month": "first"})(extract.function)],
                "over= takes the values of 'first', which is not a list",
            ),
            (
                [task(over={"note": "texts"})(read.function)],
                "over= reads the files of 'texts', which is not an InputFolder",
            ),
            (
                [task(over="extrakt")(clean.function), extract],
                "over= names 'extrakt', which is no task with elements of its own; did you mean 'extract'?",
            ),
            (
                [extract, task(clean.function)],
                "'extract' is one artifact for each element of 'extract': annotate 'extract' Mapping",
            ),
            (
                [extract, clean, total.bind("t", clean=["clean", "extract"])],
                "bind argument 'clean' to 'clean' alone",
            ),
            (
                [task(over=3)(extract.function)],
                "over= takes a task, or one argument with what gives its values",
            ),
        ],
    )
    def test_declarations_are_told(self, tasks, said):
        assert said in problems_of(*tasks)

    def test_an_input_of_another_kind_is_no_element(self):
        @task(over={"table": "rates"})
        def of_table(table: Table) -> Json: ...

        assert "over= gives values to 'table', which takes a table" in problems_of(of_table)


def test_a_folder_that_is_missing_stops_only_what_needs_the_elements(tmp_path):
    project = opened(tmp_path, "files")
    assert api.status(project) == ()
    assert project.experiment("make") == "files-make"
    with pytest.raises(UsageError, match="the folder notes does not exist"):
        api.plan(project)
