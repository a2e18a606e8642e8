"""What differs between work at hand and an earlier entry."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from baton import Parameters
from baton.codetrace.source import read_source
from baton.core.execute import execute_task
from baton.core.reasons import CauseKind
from baton.store.differences import described, differences, place_of
from baton.store.key import RULE_VERSION, describe_work


class Tree(Parameters, frozen=True):
    depth: int = 3
    rate: float = 0.5


class Forest(Parameters, frozen=True):
    depth: int = 3
    rate: float = 0.5


SOURCE = """
    from baton import Json, task

    @task(version=lambda word: f"https://me:hush@host/{word}")
    def f(factor: int, word: str) -> Json:
        return factor
"""


@pytest.fixture
def work_and_entry(package, make_run, store):
    package.write("tasks.py", SOURCE)
    tasks = package.load()
    report = execute_task(tasks.f, {}, make_run())
    return describe_work(tasks.f, {}, {"factor": 2, "word": "one"}, store.code), store.index.get(report.key)


def told(work, entry, **options):
    return [cause.sentence for cause in differences(work, entry, **options)]


def test_the_same_work_does_not_differ(work_and_entry):
    assert told(*work_and_entry) == []


def test_a_parameter_of_another_type_differs(work_and_entry):
    work, entry = work_and_entry
    assert told(replace(work, parameters={"factor": 2.0, "word": "one"}), entry) == [
        "parameter factor 2 -> 2.0"
    ]
    assert told(replace(work, parameters={"factor": "2", "word": "one"}), entry) == [
        "parameter factor 2 -> '2'"
    ]


def test_parameters_that_come_and_go_are_told(work_and_entry):
    work, entry = work_and_entry
    assert told(replace(work, parameters={"word": "one", "share": 1.0}), entry) == [
        "parameter share 1.0 added",
        "parameter factor 2 removed",
    ]


def test_what_version_says_is_told_without_secrets(work_and_entry):
    work, entry = work_and_entry
    assert told(replace(work, version="https://me:quiet@host/two"), entry) == [
        "input from outside https://host/one -> https://host/two"
    ]
    assert told(replace(work, version="https://me:quiet@host/one"), entry) == ["input from outside changed"]


def test_another_rule_is_told_and_nothing_else(work_and_entry):
    work, entry = work_and_entry
    older = msgspec.structs.replace(entry, rule=0, code={})
    assert told(work, older) == [f"rule of the cache key 0 -> {RULE_VERSION}"]


def test_code_is_not_compared_between_versions_of_python(work_and_entry):
    work, entry = work_and_entry
    older = msgspec.structs.replace(entry, python="3.9", code={})
    assert told(work, older) == [f"Python 3.9 -> {work.python}"]


def test_another_kind_of_output_is_told(work_and_entry):
    work, entry = work_and_entry
    assert told(replace(work, outputs={"f": "table"}), entry) == ["outputs f json -> table"]


def test_inputs_that_nobody_knows_are_left_out(work_and_entry):
    work, entry = work_and_entry
    entry = msgspec.structs.replace(entry, inputs={"a": "1", "b": "2", "c": "3"})
    work = replace(work, inputs={"a": "9", "c": "3"})
    assert told(work, entry, unknown_inputs=["b"]) == ["input 'a' changed"]
    assert told(work, entry) == ["input 'a' changed", "input 'b' removed"]


def test_members_of_a_group_are_told_by_themselves(work_and_entry):
    work, entry = work_and_entry
    values, digests = described({"tree": Tree()})
    entry = msgspec.structs.replace(entry, parameters=values, parameter_digests=digests)
    assert told(replace(work, parameters={"tree": Tree(depth=4)}), entry) == ["parameter depth 3 -> 4"]
    assert told(replace(work, parameters={"tree": Forest()}), entry) == ["parameter tree changed"]


def test_values_are_described_plainly_and_without_secrets():
    values, _ = described(
        {
            "rate": float("nan"),
            "uri": "s3://key:word@host/x",
            "api_key": "hush",
            "many": {"token": "hush", "n": 1},
        }
    )
    assert values == {
        "rate": "nan",
        "uri": "s3://host/x",
        "api_key": "(hidden)",
        "many": {"token": "(hidden)", "n": 1},
    }


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("{0}.tasks:f", "{0}/tasks.py: f"),
        ("{0}:f", "{0}/__init__.py: f"),
        ("{0}.tasks:*", "{0}/tasks.py: the whole module"),
        ("{0}.tasks:(import)", "{0}/tasks.py: what it does on import"),
        ("{0}.tasks:file data/zones.csv", "{0}/data/zones.csv"),
        ("{0}.gone:f", "{0}/gone.py: f"),
    ],
)
def test_a_part_is_named_by_where_it_stands(package, part, place):
    package.write("tasks.py", SOURCE)
    assert place_of(part.format(package.name)) == place.format(package.name)


def test_texts_of_definitions_have_the_digests_of_their_summaries():
    source = '''
import os
LIMIT = 1  # why
os.environ.update(A="1")
def f(x):
    """Say."""
    return x  + LIMIT
'''
    summary, texts = read_source(source, "")
    assert {name: text for name, (_, text) in texts.items()} == {
        "LIMIT": "LIMIT = 1",
        "f": "def f(x):\n    return x + LIMIT",
        "os": "os.environ.update(A='1')",
        "": "os.environ.update(A='1')",
    }
    assert {name: digest for name, (digest, _) in texts.items() if name} == {
        name: definition.digest for name, definition in summary.definitions.items()
    }
    assert summary.on_import_digest == texts[""].digest


class TestKeptTexts:
    def cause_of_edit(self, package, make_run, store, before, after):
        """Run, edit, and return the cause with the states of modules at the run."""
        text = "from baton import Json, task\n{}\n@task\ndef f(factor: int) -> Json:\n    return VALUE\n"
        package.write("tasks.py", text.format(before))
        entry = store.index.get(execute_task(package.load().f, {}, make_run()).key)
        package.write("tasks.py", text.format(after))
        work = describe_work(package.load().f, {}, {"factor": 2}, store.code)
        [cause] = differences(work, entry)
        assert cause.kind is CauseKind.CODE
        return cause, entry.sources

    def test_give_the_change(self, package, make_run, store):
        cause, sources = self.cause_of_edit(package, make_run, store, "VALUE = 1", "VALUE = 2")
        assert store.texts.diff(cause, sources) == "@@ -1 +1 @@\n-VALUE = 1\n+VALUE = 2"

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("VALUE = API_KEY = 'hush'", "VALUE = API_KEY = 'quiet'"),
            ("VALUE = {'password': 'hush'}", "VALUE = {'password': 'quiet'}"),
            ("VALUE = dict(db_password='hush')", "VALUE = dict(db_password='quiet')"),
            ("VALUE = 'https://me:hush@host/x'", "VALUE = 'https://me:quiet@host/x'"),
        ],
    )
    def test_hold_no_secret(self, package, make_run, store, before, after):
        cause, sources = self.cause_of_edit(package, make_run, store, before, after)
        assert store.texts.diff(cause, sources) == "the change is hidden, because it may be a secret"
        assert not any("hush" in store.objects.read_text(name) for name in store.objects.names("code"))

    def test_are_cut_where_the_change_is_long(self, package, make_run, store):
        cause, sources = self.cause_of_edit(
            package, make_run, store, "VALUE = 1", "def VALUE():\n" + "    print(1)\n" * 100
        )
        lines = store.texts.diff(cause, sources).splitlines()
        assert (len(lines), lines[-1]) == (41, "... and 63 more lines")
