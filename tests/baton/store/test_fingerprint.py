"""Digests of values: typed, exact, stable, and refusing what is unknown."""

from __future__ import annotations

import datetime
import enum
import itertools
import math
import os
import pickle
import struct
import subprocess
import sys
from pathlib import PurePosixPath
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton import Parameters
from baton.errors import UsageError
from baton.store.fingerprint import fingerprint

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes()
)
keys = st.booleans() | st.integers() | st.text()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(keys, inner) | st.frozensets(keys)
    ),
    max_leaves=12,
)


def spelled(value: Any) -> Any:
    """Return a form that is equal for equal values of equal types only."""
    match value:
        case dict():
            return ("dict", frozenset((spelled(key), spelled(item)) for key, item in value.items()))
        case frozenset():
            return ("set", frozenset(map(spelled, value)))
        case list() | tuple():
            return (type(value), tuple(map(spelled, value)))
        case float():
            return (float, value.hex())
    return (type(value), value)


class Colour(enum.Enum):
    RED = 1


class Size(NamedTuple):
    width: int
    height: int


class Place(NamedTuple):
    width: int
    height: int


class Chosen(Parameters, frozen=True):
    depth: int = 3


DIFFERENT: list[Any] = [
    *(None, 1, 1.0, True, "1", b"1", 0.0, -0.0, False, 0, "", b"", "True", "None", float("inf")),
    *([], (), {}, set(), [1], (1,), {1}, {1: 1}, {"1": 1}, [[1]], [1, []], [[], 1]),
    *(["ab", "c"], ["a", "bc"], ["abc"], ["a", "b", "c"], "int:1:1", b"int:1:1", [b"int:1:1"]),
    *({"a": 1, "b": 2}, {"a": 2, "b": 1}, [("a", 1), ("b", 2)], {"a": {"b": 1}}, {"a": {}, "b": 1}),
    *(datetime.date(2021, 1, 1), datetime.datetime(2021, 1, 1), "2021-01-01", datetime.time(1)),
    *(datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC), PurePosixPath("a"), "a", Colour.RED),
    *(Size(1, 2), Place(1, 2), (1, 2), [1, 2], Chosen(), Chosen(depth=4), {"depth": 3}),
    *(2**63, 2**64, -(2**63), 0.1 + 0.2, 0.3),
]


def test_values_that_differ_in_type_or_content_have_different_digests():
    digests = [fingerprint(value) for value in DIFFERENT]
    same = [
        (DIFFERENT[a], DIFFERENT[b])
        for a, b in itertools.combinations(range(len(digests)), 2)
        if digests[a] == digests[b]
    ]
    assert same == []


@given(values, values)
def test_two_values_have_one_digest_exactly_if_they_are_the_same(one, other):
    assert (fingerprint(one) == fingerprint(other)) == (spelled(one) == spelled(other))


@given(values)
def test_a_digest_is_stable(value):
    assert fingerprint(value) == fingerprint(value)


@given(st.dictionaries(keys, scalars))
def test_the_order_of_a_dict_does_not_matter(value):
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))


@given(st.lists(st.text(), unique=True))
def test_the_order_of_a_set_does_not_matter(texts):
    assert fingerprint(set(texts)) == fingerprint(frozenset(reversed(texts)))


@given(st.lists(st.text(), min_size=1), st.lists(st.text(), min_size=1))
def test_moving_an_item_from_one_list_to_the_next_is_seen(one, other):
    assert fingerprint([one, other]) != fingerprint([one[:-1], [one[-1], *other]])


@given(st.floats(), st.floats())
def test_floats_count_to_the_last_bit(one, other):
    bits = [b"nan" if math.isnan(value) else struct.pack(">d", value) for value in (one, other)]
    assert (fingerprint(one) == fingerprint(other)) == (bits[0] == bits[1])


def reordered(value: Any, random: Random) -> Any:
    """Return an equal value whose dicts and sets were filled in another order, however deep."""
    match value:
        case dict():
            pairs = [(key, reordered(item, random)) for key, item in value.items()]
            random.shuffle(pairs)
            return dict(pairs)
        case frozenset():
            members = list(value)
            random.shuffle(members)
            return frozenset(members)
        case list() | tuple():
            return type(value)(reordered(item, random) for item in value)
    return value


@given(values, st.randoms(use_true_random=False))
def test_the_order_of_dicts_and_sets_does_not_matter_however_deep(value, random):
    assert fingerprint(reordered(value, random)) == fingerprint(value)


@pytest.fixture(scope="module")
def other_process():
    """Return a function that asks another process, with other hashes of texts, for a digest."""
    code = (
        "import pickle, sys\n"
        "from baton.store.fingerprint import fingerprint\n"
        "while True:\n"
        "    try: value = pickle.load(sys.stdin.buffer)\n"
        "    except EOFError: break\n"
        "    print(fingerprint(value), flush=True)\n"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "4242"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
    ) as process:

        def ask(value: Any) -> str:
            process.stdin.write(pickle.dumps(value))
            process.stdin.flush()
            return process.stdout.readline().decode().strip()

        ask(None)  # it starts up outside the time that an example may take
        yield ask
        process.stdin.close()


@given(values | st.floats())
def test_a_value_has_the_same_digest_in_another_process(other_process, value):
    assert other_process(value) == fingerprint(value)


unknowns = st.recursive(
    st.sampled_from([object(), 1j, int, datetime.timedelta(1)]),
    lambda inner: (
        st.tuples(values, inner).map(list)
        | st.tuples(inner, values)
        | st.dictionaries(st.text(), inner, min_size=1)
    ),
    max_leaves=5,
)


@given(unknowns)
def test_an_unknown_object_is_refused_however_deep_it_lies(value):
    with pytest.raises(UsageError, match="cannot be part of a cache key") as raised:
        fingerprint(value)
    assert raised.value.hint


def test_not_a_number_has_one_digest():
    assert fingerprint(float("nan")) == fingerprint(-float("nan"))


def test_an_integer_of_any_length_has_a_digest():
    assert fingerprint(10**10_000) != fingerprint(10**10_000 + 1)


@pytest.mark.parametrize(
    "value",
    [object(), 1j, lambda: 1, int, range, datetime.timedelta(1), iter([1])],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"a": [value]}], ids=["alone", "nested"])
def test_an_unknown_object_is_refused_with_a_hint(value, wrap):
    with pytest.raises(UsageError, match="cannot be part of a cache key") as raised:
        fingerprint(wrap(value))
    assert "numbers, texts, dates" in raised.value.hint


def test_a_value_that_contains_itself_is_refused():
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(UsageError, match="contains itself"):
        fingerprint(endless)


def test_digests_are_the_same_in_every_process():
    code = (
        "from baton.store.fingerprint import fingerprint as f;"
        "print(f({'a': {'x', 'y', 'z', 1.5}, 'b': [None, True, (1, b'2')], 3: 'c'}))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(answers) == 1
