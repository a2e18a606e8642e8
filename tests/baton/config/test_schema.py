"""The schema of the configuration file says of each value what a run says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from baton.config.resolve import resolve
from baton.config.schema import schema_of_file
from baton.errors import SettingsError
from tests.every_type import EveryType

OTHERS = frozenset({"data.month", "model.tree.bark", "width"})
VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    "months": ([[], [1, 12]], [[0], [13], ["1"], 3, None]),
    "names": ([["a,b", ""]], ["a", [1]]),
    "pair": ([[2, "b"]], [[2], ["b", 2], [2, "b", 3]]),
    "colours": ([["red", "blue"]], [["green"], "red"]),
    "colour": (["blue"], ["BLUE", 1]),
    "level": ([2, None, "none"], [3, "high", "2"]),
    "out": (["~/x"], ["", 1, None]),
    "outs": ([["a", "b"]], [[""], "a"]),
    "day": (["2022-02-03"], [20220203, None]),
    "at": (["2022-02-03T04:05:06", None, "none"], [1]),
    "mode": (["slow"], ["slwo", None]),
    "size": ([1, 8], [2, "8"]),
    "maybe": (["a", None, "none"], ["c", 1]),
    "rate": ([1, 0.5, None, "none"], [0, -1.5, "0.5", True]),
    "fast": ([True], ["true", 1, None]),
    "model": (
        [{}, {"tree": {"depth": 1}, "weights": [1]}],
        [{"tree": {"depth": 0}}, {"tere": {"depth": 1}}, 5, [1]],
    ),
    "baton": ([{"engine": "make", "store": None}], [{"engine": 1}, {"engin": "make"}]),
    "prefect": ([{}], [{"nowhere": 1}]),
    "mlflow": ([{"tracking_uri": "none"}], ["mlflow.db"]),
}
"""By key: values that a run accepts, and values that it refuses."""
FILES: tuple[list[Any], list[Any]] = (
    [
        {"$schema": "./schema.json"},
        {"data": {"month": "any"}, "model": {"tree": {"bark": 1}}, "width": 2},
        {"pipelines": {"every_type:dag": {"mode": "slow"}, "other:dag": {"height": 1}}},
    ],
    [
        {"hieght": 1},
        {"data": {"mnth": 1}},
        {"pipelines": {"every_type:dag": {"mode": "slwo"}}},
        {"pipelines": {"every_type:dag": {"width": 2}}},
        {"pipelines": {"other:dag": 1}},
        {"pipelines": 1},
        [],
    ],
)


def _cases(side: int) -> list[Any]:
    return [{key: value} for key, sides in VALUES.items() for value in sides[side]] + FILES[side]


def _a_run_accepts(path: Path, content: Any) -> bool:
    path.write_text(json.dumps(content))
    try:
        resolve(EveryType, path=path, pipeline="every_type:dag", keys_of_others=lambda: OTHERS)
    except SettingsError:
        return False
    return True


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = schema_of_file(EveryType, "every_type:dag", OTHERS)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(json.loads(json.dumps(schema)))


@pytest.mark.parametrize(
    ("content", "accepted"),
    [(content, side == 0) for side in (0, 1) for content in _cases(side)],
    ids=json.dumps,
)
def test_a_run_and_the_schema_accept_the_same(
    validator: Draft202012Validator, tmp_path: Path, content: Any, accepted: bool
) -> None:
    assert _a_run_accepts(tmp_path / "config.json", content) is accepted
    assert validator.is_valid(content) is accepted


def test_every_setting_and_parameter_has_its_description_and_default(validator: Draft202012Validator) -> None:
    properties = validator.schema["properties"]
    assert properties["months"]["description"] == "months"
    assert properties["rate"]["description"] == "a rate"
    assert properties["months"]["default"] == [1, 2]
    assert properties["model"]["properties"]["tree"]["properties"]["depth"]["default"] == 7
    assert properties["baton"]["properties"]["engine"]["description"] == "engine that runs the pipeline"
