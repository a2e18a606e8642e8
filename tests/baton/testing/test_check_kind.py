"""`baton.testing.check_kind` finds what digests cannot rely on."""

from __future__ import annotations

import sys
import sysconfig
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import pytest

import baton
from baton import Json, Table
from baton.testing import check_kind
from tests.baton.testing.kind_values import VALUES, value_of
from tests.baton.testing.kinds_to_check import (
    BrokenKind,
    ForgetfulKind,
    InterpreterKind,
    LoyalKind,
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


@pytest.fixture(scope="module")
def promises(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseException | None]:
    """Return what is found of each kind that comes along, tried a few at a time."""

    def found(name: str) -> BaseException | None:
        try:
            check_kind(*value_of(name, tmp_path_factory.mktemp("value")))
        except (AssertionError, pytest.skip.Exception) as error:
            return error
        return None

    with ThreadPoolExecutor(3) as threads:
        return dict(zip(VALUES, threads.map(found, VALUES), strict=True))


@pytest.mark.parametrize("name", VALUES)
def test_every_kind_that_comes_along_keeps_its_promises(promises, name):
    if promises[name] is not None:
        raise promises[name]


def test_another_interpreter_must_write_the_same_bytes_and_read_what_this_one_wrote(tmp_path: Path):
    check_kind(Table, pl.DataFrame({"a": [1, 2]}), python=another_python(tmp_path))


def test_kinds_that_depend_on_the_interpreter_are_found(tmp_path: Path):
    other = another_python(tmp_path)
    with pytest.raises(AssertionError) as caught:
        check_kind(InterpreterKind, "text", python=[other])
    (said,) = str(caught.value).splitlines()
    assert said.startswith("kind 'interpreter': the same value gives different bytes in Python 3")
    assert f" ({sys.executable}) and in Python 3" in said
    assert f" ({other}): byte " in said


def test_interpreters_that_cannot_read_each_other_are_found(tmp_path: Path):
    other = another_python(tmp_path)
    with pytest.raises(AssertionError) as caught:
        check_kind(LoyalKind, "text", python=other)
    _, *said = str(caught.value).splitlines()
    assert [line.rpartition(": ")[2] for line in said] == ["not written here"] * 2
    assert f"({other}) cannot read what Python 3" in said[0]
    assert f"({sys.executable}) cannot read what Python 3" in said[1]


def test_an_interpreter_that_cannot_be_used_is_told(tmp_path: Path):
    venv.create(tmp_path / "bare", symlinks=True)
    bare, missing = tmp_path / "bare/bin/python", tmp_path / "nowhere"
    with pytest.raises(AssertionError) as caught:
        check_kind(Json, 1, python=[bare, missing])
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"kind 'json': {bare} cannot write the value: ")
    assert "No module named 'baton'" in first
    assert second == f"kind 'json': {missing} cannot write the value: No such file or directory"


def another_python(folder: Path) -> Path:
    """Return the interpreter of another environment, which has what this one has."""
    venv.create(folder / "other", symlinks=True)
    (site,) = (folder / "other").glob("lib/python3*/site-packages")
    places = [sysconfig.get_path("purelib"), str(Path(baton.__file__).parents[1])]
    (site / "here.pth").write_text("\n".join(places))
    return folder / "other/bin/python"
