"""A store on S3, spoken to over its own protocol: shared by machines, quick to ask, honest when damaged."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from baton.core.artifact import Artifact
from baton.core.execute import execute_task
from baton.errors import CorruptObject, StoreError
from baton.runs.execution import Execution
from baton.runs.project import open_project
from baton.store.objects import ObjectStore, name_of
from baton.store.remote import MARKER
from tests.conftest import Command, Ended

CONTENT = b"some bytes"
SAMPLE = ("--source", "sample")
FLOW = ("--pipeline", "flow:dag")
PIPELINE = """
from baton import Dag, File, Files, Json, TaskContext, task


@task
def pages(context: TaskContext) -> Files:
    for name in ("a.txt", "b.txt"):
        (context.scratch / name).write_text(name)
    return {name: context.scratch / name for name in ("a.txt", "b.txt")}


@task
def features(pages: Files) -> Json:
    return {name: path.read_text() for name, path in pages.items()}


@task(outputs=("model", "history"))
def train(features: Json, context: TaskContext) -> tuple[File, Json]:
    (context.scratch / "model.bin").write_text(str(features) * 10_000)
    return context.scratch / "model.bin", sorted(features)


@task(outputs=("evaluation", "pictures"))
def evaluate(model: File, history: Json, context: TaskContext) -> tuple[Json, Files]:
    (context.scratch / "curve.svg").write_text(str(history))
    return {"size": model.stat().st_size}, {"curve.svg": context.scratch / "curve.svg"}


dag = Dag("flow", [pages, features, train, evaluate], default="evaluate")
"""


@pytest.fixture
def url(s3_bucket: str) -> str:
    return f"s3://{s3_bucket}/team/store"


@pytest.fixture
def s3(s3_bucket: str):
    """Return the AWS client, to look at the bucket without baton."""
    client = boto3.client("s3")
    yield client
    client.close()


def keys(s3, url: str) -> list[str]:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [found["Key"].removeprefix(f"{prefix}/") for found in listed]


def put(objects: ObjectStore, content: bytes = CONTENT) -> str:
    with objects.new_file() as path:
        path.write_bytes(content)
        return objects.put(path)[0]


class Machine:
    """A machine of its own: a home, a project's folder, and nothing shared but the store."""

    def __init__(self, baton: Command, folder: Path, store: str) -> None:
        self.folder = folder / "project"
        self.folder.mkdir(parents=True)
        (self.folder / "flow.py").write_text(PIPELINE)
        self._baton, self._home, self._store = baton, folder, store

    def __call__(self, *arguments: str) -> Ended:
        return self._baton(*arguments, "--store", self._store, folder=self.folder, HOME=str(self._home))

    def run(self, *arguments: str) -> tuple[dict[str, str], dict[str, str]]:
        """Run what is given; return outcomes by task and digests by artifact."""
        ended = self("run", "--json", "--cache", *arguments)
        tasks = json.loads(ended.stdout)["tasks"]
        outputs = [made for task in tasks for made in task["outputs"].values()]
        return {t["task"]: t["outcome"] for t in tasks}, {o["name"]: o["digest"] for o in outputs}


@pytest.fixture
def machine(baton: Command, tmp_path: Path, url: str) -> Callable[[str], Machine]:
    """Return a function that makes machines sharing one S3 store."""
    return lambda name: Machine(baton, tmp_path / name, url)


class TestAnObjectOnS3:
    """What lies in the bucket."""

    @pytest.mark.parametrize("size", [0, 10, 100_000, 60 << 20], ids=["empty", "small", "middling", "large"])
    def test_comes_back_on_another_machine(self, url, tmp_path, size):
        content = b"x" * size
        digest = put(ObjectStore(url, tmp_path / "one"), content)
        other = ObjectStore(url, tmp_path / "two")
        assert other.has(digest)
        assert other.path_of(digest).read_bytes() == content

    def test_is_uploaded_under_its_final_name_and_copied_never(self, url, tmp_path, s3, s3_server):
        objects = ObjectStore(url, tmp_path / "one")
        objects.check()
        before = len(s3_server.requests())
        digest = put(objects)
        assert s3_server.requests()[before:] == [f"PUT /{url.removeprefix('s3://')}/{name_of(digest)}"]
        assert keys(s3, url) == [MARKER, name_of(digest)]

    def test_that_is_large_is_uploaded_once(self, url, tmp_path, s3_server):
        put(ObjectStore(url, tmp_path / "one"), b"x" * 100_000)
        before = len(s3_server.requests())
        put(ObjectStore(url, tmp_path / "two"), b"x" * 100_000)
        assert not [line for line in s3_server.requests()[before:] if line.startswith("PUT")]

    def test_that_is_damaged_is_told_and_removed(self, url, tmp_path, s3, s3_bucket):
        digest = put(ObjectStore(url, tmp_path / "one"))
        s3.put_object(Bucket=s3_bucket, Key=f"team/store/{name_of(digest)}", Body=b"some other")
        other = ObjectStore(url, tmp_path / "two")
        with pytest.raises(CorruptObject):
            other.path_of(digest)
        assert keys(s3, url) == []
        assert not other.has(digest)

    def test_survives_a_torn_copy_in_the_mirror(self, url, tmp_path):
        digest = put(ObjectStore(url, tmp_path / "one"))
        path = tmp_path / "one" / name_of(digest)
        path.chmod(0o644)
        path.write_bytes(CONTENT[:4])
        again = ObjectStore(url, tmp_path / "one")
        assert again.path_of(digest).read_bytes() == CONTENT
        assert again.has(digest)

    def test_is_not_believed_to_be_there_after_somebody_removed_it(self, url, tmp_path):
        one, two = (ObjectStore(url, tmp_path / name) for name in ("one", "two"))
        digest = put(one)
        assert two.has(digest)
        one.remove(digest)
        assert not two.has(digest)
        one.remove(digest)

    def test_is_asked_for_together_with_many_others(self, url, tmp_path, s3_server):
        objects = ObjectStore(url, tmp_path / "one")
        digests = [put(objects, f"{number}".encode()) for number in range(70)]
        absent = {"ab" * 32, "../x"}
        assert objects.sizes([*digests, *absent]).keys() == set(digests)

    def test_is_dated_by_the_server(self, url, tmp_path):
        objects = ObjectStore(url, tmp_path / "one")
        put(objects)
        [file] = objects.place.files("objects")
        assert abs(time.time() - file.modified_at) < 60
        assert file.size == len(CONTENT)


class TestTwoMachines:
    """Two folders, two homes, two processes, one bucket."""

    def test_compute_nothing_twice_and_get_the_same(self, machine, url, s3, s3_bucket, tmp_path, s3_server):
        first, made = machine("one").run("evaluate", *FLOW)
        assert set(first.values()) == {"succeeded"}
        before = len(s3_server.requests())
        second, again = machine("two").run("evaluate", *FLOW)
        asked = s3_server.requests()[before:]
        assert set(second.values()) == {"cached"}
        assert again == made
        # Each entry is read once; of objects only the two lists of files are, the rest is asked for.
        entries = [line for line in asked if "/index/" in line]
        assert len(entries) == len(second)
        assert all(line.startswith("GET") for line in entries)
        reads = {line for line in asked if line.startswith("GET") and "/objects/" in line}
        listed = {made[name] for name in ("pages", "pictures")}
        assert {line.rpartition("/")[2] for line in reads} == listed
        # The run's own record is all that is written.
        written = [line for line in asked if "?" in line or line.startswith("PUT")]
        assert all(line.startswith(f"PUT /{url.removeprefix('s3://')}/runs/") for line in written)
        for key in keys(s3, url):
            if key.startswith("index/"):
                text = s3.get_object(Bucket=s3_bucket, Key=f"team/store/{key}")["Body"].read().decode()
                assert str(tmp_path) not in text
                assert str(Path(__file__).parents[3]) not in text

    def test_mend_an_object_of_another_size_without_a_word(self, machine, s3, s3_bucket):
        _, made = machine("one").run("evaluate", *FLOW)
        key = f"team/store/{name_of(made['model'])}"
        s3.put_object(Bucket=s3_bucket, Key=key, Body=b"no booster")
        outcomes, again = machine("two").run("evaluate", *FLOW)
        assert (outcomes["features"], outcomes["train"]) == ("cached", "succeeded")
        assert again == made

    def test_compute_an_object_anew_that_was_damaged_in_the_bucket(self, machine, s3, s3_bucket):
        _, made = machine("one").run("evaluate", *FLOW)
        digest = made["model"]
        key = f"team/store/{name_of(digest)}"
        good = s3.get_object(Bucket=s3_bucket, Key=key)["Body"].read()
        s3.put_object(Bucket=s3_bucket, Key=key, Body=b"x" * len(good))
        outcomes, again = machine("two").run("evaluate", "--force", "evaluate", *FLOW)
        assert (outcomes["features"], outcomes["train"]) == ("cached", "succeeded")
        assert again == made
        assert s3.get_object(Bucket=s3_bucket, Key=key)["Body"].read() == good

    def test_hand_a_task_over_by_references_alone(self, machine, tmp_path, url, monkeypatch):
        _, made = machine("one").run("evaluate", *FLOW)
        ended = json.loads(machine("two")("run", "--json", "--cache", "train", *FLOW).stdout)
        inputs = {
            name: Artifact.from_dict(fields)
            for task in ended["tasks"]
            for name, fields in task["outputs"].items()
        }
        worker = tmp_path / "worker"
        worker.mkdir()
        (worker / "flow.py").write_text(PIPELINE)
        project = open_project(folder=worker, options={"store": url, "pipeline": "flow:dag"}, environ={})
        execution = Execution.begin(project, ("evaluate",), "simple")
        report = execute_task(execution.dag.task("evaluate"), inputs, execution.task_run)
        assert {name: artifact.digest for name, artifact in report.outputs.items()} == {
            name: made[name] for name in report.outputs
        }

    def test_look_after_the_cache_for_each_other(self, machine):
        one, two = machine("one"), machine("two")
        diamond = ("--pipeline", "baton.testing.pipelines:diamond")
        one.run(*diamond)
        info = json.loads(two("cache", "info", "--json", *diamond).stdout)
        assert info["entries"]["count"] == 4
        assert info["place"].startswith("s3://")
        listed = json.loads(two("cache", "ls", "left", "--json", *diamond).stdout)
        assert [entry["task"] for entry in listed] == ["left"]
        assert two("cache", "verify", *diamond).code == 0
        assert two("clean", "left", *diamond).code == 0
        outcomes, _ = one.run(*diamond)
        assert outcomes["left"] == "succeeded"
        assert outcomes["right"] == "cached"
        assert two("cache", "clear", "--yes", *diamond).code == 0
        assert set(one.run(*diamond)[0].values()) == {"succeeded"}


def test_two_machines_share_a_folder_named_by_a_url(baton, tmp_path):
    store = f"file://{tmp_path}/shared"
    one, two = (Machine(baton, tmp_path / name, store) for name in ("one", "two"))
    first, made = one.run("features", *FLOW)
    second, again = two.run("features", *FLOW)
    assert set(first.values()) == {"succeeded"}
    assert set(second.values()) == {"cached"}
    assert again == made
    texts = [path.read_text() for path in (tmp_path / "shared" / "index").rglob("*.json")]
    assert len(texts) == len(first)
    assert not [text for text in texts if str(tmp_path) in text]


class TestAStoreThatCannotBeUsed:
    """One sentence, exit code 4, within ten seconds, and no secret."""

    def refused(self, baton: Command, store: str, *command: str, **environ: str) -> str:
        began = time.monotonic()
        ended = baton(*(command or ("run", "evaluate")), *SAMPLE, "--store", store, **environ)
        assert time.monotonic() - began < 10
        assert ended.code == 4
        assert ended.stdout == ""
        first, blank, hint = ended.stderr.splitlines()
        assert first.startswith("error: the store at ")
        assert blank == ""
        assert hint.startswith("hint: ")
        assert "hush" not in ended.stderr
        return ended.stderr

    @pytest.mark.parametrize("command", [("run", "evaluate"), ("plan", "evaluate"), ("cache", "info")])
    def test_without_its_bucket(self, baton, s3_bucket, command):
        said = self.refused(baton, "s3://no-such-bucket/store", *command)
        assert "bucket 'no-such-bucket' does not exist" in said

    def test_without_credentials(self, baton, url, tmp_path, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        nowhere = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
        assert "Unable to locate credentials" in self.refused(baton, url, **nowhere)

    def test_whose_server_is_down(self, baton, url):
        said = self.refused(baton, url, AWS_ENDPOINT_URL="http://127.0.0.1:9")
        assert "Could not connect" in said

    def test_whose_server_never_answers(self, baton, url):
        with socket.create_server(("127.0.0.1", 0)) as server:
            said = self.refused(baton, url, AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.getsockname()[1]}")
        assert "no answer within 6 s" in said

    def test_with_a_profile_that_does_not_exist(self, baton, url):
        said = self.refused(baton, url, "run", "evaluate", "--aws-profile", "nobody")
        assert "profile (nobody) could not be found" in said

    def test_with_a_bucket_name_that_none_can_have(self, baton, s3_bucket):
        assert "Invalid bucket name" in self.refused(baton, "s3://NOT_a_bucket!/x")

    def test_with_credentials_in_its_url(self, baton, s3_bucket):
        assert "contains credentials" in self.refused(baton, f"s3://me:hush@{s3_bucket}/x")

    def test_on_another_protocol_with_a_password_in_its_url(self, baton):
        said = self.refused(baton, "ftp://me:hush@127.0.0.1:9/store")
        assert "the store at ftp://127.0.0.1:9/store cannot be used" in said

    def test_without_the_package_for_it(self, baton, url, tmp_path):
        (tmp_path / "s3fs.py").write_text("raise ImportError('not installed')")
        said = self.refused(baton, url, PYTHONPATH=str(tmp_path))
        assert "hint: install them with: pip install 'baton-ml[s3]'" in said

    def test_made_by_a_newer_version(self, baton, url, s3, s3_bucket):
        s3.put_object(Bucket=s3_bucket, Key=f"team/store/{MARKER}", Body=b'{"layout": 99}')
        assert "newer version of baton" in self.refused(baton, url)

    def test_in_a_folder_that_is_a_file(self, baton, tmp_path):
        (tmp_path / "file").touch()
        self.refused(baton, str(tmp_path / "file"))


def test_a_marker_that_is_torn_is_written_anew(url, tmp_path, s3, s3_bucket):
    s3.put_object(Bucket=s3_bucket, Key=f"team/store/{MARKER}", Body=b"{")
    ObjectStore(url, tmp_path / "one").check()
    assert s3.get_object(Bucket=s3_bucket, Key=f"team/store/{MARKER}")["Body"].read() == b'{"layout":1}'


def test_the_profile_of_the_settings_is_used_unless_the_environment_names_one(
    url, tmp_path, monkeypatch, s3_bucket
):
    (tmp_path / "credentials").write_text(
        "[team]\naws_access_key_id = tester\naws_secret_access_key = hush\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ObjectStore(url, tmp_path / "one", aws_profile="team").check()
    monkeypatch.setenv("AWS_PROFILE", "other")
    with pytest.raises(StoreError, match="other"):
        ObjectStore(url, tmp_path / "one", aws_profile="team").check()


def test_trouble_is_found_once_and_told_again_at_once(tmp_path, s3_bucket):
    objects = ObjectStore("s3://no-such-bucket/x", tmp_path / "mirror")
    told = []
    for _ in range(2):
        with pytest.raises(StoreError) as raised:
            objects.has("ab" * 32)
        told.append(raised.value)
    assert told[0] is told[1]


def test_many_threads_use_one_store(url, tmp_path):
    objects = ObjectStore(url, tmp_path / "mirror")
    made: list[str] = []

    def work(number: int) -> None:
        made.append(put(objects, f"content {number}".encode()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert objects.sizes(made).keys() == set(made)
