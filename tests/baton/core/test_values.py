"""The forms of a parameter's value: typed, plain as in JSON, and as text."""

from __future__ import annotations

import datetime
import enum
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton import Dag, Json, Parameters, task
from baton.config.resolve import resolve
from baton.core.values import as_plain, as_text, in_words, read_path, typed
from baton.errors import InvalidPipeline
from tests.every_type import EveryType


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


Month = Annotated[int, msgspec.Meta(ge=1, le=12)]

READ: list[tuple[Any, str, Any]] = [
    (int, "08", 8),
    (int, "-003", -3),
    (int, "+3", 3),
    (Month, "03", 3),
    (float, "05.50", 5.5),
    (float, ".5", 0.5),
    (float, "3.", 3.0),
    (float, "1e-3", 0.001),
    (bool, "TRUE", True),
    (bool, "0", False),
    (str, " as it is, ", " as it is, "),
    (Path, "a/b", Path("a/b")),
    (datetime.date, "2021-01-31", datetime.date(2021, 1, 31)),
    (datetime.datetime, "2021-01-31T12:00:00", datetime.datetime(2021, 1, 31, 12)),
    (datetime.datetime, "2021-01-31 12:00:00Z", datetime.datetime(2021, 1, 31, 12, tzinfo=datetime.UTC)),
    (datetime.time, "12:30:00", datetime.time(12, 30)),
    (Literal["a", "b"], "b", "b"),
    (Literal[1, 8], "08", 8),
    (Colour, "blue", Colour.BLUE),
    (Level, "02", Level.HIGH),
    (list[int], "1,02,3", [1, 2, 3]),
    (tuple[int, ...], " 1 , 2 ", (1, 2)),
    (tuple[int, ...], "[1, 2]", (1, 2)),
    (tuple[int, ...], "[]", ()),
    (list[str], "one", ["one"]),
    (list[str], '["a,b", " c ", ""]', ["a,b", " c ", ""]),
    (tuple[int, str], "1,a", (1, "a")),
    (tuple[Colour, ...], "blue,red", (Colour.BLUE, Colour.RED)),
    (list[Path], "a,b", [Path("a"), Path("b")]),
    (int | None, "none", None),
    (Literal["a"] | None, "none", None),
    (list[int] | None, "none", None),
    (list[str], "none", ["none"]),
    (str, "none", "none"),
]


@pytest.mark.parametrize(("kind", "text", "value"), READ, ids=str)
def test_a_text_is_read_as_its_type_says(kind: Any, text: str, value: Any) -> None:
    found = typed(kind, text, from_text=True)
    assert (found, type(found)) == (value, type(value))
    assert typed(kind, as_text(found), from_text=True) == found


REFUSED: list[tuple[Any, str, str]] = [
    *(
        (int, text, "a whole number in the digits 0 to 9")
        for text in ("0x10", "1_000", "\uff11", " 3 ", "3.0")
    ),
    *((int, text, "a whole number in the digits") for text in ("", "1e3", "三", "٣", "--3", "true")),
    (int, "9" * 5000, "fewer digits"),
    *(
        (float, text, "a number such as 0.5 or 1e-3")
        for text in ("1_0.0", "0x1p3", "nan", "inf", " 1", "1,5")
    ),
    (float, "1e999", "finite"),
    (bool, "yes", "true or false"),
    (Month, "13", "a whole number <= 12"),
    (Literal["fast", "slow"], "fsat", "fast or slow; did you mean 'fast'?"),
    (Colour, "Red", "red or blue; did you mean 'red'?"),
    (Level, "3", "1 or 2"),
    (datetime.date, "2021-13-01", "a date such as 2021-01-31"),
    (datetime.datetime, "2021-01-01", "a date and time such as"),
    (datetime.time, "noon", "a time such as"),
    (Path, "", "a path"),
    (Path, r"C:\data", "not a Windows one"),
    (Path, "c:/data", "not a Windows one"),
    (Path, "~nobody-of-this-name/x", "no home folder ~nobody-of-this-name"),
    (list[int], "1,x", "element 2: expected a whole number"),
    (list[int], "1,,2", "an element is empty"),
    (list[int], "1,2,", "an element is empty"),
    (list[int], "", "an empty one is []"),
    (list[int], "[1", "a list such as 1,2, or one in JSON"),
    (list[int], '[1, "2"]', "element 2: expected a whole number, got a text"),
    (list[Month], "1,13", "element 2: expected a whole number <= 12"),
    (tuple[Colour, ...], "red,bleu", "element 2: expected red or blue; did you mean 'blue'?"),
    (list[datetime.date], "2021-01-01,x", "element 2: expected a date such as"),
    (tuple[int, str], "1", "2 elements"),
    (list[float], "[1e999]", "finite"),
    (list[str], '["\\ud800"]', "whole characters"),
    (str, "a\0b", "NUL"),
]


@pytest.mark.parametrize(("kind", "text", "words"), REFUSED, ids=lambda one: str(one)[:20])
def test_a_text_that_does_not_fit_is_refused_with_what_is_expected(kind: Any, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        typed(kind, text, from_text=True)


def test_a_text_in_json_is_no_number() -> None:
    with pytest.raises(ValueError, match="expected a whole number, got a text"):
        typed(int, "08", from_text=False)
    with pytest.raises(ValueError, match="expected a list, got a text"):
        typed(list[int], "1,2", from_text=False)


def test_a_value_that_is_typed_already_stays_as_it_is() -> None:
    assert typed(Path, Path("x"), from_text=True) == Path("x")
    for value in (Colour.RED, Level.LOW, datetime.date(2021, 1, 1), datetime.time(1)):
        assert typed(type(value), value, from_text=True) == value
    assert typed(tuple[int, ...], [1, 2], from_text=True) == (1, 2)


def test_the_home_folder_is_what_a_tilde_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert typed(Path, "~/trips", from_text=True) == Path("/home/me/trips")
    assert typed(list[Path], "~,a", from_text=True) == [Path("/home/me"), Path("a")]
    assert read_path("a/~") == "a/~"


SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    str: st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    datetime.date: st.dates(),
    datetime.datetime: st.datetimes(timezones=st.sampled_from([None, datetime.UTC])),
    datetime.time: st.times(),
    Colour: st.sampled_from(Colour),
    Level: st.sampled_from(Level),
}
TYPED = st.sampled_from(list(SCALARS)).flatmap(
    lambda kind: st.one_of(
        st.tuples(st.just(kind), SCALARS[kind]),
        st.tuples(st.just(list[kind]), st.lists(SCALARS[kind], max_size=4)),
        st.tuples(st.just(tuple[kind, ...]), st.lists(SCALARS[kind], max_size=4).map(tuple)),
    )
)


@given(TYPED)
def test_every_value_comes_back_from_its_text_and_from_json(pair: tuple[Any, Any]) -> None:
    kind, value = pair
    for found in (
        typed(kind, as_text(value), from_text=True),
        typed(kind, json.loads(json.dumps(as_plain(value))), from_text=False),
    ):
        assert (found, type(found)) == (value, type(value))


def test_a_type_is_told_in_words() -> None:
    assert in_words(list[Month]) == "list of: whole number, at least 1, at most 12"
    assert in_words(tuple[int, str] | None) == "list of 2: whole number; text, or none"
    assert in_words(Literal["slow", "fast"]) == "`slow` or `fast`"


@task
def nothing() -> Json:
    return 1


class Other:
    pass


class Bits(enum.Flag):
    ONE = 1


class Pairs(enum.Enum):
    ONE = (1, 2)


UNUSABLE: dict[str, tuple[Any, Any]] = {
    "mapping": (dict[str, int], {}),
    "bytes": (bytes, b""),
    "unknown class": (Other, Other()),
    "anything": (Any, 1),
    "object": (object, 1),
    "set": (frozenset[str], frozenset()),
    "two types": (int | str, 1),
    "complex number": (complex, 1j),
    "time span": (datetime.timedelta, datetime.timedelta(1)),
    "list of anything": (list, []),
    "list of lists": (list[list[int]], []),
    "list of nothing": (list[int | None], []),
    "list of mappings": (tuple[dict[str, int], ...], ()),
    "flags": (Bits, Bits.ONE),
    "enum of tuples": (Pairs, Pairs.ONE),
    "truth as a choice": (Literal[True], True),
    "choices that read the same": (Literal[1, "1"], 1),
    "choice that means None": (Literal["none", "all"] | None, None),
    "group or nothing": (EveryType | None, None),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_parameter_of_a_type_that_cannot_be_given_is_refused_by_name(case: str) -> None:
    kind, default = UNUSABLE[case]
    declared = msgspec.defstruct(
        "Declared",
        [("odd", kind, msgspec.field(default_factory=lambda: default))],
        bases=(Parameters,),
        frozen=True,
    )
    with pytest.raises(InvalidPipeline, match="parameter odd: "):
        Dag("x", [nothing], parameters=declared)


@pytest.mark.parametrize(
    ("kind", "default"), [(int, "1"), (Month, 0), (tuple[int, ...], ("a",)), (Path, 1), (Literal["a"], "b")]
)
def test_a_default_that_does_not_fit_its_type_is_refused_by_name(kind: Any, default: Any) -> None:
    declared = msgspec.defstruct("Declared", [("odd", kind, default)], bases=(Parameters,), frozen=True)
    with pytest.raises(InvalidPipeline, match="parameter odd: its default cannot be"):
        Dag("x", [nothing], parameters=declared)


def test_the_default_of_a_group_stays_when_another_member_is_set(tmp_path: Path) -> None:
    found = resolve(EveryType, path=tmp_path / "none.json", options={"leaves": "9"})
    assert (found.parameters.model.tree.depth, found.parameters.model.tree.leaves) == (7, 9)
