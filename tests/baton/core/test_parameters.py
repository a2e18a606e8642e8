"""Parameters: leaves and groups, values by bare name, building from paths."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest

from baton import Parameters, parameter
from baton.core.parameters import build, flatten, groups, leaves, value_of


class Inner(Parameters, frozen=True):
    depth: Annotated[int, parameter("depth of a tree", ge=1, le=9)] = 3
    mode: Literal["a", "b"] = "a"
    names: tuple[str, ...] = ()


class Outer(Parameters, frozen=True):
    year: int = 2021
    model: Inner = Inner()
    host: str | None = None


def test_leaves_come_in_the_order_declared_with_path_type_and_default():
    found = {leaf.key: leaf for leaf in leaves(Outer)}
    assert list(found) == ["year", "model.depth", "model.mode", "model.names", "host"]
    depth = found["model.depth"]
    assert (depth.name, depth.default, depth.plain_type, depth.description) == (
        "depth",
        3,
        int,
        "depth of a tree",
    )
    assert found["model.mode"].choices == ("a", "b")
    assert depth.choices == ()


def test_groups_are_found_by_name():
    assert groups(Outer) == {"model": Inner}


def test_a_value_is_found_wherever_it_is_nested():
    chosen = Outer(model=Inner(depth=5))
    assert value_of(chosen, "depth") == 5
    assert value_of(chosen, "year") == 2021
    assert value_of(chosen, "model") == Inner(depth=5)
    with pytest.raises(KeyError):
        value_of(chosen, "nowhere")


def test_all_values_by_bare_name():
    assert flatten(Outer()) == {"year": 2021, "depth": 3, "mode": "a", "names": (), "host": None}


def test_what_is_not_named_keeps_its_default():
    assert build(Outer, {("model", "depth"): 4, ("year",): 2022}) == Outer(year=2022, model=Inner(depth=4))
    assert build(Outer, {}) == Outer()


@pytest.mark.parametrize(
    "values", [{("model", "depth"): 10}, {("model", "dept"): 4}, {("year",): "x"}], ids=str
)
def test_what_does_not_fit_is_refused(values):
    with pytest.raises(msgspec.ValidationError):
        build(Outer, values)
