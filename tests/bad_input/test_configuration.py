"""Configuration files, environment values and command lines that nobody should write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from baton.cli.app import COMMANDS
from baton.config.settings import all_settings
from baton.core.parameters import leaves
from baton.testing.pipelines import Chosen
from tests.bad_input.attempts import SECRET, attempt, must_be_told

patient = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)

LEAVES = [*leaves(all_settings()), *leaves(Chosen)]
KEYS = sorted({part for leaf in LEAVES for part in leaf.path} | {"data", "", "unknown"})
ADDRESSES = [
    f"http://someone:{SECRET}@[",
    f"http://someone:{SECRET}/x@127.0.0.1:1/a",
    f"https://someone:{SECRET}@127.0.0.1:1/a?token={SECRET}#x",
    f"s3://someone:{SECRET}@bucket/x?key={SECRET}",
    f"nowhere://someone:{SECRET}@x",
    f"postgresql://someone:{SECRET}@127.0.0.1:1/db",
]
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "none", "../..", "/", "~", "\0", "a\0b", "x" * 5000, "\ud800", "{", "%s", *ADDRESSES]
    ),
)
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([10**400, -(10**40), 1e308, float("nan"), float("inf"), True])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), TEXTS), inner, max_size=4),
    ),
    max_leaves=12,
)


def nested(pairs: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for path, value in pairs.items():
        place = content
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
    return content


SETTINGS = st.dictionaries(
    st.sampled_from([leaf.path for leaf in LEAVES if leaf.name != "pipeline"]), VALUES, max_size=4
).map(nested)
READING = [("config", "show"), ("list",), ("plan",), ("status",), ("explain", "left"), ("run", "--dry-run")]


@patient
@given(content=st.one_of(VALUES, SETTINGS), command=st.sampled_from([*READING, ("run", "-q")]))
@example(content={"baton": {"home": "\0"}}, command=("run",))
def test_no_configuration_file_is_a_defect(content: Any, command: tuple[str, ...]) -> None:
    must_be_told(attempt(*command, config=json.dumps(content).encode("utf-8", "surrogatepass")))


@patient
@given(content=st.binary(max_size=200), command=st.sampled_from(READING))
def test_no_bytes_in_a_configuration_file_are_a_defect(content: bytes, command: tuple[str, ...]) -> None:
    must_be_told(attempt(*command, config=content))


HOSTILE_FILES = {
    "a number of 5,000 digits": b'{"start": ' + b"9" * 5000 + b"}",
    "a section that is a number of 5,000 digits": b'{"baton": ' + b"9" * 5000 + b"}",
    "lists nested 100,000 deep": b'{"start": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "sections nested 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "sections nested 900 deep": b'{"a":' * 900 + b"1" + b"}" * 900,
    "not a number": b'{"nap_s": NaN}',
    "infinity": b'{"nap_s": Infinity}',
    "a number beyond all": b'{"nap_s": 1e999}',
    "half a character": b'{"broken": "\\ud800"}',
    "no UTF-8": b'{"broken": "\xff\xfe"}',
    "UTF-16": '{"start": 1}'.encode("utf-16"),
    "a NUL": b'{"baton": {"home": "\\u0000"}}',
    "a name of 5,000 characters": b'{"baton": {"home": "' + b"x" * 5000 + b'"}}',
    "a NUL in the store": b'{"baton": {"store": "a\\u0000b"}}',
    "a NUL in the engine": b'{"baton": {"engine": "a\\u0000b"}}',
}


@pytest.mark.parametrize("command", [*READING, ("run",)], ids=" ".join)
@pytest.mark.parametrize("content", HOSTILE_FILES.values(), ids=HOSTILE_FILES)
def test_a_hostile_configuration_file_is_told(content: bytes, command: tuple[str, ...]) -> None:
    must_be_told(attempt(*command, config=content))


@pytest.mark.parametrize("case", ["not a number", "infinity", "a number beyond all"])
def test_what_is_no_number_is_refused(case: str) -> None:
    ended = attempt("config", "show", config=HOSTILE_FILES[case])
    assert ended.code == 2
    assert "nap_s" in ended.err or "not JSON" in ended.err


def test_a_byte_order_mark_is_no_mistake() -> None:
    ended = attempt("config", "show", "--json", config=b'\xef\xbb\xbf{"start": 4}')
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["start"]["value"] == 4


def without_nul(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= c <= "\udc7f" or "\udd00" <= c <= "\udfff" for c in text)


VARIABLES = [f"BATON_{leaf.name.upper()}" for leaf in LEAVES]


@patient
@given(
    environ=st.dictionaries(
        st.one_of(st.sampled_from(VARIABLES), st.text("ABCXYZ_", max_size=8).map("BATON_{}".format)),
        TEXTS.filter(without_nul),
        max_size=3,
    ),
    command=st.sampled_from([*READING, ("run",)]),
)
def test_no_environment_is_a_defect(environ: dict[str, str], command: tuple[str, ...]) -> None:
    must_be_told(attempt(*command, environ=environ))


WORDS = st.one_of(
    st.sampled_from(
        [*COMMANDS, "show", "set", "path", "info", "ls", "verify", "gc", "clear", "bash", "left", "publish"]
    ),
    st.sampled_from([f"--{leaf.name.replace('_', '-')}" for leaf in LEAVES]),
    st.sampled_from(
        [
            "--json",
            "-v",
            "-q",
            "-n",
            "-j",
            "-C",
            "--config",
            "--project",
            "--run",
            "--resume",
            "--cache",
            "--force",
            "--targets",
            "--format",
            "--dry-run",
            "--explain",
            "--keep-going",
            "--version",
            "-h",
            "--help",
            "--",
            "-",
            "--yes",
            "--full",
            "--older-than",
        ]
    ),
    st.sampled_from(["latest", "0", "-1", "1", "nan", "1e999", "9" * 50, "mermaid", "true", "json:dumps"]),
    TEXTS,
)
NEVER = {"ui", "doctor", "menu", "compare", "prefect", "airflow"}
"""Commands that start a server, ask the network, or wait for a person."""


@settings(patient, max_examples=300)
@given(words=st.tuples(st.sampled_from([c for c in COMMANDS if c not in NEVER]), st.lists(WORDS, max_size=6)))
@example(words=("status", ["-n", "9" * 30]))
@example(words=("run", ["--resume", "\0"]))
@example(words=("list", ["-C", "\0"]))
@example(words=("run", ["-C", f"http://someone:{SECRET}@["]))
@example(words=("list", ["--config", "\0"]))
@example(words=("run", ["-C", "http://someone:hunter2@["]))
@example(words=("list", ["--config", "http://someone:hunter2@["]))
def test_no_command_line_is_a_defect(words: tuple[str, list[str]]) -> None:
    first, rest = words
    must_be_told(attempt(first, *(word for word in rest if word not in NEVER)))


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "option", ["--store", "--tracking-uri", "--tracking-server-host", "--engine", "--home"]
)
@pytest.mark.parametrize("command", [("list",), ("config", "show"), ("plan",), ("run",)], ids=" ".join)
def test_no_error_shows_a_secret(command: tuple[str, ...], option: str, address: str) -> None:
    must_be_told(attempt(*command, option, address, "--pipeline", "baton.testing.pipelines:tracked"))
