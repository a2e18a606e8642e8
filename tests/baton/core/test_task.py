"""Declaring a task: what its signature says, and everything that can be wrong with it."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from baton import (
    Booster,
    File,
    Files,
    Json,
    Kind,
    Matrix,
    Table,
    Task,
    TaskContext,
    TrackingRun,
    parameter,
    task,
)
from baton.core.task import Retry


@task
def plain(trips: Table, depth: int, context: TaskContext, seed: Annotated[int, parameter("seed")]) -> Json:
    """Count the trips.

    More words.
    """
    return {"rows": trips, "depth": depth, "seed": seed}


def test_arguments_are_artifacts_parameters_or_the_context():
    assert dict(plain.inputs) == {"trips": Table}
    assert list(plain.parameters) == ["depth", "seed"]
    assert plain.context == "context"
    assert dict(plain.outputs) == {"plain": Json}
    assert plain.problems == ()


def test_a_task_has_its_functions_name_description_and_place():
    assert plain.name == plain.group == "plain"
    assert plain.description == "Count the trips."
    assert plain.reference == f"{__name__}:plain"
    assert repr(plain) == f"<Task plain: trips -> plain ({__name__}:plain)>"


def test_a_task_is_pure_without_retries_unless_told():
    assert (plain.effect, plain.retry, plain.timeout_s, plain.after) == (False, Retry(), None, ())


def test_a_task_can_still_be_called():
    assert plain(1, 2, None, 3) == {"rows": 1, "depth": 2, "seed": 3}


@pytest.mark.parametrize("kind", [Table, Matrix, Booster, Json, File, Files], ids=lambda kind: kind.name)
def test_every_kind_can_be_taken_and_given(kind):
    def f(thing): ...

    f.__annotations__ = {"thing": kind, "return": kind}
    declared = task(f)
    assert dict(declared.inputs) == {"thing": kind}
    assert dict(declared.outputs) == {"f": kind}


def test_a_kind_of_ones_own_can_be_given_beside_a_type():
    class Text(Kind):
        name = "text"

    def f(thing): ...

    f.__annotations__ = {"thing": Annotated[str, Text], "return": Annotated[str, Text]}
    assert dict(task(f).inputs) == {"thing": Text}


def test_an_effect_can_take_the_tracking_run():
    @task(effect=True)
    def track(record: TrackingRun) -> None: ...

    assert (track.tracking, dict(track.parameters), track.problems) == ("record", {}, ())


def test_outputs_are_named_in_the_order_of_the_tuple():
    @task(outputs=("model", "history"))
    def train() -> tuple[Booster, Json]: ...

    assert list(train.outputs.items()) == [("model", Booster), ("history", Json)]


def test_words_for_one_thing_can_be_texts():
    @task(name="other", outputs="model", after="check", group="training")
    def train() -> Json: ...

    assert (train.name, train.after, train.group, list(train.outputs)) == (
        "other",
        ("check",),
        "training",
        ["model"],
    )


def test_delays_grow_by_the_backoff():
    assert Retry(3, 0.5, 2).delays_s == (0.5, 1.0, 2.0)
    assert Retry().delays_s == ()


def many() -> list[tuple[str, Task[..., Any], str]]:
    def wrong_default(depth: int = 3) -> Json: ...
    def no_type(depth) -> Json: ...
    def several(*rows: int) -> Json: ...
    def words(**rows: int) -> Json: ...
    def by_place(depth: int, /) -> Json: ...
    def other_type() -> int: ...
    def two() -> tuple[Json, Json]: ...
    def one() -> Json: ...
    def nothing() -> None: ...
    def tracking(record: TrackingRun) -> Json: ...
    def unknown(depth: Nowhere) -> Json: ...  # noqa: F821

    return [
        ("default", task(wrong_default), "'depth' has a default"),
        ("no type", task(no_type), "'depth' has no type"),
        ("positional rest", task(several), "'\\*rows' is neither"),
        ("keyword rest", task(words), "'\\*rows' is neither"),
        ("positional only", task(by_place), "'depth' cannot be passed by name"),
        ("type of result", task(other_type), "its return type is not a kind"),
        ("unnamed results", task(two), "it returns 2 values: name them"),
        ("too few names", task(outputs="a")(two), "it names 1 outputs and returns 2"),
        ("too many names", task(outputs=("a", "b"))(one), "it names 2 outputs and returns 1"),
        (
            "names for nothing",
            task(outputs="a", effect=True)(nothing),
            "it names outputs \\(a\\) but returns None",
        ),
        ("unknown annotation", task(unknown), "its annotations cannot be read: name 'Nowhere'"),
        ("pure but tracking", task(tracking), "it takes the tracking run, so it must set effect=True"),
        ("retries", task(retries=-1)(one), "retries and retry_delay_s must be at least 0"),
        ("delay", task(retry_delay_s=-1)(one), "retries and retry_delay_s must be at least 0"),
        ("backoff", task(retry_backoff=0.5)(one), "retry_backoff at least 1"),
        ("timeout", task(timeout_s=0)(one), "timeout_s must be more than 0"),
    ]


@pytest.mark.parametrize(("declared", "words"), [pytest.param(d, w, id=name) for name, d, w in many()])
def test_what_is_wrong_with_a_declaration_is_kept_for_the_dag(declared, words):
    import re

    assert any(re.search(words, problem) for problem in declared.problems), declared.problems


def test_all_problems_of_a_declaration_are_kept():
    @task(retries=-1, timeout_s=-1)
    def bad(a, b: int = 1, *c: int) -> int: ...

    assert len(bad.problems) == 6
