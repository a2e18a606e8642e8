"""XGBoost's binary form of a model can be read and written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tripduration.ubjson import read_ubjson, write_ubjson

if TYPE_CHECKING:
    from tripduration.train import Trained

pytest_plugins = ("tests.tripduration.model_fixtures",)


def plain(value: Any) -> Any:
    """Return a value with Python's own lists and numbers, as JSON has them."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [plain(member) for member in value] if isinstance(value, list) else value


def test_reading_and_writing_a_model_changes_no_byte(small_trained: Trained) -> None:
    for booster in (small_trained.booster, small_trained.reference_booster):
        content = bytes(booster.save_raw("ubj"))
        assert write_ubjson(read_ubjson(content)) == content


def test_it_says_what_the_model_in_json_says(small_trained: Trained) -> None:
    read = plain(read_ubjson(small_trained.booster.save_raw("ubj")))
    told = json.loads(small_trained.booster.save_raw("json"))
    trees, expected = (one["learner"]["gradient_booster"]["model"].pop("trees") for one in (read, told))
    assert read == told
    for tree, wanted in zip(trees, expected, strict=True):
        assert tree.keys() == wanted.keys()
        for name, values in wanted.items():
            if isinstance(values, list):
                np.testing.assert_array_equal(np.array(tree[name], np.float32), np.array(values, np.float32))
            else:
                assert tree[name] == values


def test_a_model_cut_anywhere_is_refused(small_trained: Trained) -> None:
    content = bytes(small_trained.booster.save_raw("ubj"))
    for length in (0, 1, 5, 40, len(content) // 2, len(content) - 1):
        with pytest.raises(ValueError, match=r"end too early|bytes are left|smaller than requested"):
            read_ubjson(content[:length])


@pytest.mark.parametrize("content", [b"X", b"[i\x01]", b"[$X#L" + bytes(8), b"S" + b"L" + b"\xff" * 8])
def test_what_is_no_part_of_a_model_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"unknown kind|without its length|a length of -1"):
        read_ubjson(content)


def test_a_value_of_another_kind_is_not_written() -> None:
    with pytest.raises(TypeError, match="cannot write set"):
        write_ubjson({"trees": {1, 2}})
