"""A DAG: order, parts of it, and every rule of a valid one."""

from __future__ import annotations

import functools
from typing import Annotated

import pytest

from baton import Dag, Json, Parameters, Table, parameter, task
from baton.errors import InvalidPipeline, UsageError


@task(effect=True, position="first")
def health() -> None: ...


@task(group="extract")
def source() -> Json: ...


@task
def left(source: Json) -> Json: ...


@task
def right(source: Json) -> Json: ...


@task
def join(left: Json, right: Json) -> Json: ...


@task(effect=True, after="join")
def publish(left: Json) -> None: ...


@task(effect=True, position="last")
def cleanup() -> None: ...


@pytest.fixture
def diamond_dag() -> Dag:
    """Return a diamond with an effect after it, a first and a last task."""
    return Dag("diamond", [cleanup, publish, join, right, left, source, health], default="publish")


def names(tasks) -> list[str]:
    return [one.name for one in tasks]


def test_tasks_come_after_what_they_need_and_ties_keep_the_order_declared(diamond_dag):
    assert names(diamond_dag.order) == ["health", "source", "left", "right", "join", "publish", "cleanup"]


def test_ancestors_include_the_tasks_themselves(diamond_dag):
    assert diamond_dag.ancestors(["left"]) == {"source", "left"}
    assert diamond_dag.ancestors([]) == set()


def test_descendants_follow_artifacts_and_after(diamond_dag):
    assert diamond_dag.descendants("right") == {"join", "publish"}
    assert diamond_dag.descendants("cleanup") == set()


def test_upstream_names_each_task_once(diamond_dag):
    assert names(diamond_dag.upstream_of(diamond_dag.task("publish"))) == ["left", "join"]


@pytest.mark.parametrize(
    ("targets", "kept"),
    [
        pytest.param([], {"source", "left", "right", "join", "publish"}, id="default"),
        pytest.param(["left"], {"source", "left"}, id="task"),
        pytest.param(["extract"], {"source"}, id="group"),
        pytest.param(["left", "cleanup"], {"source", "left", "cleanup"}, id="two"),
        pytest.param(["health"], {"health"}, id="first"),
    ],
)
def test_a_subset_holds_what_its_targets_need(diamond_dag, targets, kept):
    assert set(names(diamond_dag.subset(targets).tasks)) == kept


def test_without_a_default_every_task_is_kept():
    dag = Dag("all", [source, left, cleanup])
    assert names(dag.subset().tasks) == ["source", "left", "cleanup"]


def test_a_subset_keeps_what_the_pipeline_is_called():
    dag = Dag("all", [source], description="what", experiment="tries", health={"a": str})
    part = dag.subset(["source"])
    assert (part.name, part.description, part.experiment, part.health) == ("all", "what", "tries", {"a": str})


def test_targets_are_groups_then_tasks(diamond_dag):
    assert diamond_dag.target_names == (
        "cleanup",
        "publish",
        "join",
        "right",
        "left",
        "extract",
        "health",
        "source",
    )
    assert names(diamond_dag.members("extract")) == ["source"]


def test_an_unknown_target_is_told_with_the_nearest(diamond_dag):
    with pytest.raises(UsageError, match="no target 'publsh'; did you mean 'publish'") as raised:
        diamond_dag.subset(["publsh"])
    assert "targets are" in raised.value.hint
    with pytest.raises(UsageError, match="no task 'jion'; did you mean 'join'"):
        diamond_dag.task("jion")


def test_a_dag_shows_its_tasks_in_order():
    assert repr(Dag("all", [left, source])) == "<Dag all: source, left>"


class Chosen(Parameters, frozen=True):
    depth: Annotated[int, parameter("depth", ge=1)] = 3
    mode: str | None = None


class Twice(Parameters, frozen=True):
    inner: Chosen = Chosen()
    depth: int = 1


class Grouped(Parameters, frozen=True):
    inner: Chosen = Chosen()
    other: Twice = Twice()


class Inside(Parameters, frozen=True):
    seed: int = 1


class Hiding(Parameters, frozen=True):
    depth: Inside = Inside()
    other: Chosen = Chosen()


class Outer(Parameters, frozen=True):
    inner: Chosen = Chosen()


class Needed(Parameters, frozen=True):
    depth: int


def pure(name, *inputs, kind=Json, gives=Json, **options):
    """Return a task over artifacts by name."""

    function = _with_arguments(dict.fromkeys(inputs, kind), gives)
    return task(name=name, **options)(function)


def _with_arguments(annotations, gives):
    made: dict[str, object] = {}
    exec(f"def function({', '.join(annotations)}): ...", made)
    function = made["function"]
    function.__annotations__ = {**annotations, "return": gives}
    return function


def closure():
    captured = 1

    def inner() -> Json:
        return captured

    return task(inner)


def generator() -> Json:
    yield 1


async def asynchronous() -> Json: ...


def anonymous():
    function = lambda: 1  # noqa: E731
    function.__annotations__ = {"return": Json}
    return task(name="anonymous")(function)


def partial():
    made = functools.partial(source.function)
    made.__annotations__ = {"return": Json}
    return task(name="partial")(made)


RULES = {
    "declaration": ([task(retries=-1)(source.function)], {}, "task 'source': retries"),
    "lambda": ([anonymous()], {}, "task 'anonymous' is a lambda"),
    "generator": ([task(generator)], {}, "task 'generator' is a generator"),
    "asynchronous": ([task(asynchronous)], {}, "task 'asynchronous' is asynchronous"),
    "closure": ([closure()], {}, "task 'inner' is a closure over captured"),
    "not a function": ([partial()], {}, "task 'partial': partial is not a plain function"),
    "task name": ([pure("two words")], {}, "task name 'two words' is not an identifier"),
    "keyword": ([pure("class")], {}, "task name 'class' is not an identifier"),
    "long name": ([pure("a" * 81)], {}, "at most 80 characters"),
    "group name": ([pure("a", group="x-y")], {}, "group name 'x-y' is not an identifier"),
    "output name": ([pure("a", outputs="x y")], {}, "output name 'x y' is not an identifier"),
    "two of a name": ([pure("a"), pure("a", outputs="b")], {}, "two tasks are called 'a'"),
    "group hides a task": (
        [pure("a"), pure("b", group="a"), pure("c", group="b")],
        {},
        "group 'b' of task 'c' has the name",
    ),
    "two producers": ([pure("a"), pure("b", outputs="a")], {}, "artifact 'a' has two producers: 'a' and 'b'"),
    "makes nothing": (
        [pure("a", gives=None)],
        {},
        "task 'a' returns nothing; if it has side effects, set effect=True",
    ),
    "unknown input": (
        [pure("trips"), pure("b", "trip")],
        {},
        "no task makes its input 'trip'; did you mean 'trips'",
    ),
    "kind of input": (
        [pure("a"), pure("b", "a", kind=Table)],
        {},
        "task 'b' takes 'a' as table, but 'a' makes it as json",
    ),
    "unknown parameter": (
        [pure("a", "dept", kind=int)],
        {"parameters": Chosen},
        "argument 'dept' is neither an artifact nor a parameter; did you mean 'depth'",
    ),
    "type of parameter": (
        [pure("a", "depth", kind=float)],
        {"parameters": Chosen},
        "task 'a' takes parameter 'depth' as float, declared as int",
    ),
    "optional parameter": (
        [pure("a", "mode", kind=str)],
        {"parameters": Chosen},
        "takes parameter 'mode' as str, declared as str | None",
    ),
    "two parameters": (
        [source],
        {"parameters": Twice},
        "two parameters are called 'depth': inner.depth and depth",
    ),
    "parameter without default": ([source], {"parameters": Needed}, "parameter depth has no default"),
    "unknown after": (
        [source, pure("b", after="sourse")],
        {},
        "runs after 'sourse', which is not a task; did you mean 'source'",
    ),
    "after the last": (
        [cleanup, pure("b", after="cleanup")],
        {},
        "task 'b' runs after 'cleanup', which is last",
    ),
    "first with output": (
        [pure("a", position="first", effect=True)],
        {},
        "task 'a' is first: it must be an effect without",
    ),
    "pure and last": ([pure("a", position="last")], {}, "task 'a' is last: it must be an effect without"),
    "default": (
        [source],
        {"default": "sorce"},
        "the default target 'sorce' does not exist; did you mean 'source'",
    ),
    "needs itself": ([pure("a", "a")], {}, "in a circle: a -> a"),
    "circle": (
        [pure("a", "c"), pure("b", "a"), pure("c", "b")],
        {},
        "tasks depend on each other in a circle: ",
    ),
    "circle by after": ([pure("a", after="b"), pure("b", "a")], {}, "in a circle"),
    "no task": ([], {}, "it has no task"),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_is_told_with_the_task_and_the_cause(rule):
    tasks, options, words = RULES[rule]
    with pytest.raises(InvalidPipeline) as raised:
        Dag("wrong", tasks, **options)
    assert [problem for problem in raised.value.problems if words in problem], raised.value.problems


def test_a_group_with_a_parameters_name_is_refused():
    with pytest.raises(InvalidPipeline, match=r"parameter other\.depth has the name of a group"):
        Dag("wrong", [source], parameters=Hiding)


def test_all_findings_come_at_once():
    with pytest.raises(InvalidPipeline) as raised:
        Dag("wrong", [pure("a", "nowhere", after="gone"), pure("a"), pure("b", gives=None)], default="c")
    text = str(raised.value)
    for words in (
        "two tasks",
        "two producers",
        "returns nothing",
        "no task makes",
        "after 'gone'",
        "default target",
    ):
        assert words in text
    assert len(raised.value.problems) == 6


def test_a_task_may_take_a_parameter_with_its_bounds_or_a_whole_group():
    bounded = Annotated[int, parameter("depth", ge=1)]
    tasks = [pure("a", "depth", kind=bounded), pure("b", "depth", kind=int), pure("c", "inner", kind=Chosen)]
    assert len(Dag("right", tasks, parameters=Outer).tasks) == 3


def test_one_circle_is_told_once():
    with pytest.raises(InvalidPipeline) as raised:
        Dag("wrong", [pure("a", "b"), pure("b", "a"), pure("c", "a")])
    assert len(raised.value.problems) == 1
