"""The memory of finished work: what it cannot read whole is a miss, never an error."""

from __future__ import annotations

import json

import msgspec
import pytest

from baton.store.index import ENTRY_VERSION, Entry, Index
from baton.store.objects import ObjectStore

KEY = "ab" * 32


@pytest.fixture
def entry() -> Entry:
    return Entry(
        key=KEY,
        task="train",
        pipeline="small",
        run_id="20260101-000000-abcd",
        engine="simple",
        outputs={"model": {"name": "model", "kind": "json", "digest": "cd" * 32, "size": 3}},
        facts=[("RMSE", "6.6")],
        parameters={"depth": 3},
        inputs={"trips": "ef" * 32},
        code={"a:f": "12"},
        packages={"numpy": "2.0"},
        unresolved=[],
        world="",
        finished_at="2026-01-01T00:00:00+00:00",
        duration_s=1.5,
    )


@pytest.fixture
def objects(tmp_path) -> ObjectStore:
    return ObjectStore(str(tmp_path), tmp_path / "mirror")


@pytest.fixture
def index(objects) -> Index:
    return Index(objects)


def test_an_entry_comes_back_as_it_was(index, entry):
    index.put(entry)
    assert index.get(KEY) == entry


def test_an_unknown_key_is_a_miss(index):
    assert index.get(KEY) is None


def test_a_later_entry_replaces_an_earlier_one(index, entry):
    index.put(entry)
    later = msgspec.structs.replace(entry, duration_s=2.5)
    index.put(later)
    assert index.get(KEY) == later


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_torn_entry_is_a_miss(index, objects, entry, kept):
    index.put(entry)
    [name] = objects.names("index")
    text = objects.read_text(name)
    objects.write_text(name, text[:kept])
    assert index.get(KEY) is None


CHANGES = {
    "newer version": {"version": ENTRY_VERSION + 1},
    "newer version with other fields": {"version": ENTRY_VERSION + 1, "outputs": ["model"]},
    "older version": {"version": 0},
    "other key": {"key": "00" * 32},
    "wrong type": {"facts": "none"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_entry_that_means_something_else_is_a_miss(index, objects, entry, change):
    index.put(entry)
    [name] = objects.names("index")
    fields = json.loads(objects.read_text(name))
    objects.write_text(name, json.dumps({**fields, **CHANGES[change]}))
    assert index.get(KEY) is None


@pytest.mark.parametrize("text", ["[]", "null", "{}", '"text"', "\x00"])
def test_what_is_no_entry_is_a_miss(index, objects, entry, text):
    index.put(entry)
    [name] = objects.names("index")
    objects.write_text(name, text)
    assert index.get(KEY) is None


class TestTheLatestKey:
    """Which entry other work of a task is compared with."""

    def test_is_that_of_the_last_entry_of_task_and_pipeline(self, index, entry):
        index.put(entry)
        later = msgspec.structs.replace(entry, key="00" * 32)
        index.put(later)
        index.put(msgspec.structs.replace(entry, task="other"))
        index.put(msgspec.structs.replace(entry, pipeline="other"))
        assert index.latest_key("small", "train") == later.key

    @pytest.mark.parametrize("pipeline", ["../..", "a/b", "", "x" * 300, "two words", "Größe"])
    def test_is_kept_below_its_folder_whatever_the_pipeline_is_called(self, index, objects, entry, pipeline):
        index.put(msgspec.structs.replace(entry, pipeline=pipeline))
        assert index.latest_key(pipeline, "train") == KEY
        assert len(objects.names("latest")) == 1

    @pytest.mark.parametrize("text", ["", "[]", '{"version": 99}', '{"version": 0, "key": "a"}', "\x00"])
    def test_is_unknown_where_it_cannot_be_read(self, index, objects, entry, text):
        index.put(entry)
        [name] = objects.names("latest")
        objects.write_text(name, text)
        assert index.latest_key("small", "train") is None
