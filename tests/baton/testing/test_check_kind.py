"""`baton.testing.check_kind` finds what digests cannot rely on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import pytest
import xgboost
from scipy import sparse

from baton import Booster, File, Files, Json, Matrix, Table
from baton.testing import check_kind
from tests.baton.testing.kinds_to_check import (
    BrokenKind,
    ForgetfulKind,
    HonestPickleKind,
    PickleKind,
    UnorderedKind,
    ZippedKind,
    scale,
)

FINDINGS = {
    "order": (
        UnorderedKind,
        {f"text {number}" for number in range(30)},
        "kind 'pickle': the same value gives different bytes with another PYTHONHASHSEED: byte",
    ),
    "time": (
        ZippedKind,
        "text",
        "kind 'zipped': the same value gives different bytes two seconds later: byte",
    ),
    "round trip": (
        ForgetfulKind,
        4,
        "kind 'forgetful': a value that was read gives different bytes when written: $: 4 and 5",
    ),
    "code": (
        Annotated[Any, PickleKind],
        {"function": scale},
        f"kind 'pickle': its bytes refer to {scale.__module__}:scale, but code() does not",
    ),
    "nothing written": (
        BrokenKind,
        1,
        "kind 'broken': NotImplementedError: kind BrokenKind does not implement",
    ),
    "a value that cannot travel": (
        PickleKind,
        lambda: 1,
        "kind 'pickle': the value cannot be passed to another process",
    ),
    "no kind": (int, 1, "<class 'int'> is not a kind"),
}


@pytest.fixture(scope="module")
def findings() -> dict[str, str]:
    """Return what is found of each bad kind, all tried at once as most of the time is waiting."""

    def found(case: tuple[Any, Any, str]) -> str:
        try:
            check_kind(case[0], case[1])
        except AssertionError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(len(FINDINGS)) as threads:
        return dict(zip(FINDINGS, threads.map(found, FINDINGS.values()), strict=True))


@pytest.mark.parametrize("case", FINDINGS)
def test_what_digests_cannot_rely_on_is_found(findings, case):
    assert findings[case].startswith(FINDINGS[case][2]), findings[case]


def test_a_kind_inside_a_function_is_told_where_to_stand():
    class InnerKind(PickleKind):
        pass

    with pytest.raises(AssertionError, match="inside a function, where other processes cannot find it"):
        check_kind(InnerKind, 1)


def test_every_kind_that_comes_along_keeps_its_promises(tmp_path: Path):
    (tmp_path / "one.txt").write_text("one")
    features = np.eye(4)
    booster = xgboost.train({"max_depth": 2}, xgboost.DMatrix(features, np.arange(4)), 2)
    values = [
        (Table, pl.DataFrame({"a": [1, None], "b": ["x", "y"]}, schema_overrides={"b": pl.Categorical})),
        (Matrix, features),
        (Matrix, sparse.csr_matrix(features)),
        (Booster, booster),
        (Json, {"b": [1.5, None], "a": "ü"}),
        (File, tmp_path / "one.txt"),
        (Files, {"folder/one.txt": tmp_path / "one.txt"}),
        (HonestPickleKind, {"function": scale}),
    ]
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda one: check_kind(*one), values))
