"""Where two stored values differ first is told as a person looks for it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from baton import File, Json, Kind, Matrix, Table
from baton.store.first_difference import first_difference


class Text(Kind):
    name, suffix = "text", ".json"

    @classmethod
    def write(cls, value, path):
        path.write_text(value)


@pytest.mark.parametrize(
    ("kind", "one", "other", "told"),
    [
        (Json, {"a": [1, 2]}, {"a": [1, 3]}, "$.a[1]: 2 and 3"),
        (Json, {"a": 1}, {"a": 1.0}, "$.a: 1 and 1.0"),
        (Json, {"a": 1}, {"b": 1}, "$.a is only in the first"),
        (Json, [1], [1, 2], "$ has 1 and 2 items"),
        (Table, pl.DataFrame({"a": [1]}), pl.DataFrame({"b": [1]}), "columns a and b"),
        (
            Table,
            pl.DataFrame({"a": [1]}),
            pl.DataFrame({"a": [1.0]}),
            "column 'a' is of type Int64 and Float64",
        ),
        (Table, pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1, 2]}), "1 and 2 rows"),
        (
            Table,
            pl.DataFrame({"a": [1.0, float("nan"), None], "b": [1, 2, 3]}),
            pl.DataFrame({"a": [1.0, float("nan"), 2.0], "b": [1, 3, 3]}),
            "column 'b', row 1: 2 and 3",
        ),
        (
            Table,
            pl.DataFrame({"a": [0.0]}),
            pl.DataFrame({"a": [-0.0]}),
            "equal values with different bytes: byte",
        ),
        (Matrix, np.array([1.0, np.nan]), np.array([1.0, 2.0]), "'dense' at [1]: nan and 2.0"),
        (Matrix, np.zeros(2), np.zeros(3), "'dense' is float64 of shape (2,) and float64 of shape (3,)"),
        (Text, "no JSON", "no json", "byte 3 of 7 and 7"),
    ],
)
def test_of_what_a_kind_wrote(tmp_path, kind, one, other, told):
    kind.write(one, tmp_path / "one")
    kind.write(other, tmp_path / "other")
    assert first_difference(kind, tmp_path / "one", tmp_path / "other").startswith(told)


def test_of_other_bytes_is_the_first_byte(tmp_path):
    (tmp_path / "one").write_bytes(b"a" * (1 << 20) + b"bc")
    (tmp_path / "other").write_bytes(b"a" * (1 << 20) + b"b")
    told = first_difference(File, tmp_path / "one", tmp_path / "other")
    assert told == "byte 1048577 of 1048578 and 1048577"
