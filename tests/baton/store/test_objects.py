"""Objects by digest: whole or not there, and never taken for what they are not."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path

import pytest

from baton.errors import CorruptObject, StoreError, Unavailable
from baton.store.objects import ObjectStore, digest_of, name_of

_numbers = itertools.count()
CONTENT = b"some bytes"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["local", "file URL", "file system with renaming", "memory"])
def objects(request, tmp_path) -> ObjectStore:
    """Return an empty object store on each kind of file system."""
    url = {
        "local": str(tmp_path / "store"),
        "file URL": f"file://{tmp_path}/store",
        "file system with renaming": f"local://{tmp_path}/store",
        "memory": f"memory://objects-{next(_numbers)}",
    }[request.param]
    return ObjectStore(url, tmp_path / "mirror")


@pytest.fixture
def local(tmp_path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "store"), tmp_path / "mirror")


def put(objects: ObjectStore, content: bytes = CONTENT) -> str:
    with objects.new_file() as path:
        path.write_bytes(content)
        return objects.put(path)[0]


def again(objects: ObjectStore, tmp_path: Path, mirror: str = "mirror") -> ObjectStore:
    """Return the store as another process sees it."""
    return ObjectStore(objects.url, tmp_path / mirror)


def test_an_object_comes_back_under_its_digest(objects, tmp_path):
    with objects.new_file() as path:
        path.write_bytes(CONTENT)
        assert objects.put(path) == (DIGEST, len(CONTENT))
    assert objects.has(DIGEST)
    assert objects.path_of(DIGEST).read_bytes() == CONTENT
    assert again(objects, tmp_path, "other mirror").path_of(DIGEST).read_bytes() == CONTENT


def test_an_object_put_twice_is_kept_once(objects):
    put(objects)
    put(objects)
    assert list(objects.digests()) == [(DIGEST, len(CONTENT))]


def test_an_empty_object_is_an_object(objects):
    assert objects.path_of(put(objects, b"")).read_bytes() == b""


def test_nothing_is_left_of_a_file_that_was_not_put(objects, tmp_path):
    with objects.new_file() as path:
        path.write_bytes(CONTENT)
    assert not path.exists()
    assert list(objects.digests()) == []


def test_an_object_is_intact_and_has_its_size(objects, tmp_path):
    second = again(objects, tmp_path, "other mirror")
    assert not second.is_intact(DIGEST)
    assert second.size_of(DIGEST) is None
    put(objects)
    assert second.is_intact(DIGEST)
    assert second.size_of(DIGEST) == len(CONTENT)


def test_a_missing_object_is_told(objects):
    assert not objects.has(DIGEST)
    with pytest.raises(StoreError, match="is missing") as raised:
        objects.path_of(DIGEST)
    assert raised.value.hint
    objects.remove(DIGEST)


def test_a_removed_object_is_gone(objects):
    put(objects)
    objects.remove(DIGEST)
    assert not objects.has(DIGEST)
    with pytest.raises(StoreError, match="is missing"):
        objects.path_of(DIGEST)


def test_texts_are_read_back_and_listed(objects):
    assert objects.read_text("index/ab/x.json") is None
    assert objects.names("index") == []
    objects.write_text("index/ab/x.json", "one")
    objects.write_text("index/ab/x.json", "två")
    objects.write_text("index/cd/y.json", "")
    assert objects.read_text("index/ab/x.json") == "två"
    assert objects.names("index") == ["index/ab/x.json", "index/cd/y.json"]
    objects.remove_text("index/ab/x.json")
    objects.remove_text("index/ab/x.json")
    assert objects.names("index") == ["index/cd/y.json"]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "", "a" * 63, "A" * 64, "g" * 64, f"../{'a' * 61}", "a" * 64 + "/x"]
)
def test_what_is_not_a_digest_is_never_used_as_a_path(objects, name):
    assert not objects.has(name)
    with pytest.raises(StoreError, match="not the digest"):
        objects.path_of(name)
    with pytest.raises(StoreError, match="not the digest"):
        objects.remove(name)


@pytest.mark.parametrize(
    "damaged", [b"other bytes", CONTENT[:4], b"", CONTENT + b"x"], ids=["other", "torn", "empty", "longer"]
)
class TestADamagedObject:
    """An object whose bytes are not its digest's."""

    def damage(self, objects: ObjectStore, content: bytes) -> Path:
        path = objects.path_of(put(objects))
        path.chmod(0o644)
        path.write_bytes(content)
        return path

    def test_is_told_and_removed(self, local, tmp_path, damaged):
        path = self.damage(local, damaged)
        with pytest.raises(CorruptObject, match="does not match its digest"):
            again(local, tmp_path).path_of(DIGEST)
        assert not path.exists()
        assert not local.has(DIGEST)

    def test_gives_way_when_the_object_is_made_again(self, local, tmp_path, damaged):
        self.damage(local, damaged)
        second = again(local, tmp_path)
        put(second)
        assert second.path_of(DIGEST).read_bytes() == CONTENT
        assert again(local, tmp_path).path_of(DIGEST).read_bytes() == CONTENT

    def test_is_found_by_looking_and_stays(self, objects, damaged, tmp_path):
        if objects.is_local:
            path = self.damage(objects, damaged)
        else:
            put(objects)
            objects.place.write(name_of(DIGEST), damaged)
        second = again(objects, tmp_path, "other mirror")
        assert not second.is_intact(DIGEST)
        assert second.size_of(DIGEST) == len(damaged)
        assert not objects.is_local or path.read_bytes() == damaged

    def test_in_the_mirror_is_fetched_again_and_the_shared_one_stays(self, tmp_path, damaged):
        remote = ObjectStore(f"memory://objects-{next(_numbers)}", tmp_path / "mirror")
        self.damage(remote, damaged)
        assert again(remote, tmp_path).path_of(DIGEST).read_bytes() == CONTENT
        assert remote.has(DIGEST)

    def test_at_the_remote_is_told_and_removed(self, tmp_path, damaged):
        remote = ObjectStore(f"memory://objects-{next(_numbers)}", tmp_path / "mirror")
        put(remote)
        remote.place.write(name_of(DIGEST), damaged)
        with pytest.raises(CorruptObject):
            again(remote, tmp_path, "other mirror").path_of(DIGEST)
        assert not remote.has(DIGEST)


def test_a_torn_remote_object_gives_way_when_the_object_is_made_again(tmp_path):
    remote = ObjectStore(f"memory://objects-{next(_numbers)}", tmp_path / "mirror")
    put(remote)
    remote.place.write(name_of(DIGEST), CONTENT[:3])
    put(remote)
    assert again(remote, tmp_path, "other mirror").path_of(DIGEST).read_bytes() == CONTENT


def test_objects_are_read_only_files(objects):
    assert objects.path_of(put(objects)).stat().st_mode & 0o222 == 0


def test_no_unfinished_file_is_ever_listed(local, tmp_path):
    with local.new_file() as path:
        path.write_bytes(b"half")
        assert list(local.digests()) == []
    assert sorted(p.name for p in (tmp_path / "store" / "tmp").iterdir()) == []


def test_a_text_that_is_not_text_is_as_good_as_none(local, tmp_path):
    local.write_text("index/a.json", "x")
    (tmp_path / "store" / "index" / "a.json").write_bytes(b"\xff\xfe\xff")
    assert local.read_text("index/a.json") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "store").mkdir(mode=0o555)
    with pytest.raises(StoreError, match="cannot be written") as raised:
        put(ObjectStore(str(tmp_path / "store"), tmp_path / "mirror"))
    assert "--store" in raised.value.hint


def test_a_store_where_a_file_stands_is_told(tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        put(ObjectStore(str(tmp_path / "store"), tmp_path / "mirror"))


def test_a_url_of_an_unknown_protocol_is_told(tmp_path):
    with pytest.raises(Unavailable, match="the store at nowhere://bucket cannot be used"):
        ObjectStore("nowhere://bucket", tmp_path / "mirror")


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    path = tmp_path / "file"
    content = os.urandom((1 << 20) + 17)
    path.write_bytes(content)
    assert digest_of(path) == hashlib.sha256(content).hexdigest()
