"""Looking after a store: what is damaged is found, what is needed is never removed."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from baton import Files, Json, task
from baton.core.artifact import Artifact
from baton.core.execute import execute_task
from baton.maintenance.gc import Garbage, Rule, find_everything, find_garbage, remove_garbage
from baton.maintenance.survey import digests_of, survey
from baton.maintenance.verify import Damage, verify
from baton.store.index import ENTRY_VERSION, Entry, entry_name
from baton.store.objects import name_of
from baton.store.store import Store
from baton.store.texts import text_name

DAY_S = 86400.0


@task(effect=True)
def deployed() -> Json:
    return {"version": 1}


_numbers = itertools.count()


@pytest.fixture(params=["local", "remote"])
def store(request, tmp_path) -> Store:
    """Return an empty store, in a folder and elsewhere."""
    url = {"local": str(tmp_path / "store"), "remote": f"local://{tmp_path}/far"}[request.param]
    return Store(url, tmp_path / "home")


@pytest.fixture
def home(tmp_path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def remember(store, tmp_path) -> Callable[..., Entry]:
    """Return a function that stores a value and remembers it as the work of a task."""

    def make(value: object, *, days_old: float = 0.0, task: str = "train") -> Entry:
        number = next(_numbers)
        if isinstance(value, dict):
            for name, text in value.items():
                (tmp_path / name).write_text(text)
            made = store.save("out", Files, {name: tmp_path / name for name in value})
        else:
            made = store.save("out", Json, value)
        at = time.time() - days_old * DAY_S
        entry = Entry(
            key=f"{number:064x}",
            task=task,
            pipeline="small",
            run_id="20260101-000000-abcd",
            engine="simple",
            outputs={"out": made.as_dict()},
            facts=[],
            parameters={},
            inputs={},
            code={},
            packages={},
            unresolved=[],
            world="",
            finished_at=time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at)),
            duration_s=1.0,
        )
        store.index.put(entry)
        return entry

    return make


def digest_of(entry: Entry) -> str:
    return str(entry.outputs["out"]["digest"])


def folder_of(store: Store, tmp_path: Path) -> Path:
    return tmp_path / ("store" if store.objects.is_local else "far")


def make_old(root: Path, days: float = 1.0) -> None:
    """Make every file below a folder look as if it was written long ago."""
    for path in [*root.rglob("*"), root]:
        at = time.time() - days * DAY_S
        os.utime(path, (at, at), follow_symlinks=False)


def damage(store: Store, tmp_path: Path, name: str, content: bytes) -> None:
    path = folder_of(store, tmp_path) / name
    path.chmod(0o644)
    path.write_bytes(content)


def garbage(store: Store, home: Path, **rule: object) -> Garbage:
    return find_garbage(store, home, Rule(now=time.time(), **rule))  # type: ignore[arg-type]


def digests(files: tuple) -> set[str]:
    return {file.name.rpartition("/")[2] for file in files}


class TestVerify:
    """Every digest, every entry."""

    def test_finds_nothing_in_a_good_store(self, store, remember):
        remember([1])
        remember({"a.txt": "1", "b.txt": "2"})
        found = verify(store)
        assert (found.objects, found.entries, found.findings, found.is_good) == (4, 2, (), True)

    def test_finds_nothing_in_an_empty_store(self, store):
        assert verify(store).is_good

    @pytest.mark.parametrize("content", [b"other", b"", b"[1]\n"], ids=["other", "empty", "longer"])
    def test_finds_a_damaged_object_and_the_entry_that_needs_it(self, store, remember, tmp_path, content):
        entry = remember([1])
        damage(store, tmp_path, name_of(digest_of(entry)), content)
        found = verify(store)
        assert [(one.damage, one.name) for one in found.findings] == [
            (Damage.CORRUPT_OBJECT, name_of(digest_of(entry))),
            (Damage.MISSING_OBJECT, entry_name(entry.key)),
        ]
        assert not found.is_good
        assert "task 'train'" in found.findings[1].about

    def test_finds_a_missing_member_of_a_set_of_files(self, store, remember):
        entry = remember({"a.txt": "1", "b.txt": "2"})
        needed = digests_of({"it": entry.outputs}, store.objects.place)["it"]
        assert len(needed) == 3
        store.objects.remove(next(iter(needed - {digest_of(entry)})))
        assert [one.damage for one in verify(store).findings] == [Damage.MISSING_OBJECT]

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[]", b"\xff", b'{"version":%d,"key":"x"}' % ENTRY_VERSION]
    )
    def test_finds_a_torn_entry(self, store, remember, tmp_path, content):
        name = entry_name(remember([1]).key)
        damage(store, tmp_path, name, content)
        assert [one.damage for one in verify(store).findings] == [Damage.MALFORMED_ENTRY]

    def test_finds_an_entry_under_another_key(self, store, remember, tmp_path):
        entry = remember([1])
        store.objects.write_text(entry_name("ab" * 32), msgspec.json.encode(entry).decode())
        assert [one.damage for one in verify(store).findings] == [Damage.MALFORMED_ENTRY]

    def test_leaves_an_entry_of_another_version_alone(self, store, remember, tmp_path):
        entry = remember([1])
        later = msgspec.json.encode(msgspec.structs.replace(entry, version=ENTRY_VERSION + 1))
        damage(store, tmp_path, entry_name(entry.key), later)
        found = verify(store, repair=True)
        assert [one.damage for one in found.findings] == [Damage.OTHER_ENTRY]
        assert found.is_good
        assert [one.damage for one in verify(store).findings] == [Damage.OTHER_ENTRY]

    def test_tells_of_old_leftovers_and_not_of_files_being_written(self, store, tmp_path, remember):
        remember([1])
        root = folder_of(store, tmp_path)
        for name in ("tmp/a", "index/ab/.x.json.12.tmp", "objects/ab/y.tmp-12"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("half")
        assert verify(store).findings == ()
        make_old(root)
        found = verify(store, repair=True)
        assert [one.damage for one in found.findings] == [Damage.LEFTOVER] * 3
        assert found.is_good
        assert verify(store).findings == ()

    def test_leaves_what_is_not_batons_alone(self, store, tmp_path, remember):
        remember([1])
        stray = folder_of(store, tmp_path) / "objects" / "notes.txt"
        stray.write_text("mine")
        found = verify(store, repair=True)
        assert [one.damage for one in found.findings] == [Damage.STRAY]
        assert found.is_good
        assert stray.exists()

    def test_mends_so_that_nothing_bad_is_left(self, store, remember, tmp_path):
        good, bad, torn = remember([1]), remember([2]), remember([3])
        damage(store, tmp_path, name_of(digest_of(bad)), b"x")
        damage(store, tmp_path, entry_name(torn.key), b"x")
        found = verify(store, repair=True)
        assert found.is_good
        assert all(one.mended for one in found.findings)
        assert verify(store).findings == ()
        assert store.index.get(good.key) == good
        assert store.index.get(bad.key) is None
        assert not store.objects.has(digest_of(bad))
        assert store.objects.has(digest_of(torn))

    def test_without_mending_removes_nothing(self, store, remember, tmp_path):
        bad = remember([2])
        damage(store, tmp_path, name_of(digest_of(bad)), b"x")
        verify(store)
        assert store.objects.has(digest_of(bad))
        assert store.index.get(bad.key) == bad

    def test_finds_a_damaged_copy_in_the_mirror(self, store, remember, tmp_path):
        if store.objects.is_local:
            pytest.skip("a local store has no mirror")
        entry = remember([1])
        copy = store.objects.mirror.root / name_of(digest_of(entry))
        copy.chmod(0o644)
        copy.write_bytes(b"torn")
        assert [one.damage for one in verify(store, repair=True).findings] == [Damage.CORRUPT_COPY]
        again = Store(store.objects.url, tmp_path / "home")
        assert verify(again).findings == ()
        assert again.load(Artifact.from_dict(entry.outputs["out"]), Json) == [1]


class TestGarbage:
    """What is not needed, and what always is."""

    def test_is_none_where_everything_is_remembered(self, store, home, remember, tmp_path):
        remember([1], days_old=400)
        remember({"a.txt": "1"}, days_old=400)
        make_old(folder_of(store, tmp_path), 400)
        assert not any(garbage(store, home).by_kind.values())

    def test_is_an_object_that_no_entry_refers_to(self, store, home, remember, tmp_path):
        kept, gone = remember({"a.txt": "1"}), remember({"b.txt": "2"})
        store.index.remove([entry_name(gone.key)])
        assert garbage(store, home).objects == ()  # it may be a running task's
        make_old(folder_of(store, tmp_path))
        found = garbage(store, home)
        assert len(found.objects) == 2
        remove_garbage(store, home, found)
        assert not store.objects.has(digest_of(gone))
        again = Store(store.objects.url, home)
        assert again.load(Artifact.from_dict(kept.outputs["out"]), Files)["a.txt"].read_text() == "1"

    def test_by_age_is_what_was_neither_made_nor_used_for_so_long(self, store, home, remember, tmp_path):
        old, used, new = (remember([number], days_old=days) for number, days in ((1, 40), (2, 40), (3, 1)))
        make_old(folder_of(store, tmp_path), 40)
        used_at = {digest_of(used): time.time() - DAY_S}
        found = garbage(store, home, older_than_s=30 * DAY_S, used_at=used_at)
        assert [file.name for file in found.entries] == [entry_name(old.key)]
        assert digests(found.objects) == {digest_of(old)}
        remove_garbage(store, home, found)
        assert store.index.get(old.key) is None
        assert store.index.get(new.key) == new
        assert not store.objects.has(digest_of(old))
        assert verify(store).is_good

    def test_by_age_is_never_an_object_that_a_newer_entry_shares(self, store, home, remember, tmp_path):
        old, new = remember([1], days_old=40), remember([1])
        make_old(folder_of(store, tmp_path), 40)
        found = garbage(store, home, older_than_s=DAY_S)
        assert [file.name for file in found.entries] == [entry_name(old.key)]
        assert found.objects == ()
        assert digest_of(old) == digest_of(new)

    def test_by_size_is_what_was_not_used_for_longest(self, store, home, remember, tmp_path):
        entries = [remember("x" * 1000 + str(day), days_old=day) for day in (1, 2, 3)]
        make_old(folder_of(store, tmp_path))
        found = garbage(store, home, max_size=2500)
        assert [file.name for file in found.entries] == [entry_name(entries[2].key)]
        remove_garbage(store, home, found)
        left = survey(store.objects.place).objects.values()
        assert sum(file.size for file in left) <= 2500
        assert len(left) == 2

    @pytest.mark.parametrize("rule", [{"older_than_s": 0.0}, {"max_size": 0}], ids=["age", "size"])
    def test_is_never_what_was_made_within_the_hour(self, store, home, remember, rule):
        remember([1])
        assert not any(garbage(store, home, **rule).by_kind.values())

    def test_while_a_run_is_in_progress_is_nothing_that_it_may_need(self, store, home, remember, tmp_path):
        remember([1], days_old=40)
        lost = store.save("lost", Json, "lost")
        make_old(folder_of(store, tmp_path), 2)
        began = time.time() - 3 * DAY_S
        busy = garbage(store, home, older_than_s=DAY_S, max_size=0, busy_since=began)
        assert not any(busy.by_kind.values())
        later = garbage(store, home, older_than_s=DAY_S, busy_since=time.time() - DAY_S)
        assert later.entries == ()
        assert digests(later.objects) == {lost.digest}

    def test_that_is_referred_to_before_it_is_removed_stays(self, store, home, remember, tmp_path):
        store.save("out", Json, [7])
        make_old(folder_of(store, tmp_path))
        found = garbage(store, home)
        entry = remember([7])
        remove_garbage(store, home, found)
        assert store.objects.has(digest_of(entry))

    def test_is_never_what_the_last_success_of_an_effect_made(
        self, store, home, tmp_path, make_run, effect_scope
    ):
        report = execute_task(deployed, {}, make_run(store=store, effect_scope=effect_scope))
        make_old(folder_of(store, tmp_path))
        assert garbage(store, home).objects == ()
        store.effects.forget(effect_scope, ["deployed"])
        assert report.outputs["deployed"].digest in digests(garbage(store, home).objects)

    def test_is_a_record_of_an_effect_that_is_older_than_asked_for(
        self, store, home, tmp_path, make_run, effect_scope
    ):
        execute_task(deployed, {}, make_run(store=store, effect_scope=effect_scope))
        make_old(folder_of(store, tmp_path), 40)
        record = store.effects.last(effect_scope, "deployed")
        assert record is not None
        assert garbage(store, home, older_than_s=50 * DAY_S).effects == ()
        assert garbage(store, home, older_than_s=30 * DAY_S).effects == (), "its success is of today"
        old = msgspec.structs.replace(record.work, finished_at="2020-01-01T00:00:00+00:00")
        [file] = store.effects.files()
        content = msgspec.json.encode(msgspec.structs.replace(record, work=old))
        damage(store, tmp_path, file.name, content)
        make_old(folder_of(store, tmp_path), 40)
        found = garbage(store, home, older_than_s=30 * DAY_S)
        assert [one.name for one in found.effects] == [file.name]
        remove_garbage(store, home, found)
        assert store.effects.last(effect_scope, "deployed") is None

    def test_is_the_text_of_code_and_the_name_of_an_entry_that_is_gone(self, store, home, remember, tmp_path):
        kept, gone = remember([1], task="kept"), remember([2], task="gone")
        for entry, state in ((kept, "a" * 40), (gone, "b" * 40)):
            store.index.put(msgspec.structs.replace(entry, sources={"module": state}))
            store.objects.write_text(text_name(state), "{}")
        store.index.remove([entry_name(gone.key)])
        assert garbage(store, home).texts == ()
        make_old(folder_of(store, tmp_path))
        found = garbage(store, home)
        assert {file.name for file in found.texts} == {text_name("b" * 40), "latest/small/gone.json"}
        remove_garbage(store, home, found)
        left = survey(store.objects.place)
        assert (list(left.texts), list(left.latest)) == (["a" * 40], ["latest/small/kept.json"])

    def test_is_a_torn_entry_but_not_one_of_another_version(self, store, home, remember, tmp_path):
        torn, other = remember([1]), remember([2])
        damage(store, tmp_path, entry_name(torn.key), b"{")
        later = msgspec.json.encode(msgspec.structs.replace(other, version=ENTRY_VERSION + 1))
        damage(store, tmp_path, entry_name(other.key), later)
        make_old(folder_of(store, tmp_path))
        found = garbage(store, home)
        assert [file.name for file in found.entries] == [entry_name(torn.key)]
        assert digests(found.objects) == {digest_of(torn)}

    def test_is_what_writers_that_were_stopped_left(self, store, home, tmp_path, remember):
        remember([1])
        half = folder_of(store, tmp_path) / "tmp" / "half"
        half.parent.mkdir(exist_ok=True)
        half.write_text("half")
        assert garbage(store, home).leftovers == ()
        make_old(folder_of(store, tmp_path))
        remove_garbage(store, home, garbage(store, home))
        assert not half.exists()

    def test_in_the_projects_folder_is_what_is_old_or_leads_nowhere(self, store, home, remember, tmp_path):
        kept, gone = remember({"a.txt": "1"}), remember({"b.txt": "2"})
        for entry in (kept, gone):
            store.load(Artifact.from_dict(entry.outputs["out"]), Files)
        for name in ("sources/ab", "scratch/train-1/half", "data/month.parquet"):
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text("x")
        store.index.remove([entry_name(gone.key)])
        make_old(folder_of(store, tmp_path), 40)
        assert not any(garbage(store, home).local.values())
        make_old(home, 40)
        found = garbage(store, home)
        remove_garbage(store, home, found)
        assert {folder: len(files) for folder, files in found.local.items()} == {
            "sources": 1,
            "views": 1,
            "scratch": 1,
        }
        assert (home / "data" / "month.parquet").exists()
        assert [view.name for view in (home / "views").iterdir()] == [digest_of(kept)[:16]]

    def test_in_the_mirror_is_a_copy_of_what_is_gone(self, store, home, remember, tmp_path):
        if store.objects.is_local:
            pytest.skip("a local store has no mirror")
        kept, gone = remember([1]), remember([2])
        store.objects.place.remove([name_of(digest_of(gone)), entry_name(gone.key)])
        make_old(home, 1)
        found = garbage(store, home)
        assert digests(found.copies) == {digest_of(gone)}
        assert digests(garbage(store, home, older_than_s=DAY_S / 2).copies) == {
            digest_of(kept),
            digest_of(gone),
        }
        remove_garbage(store, home, found)
        assert Store(store.objects.url, home).load(Artifact.from_dict(kept.outputs["out"]), Json) == [1]


def test_everything_is_all_that_the_cache_holds_and_nothing_else(store, home, remember, tmp_path):
    store.load(Artifact.from_dict(remember({"a.txt": "1"}).outputs["out"]), Files)
    for kept in ("runs/a.json", "models/m", "mlflow/mlflow.db", "data/d"):
        (home / kept).parent.mkdir(parents=True, exist_ok=True)
        (home / kept).write_text("x")
    notes = folder_of(store, tmp_path) / "objects" / "notes.txt"
    notes.write_text("mine")
    remove_garbage(store, home, find_everything(store, home))
    found = survey(store.objects.place)
    assert (found.objects, found.entries, found.texts, found.latest) == ({}, {}, {}, {})
    assert notes.exists()
    assert all((home / kept).exists() for kept in ("runs/a.json", "models/m", "mlflow/mlflow.db", "data/d"))
    assert not any((home / "views").iterdir())
