"""The store as task runs see it: artifacts, sets of files, and what was computed before."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from baton import File, Files, Json, Matrix, Table, task
from baton.core.artifact import Artifact
from baton.core.execute import execute_task
from baton.core.outcome import Outcome
from baton.errors import CorruptObject, StoreError
from baton.store.key import describe_work
from baton.store.store import Store

SOURCE = """
    from baton import Json, Matrix, Table, task

    @task
    def f(factor: int) -> Json:
        return helper(factor)

    def helper(factor):
        return 2 * factor

    @task(outputs="out")
    def g(rows: Table) -> Matrix:
        return rows.to_numpy()
"""


@pytest.fixture
def two_files(tmp_path) -> dict[str, Path]:
    """Return two files under names of their own."""
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    return {"a.txt": tmp_path / "one", "deep/b.txt": tmp_path / "two"}


LARGE = 17 << 20


def file_of(path: Path, size: int = LARGE) -> int:
    """Write a file of zeros that takes no space, and return its number in the file system."""
    with path.open("wb") as file:
        file.truncate(size)
    return path.stat().st_ino


@pytest.fixture
def scratch(tmp_path) -> Path:
    """Return a task's scratch folder."""
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


class TestFiles:
    """Sets of files."""

    def test_come_back_under_their_names(self, store, two_files):
        artifact = store.save("files", Files, two_files)
        loaded = store.load(artifact, Files)
        assert {name: path.read_text() for name, path in loaded.items()} == {"a.txt": "1", "deep/b.txt": "2"}
        assert loaded["deep/b.txt"].parts[-2:] == ("deep", "b.txt")
        assert artifact.size == 2

    def test_have_one_digest_in_any_order(self, store, two_files):
        turned = dict(reversed(two_files.items()))
        assert store.save("files", Files, two_files) == store.save("files", Files, turned)

    def test_large_ones_of_the_scratch_folder_are_not_copied(self, store, scratch):
        number = file_of(scratch / "made.bin")
        made = store.save("file", File, scratch / "made.bin", scratch)
        (scratch / "made.bin").unlink()
        stored = store.objects.path_of(made.digest)
        assert (stored.stat().st_ino, stored.stat().st_size) == (number, LARGE)
        assert not stored.stat().st_mode & 0o222

    @pytest.mark.parametrize("way", ["elsewhere", "link", "link to a folder", "second name", "dots", "small"])
    def test_all_others_are_copied(self, store, scratch, tmp_path, way):
        size = 1000 if way == "small" else LARGE
        (tmp_path / "kept").mkdir()
        kept = (scratch if way == "small" else tmp_path / "kept") / "made.bin"
        number = file_of(kept, size)
        (scratch / "folder").symlink_to(tmp_path / "kept")
        (scratch / "link.bin").symlink_to(kept)
        if way == "second name":
            (scratch / "second.bin").hardlink_to(kept)
        given = {
            "link": scratch / "link.bin",
            "link to a folder": scratch / "folder" / "made.bin",
            "second name": scratch / "second.bin",
            "dots": scratch / ".." / "kept" / "made.bin",
        }.get(way, kept)
        made = store.save("files", Files, {"made.bin": given}, scratch)
        stored = store.load(made, Files)["made.bin"]
        assert stored.stat().st_ino != number
        assert stored.stat().st_size == size == kept.stat().st_size
        assert kept.stat().st_mode & 0o200

    def test_that_are_links_are_kept_by_content(self, store, two_files, tmp_path):
        (tmp_path / "link").symlink_to(two_files["a.txt"])
        linked = store.save("files", Files, {"a.txt": tmp_path / "link"})
        assert linked == store.save("files", Files, {"a.txt": two_files["a.txt"]})
        two_files["a.txt"].unlink()
        assert store.load(linked, Files)["a.txt"].read_text() == "1"

    def test_may_be_none(self, store):
        assert store.load(store.save("files", Files, {}), Files) == {}

    def test_are_found_again_after_their_view_was_damaged(self, store, two_files):
        artifact = store.save("files", Files, two_files)
        view = store.load(artifact, Files)["a.txt"]
        view.unlink()
        view.symlink_to("nowhere")
        assert store.load(artifact, Files)["a.txt"].read_text() == "1"

    @pytest.mark.parametrize(
        "name",
        ["/etc/x", "../x", "a/../../x", "a\\b", "", ".", "a//b", "a/", "a\0b", "a\nb", "C:x", 3],
        ids=repr,
    )
    def test_with_a_name_that_is_no_path_below_are_refused(self, store, two_files, name):
        with pytest.raises(TypeError, match="is not a path below its folder"):
            store.save("files", Files, {name: two_files["a.txt"]})

    def test_with_one_name_below_another_are_refused(self, store, two_files):
        with pytest.raises(TypeError, match="below another"):
            store.save("files", Files, {"a": two_files["a.txt"], "a/b": two_files["a.txt"]})

    @pytest.mark.parametrize(
        "value", [["a"], "text", None, {"a": "no path"}, {"a": Path("nowhere")}], ids=repr
    )
    def test_of_another_form_are_refused(self, store, value):
        with pytest.raises(TypeError, match="expected"):
            store.save("files", Files, value)

    @pytest.mark.parametrize("content", ['{"../x": "%s"}', '{"/x": "%s"}', "[]", "torn"])
    def test_listed_by_a_stranger_never_leave_their_folder(self, store, tmp_path, content):
        digest = store.save("x", Json, 1).digest
        (tmp_path / "list").write_text(content.replace("%s", digest))
        listed = store.save("list", File, tmp_path / "list")
        with pytest.raises(StoreError):
            store.load(Artifact("x", "files", listed.digest, 1), Files)

    def test_with_a_missing_member_are_not_there(self, store, two_files):
        artifact = store.save("files", Files, two_files)
        assert store.has(artifact)
        store.objects.remove(store.save("one", File, two_files["a.txt"]).digest)
        assert not store.has(artifact)


def test_a_file_comes_back_as_a_read_only_path(store, tmp_path):
    (tmp_path / "report.html").write_text("<html>")
    loaded = store.load(store.save("report", File, tmp_path / "report.html"), File)
    assert loaded.read_text() == "<html>"
    assert not loaded.stat().st_mode & 0o222
    assert (tmp_path / "report.html").exists()


def test_two_folders_give_one_digest(tmp_path):
    stores = [Store(str(tmp_path / name), tmp_path / name / "home") for name in ("one", "two")]
    assert len({store.save("x", Json, {"a": [1, 2.5]}).digest for store in stores}) == 1


class TestAPureTask:
    """Whether what a task made is used again."""

    def run(self, package, make_run, **changes):
        tasks = package.load()
        return execute_task(tasks.f, {}, make_run(**changes))

    def test_is_not_computed_twice(self, package, make_run):
        package.write("tasks.py", SOURCE)
        first, second = (self.run(package, make_run) for _ in range(2))
        assert (first.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.CACHED)
        assert first.outputs == second.outputs
        assert first.key == second.key
        assert second.reason == "computed by run 20260101-000000-abcd"

    def test_is_computed_again_after_its_helper_changed(self, package, make_run):
        package.write("tasks.py", SOURCE)
        first = self.run(package, make_run)
        package.write("tasks.py", SOURCE.replace("2 * factor", "3 * factor"))
        second = self.run(package, make_run)
        assert second.outcome is Outcome.SUCCEEDED
        assert second.outputs != first.outputs

    def test_is_computed_again_where_its_output_is_gone(self, package, make_run, store):
        package.write("tasks.py", SOURCE)
        first = self.run(package, make_run)
        store.objects.remove(first.outputs["f"].digest)
        second = self.run(package, make_run)
        assert (second.outcome, second.reason) == (
            Outcome.SUCCEEDED,
            "its output 'f' is missing from the store",
        )

    def test_is_computed_again_where_its_entry_names_no_digest(self, package, make_run, store):
        package.write("tasks.py", SOURCE)
        entry = store.index.get(self.run(package, make_run).key)
        stolen = {"f": {**entry.outputs["f"], "digest": "../../secret"}}
        store.index.put(msgspec.structs.replace(entry, outputs=stolen))
        assert self.run(package, make_run).outcome is Outcome.SUCCEEDED

    def test_is_not_remembered_where_its_code_was_edited_while_it_ran(self, package, make_run, store):
        package.write(
            "tasks.py",
            SOURCE.replace("return helper(factor)", "from .mod import g; return g()"),
        )
        package.write("mod.py", "from pathlib import Path\ndef g(): return 1")
        tasks = package.load()
        decision = store.decide(tasks.f, {}, {"factor": 2}, use=True)
        (package.folder / package.name / "mod.py").write_text("def g(): return 2")
        report = execute_task(tasks.f, {}, make_run())
        store.remember(tasks.f, decision, report, make_run())
        assert store.index.get(decision.key) is None
        assert store.index.get(report.key) is not None

    def test_whose_source_cannot_be_read_always_runs(self, make_run):
        made: dict[str, object] = {"__name__": "typed_in_a_prompt", "Json": Json}
        exec("def f(factor: int) -> Json: return factor", made)
        typed = task(made["f"])  # type: ignore[arg-type]
        first, second = (execute_task(typed, {}, make_run()) for _ in range(2))
        assert (first.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
        assert "no readable source" in second.reason

    def test_that_is_damaged_on_disk_is_told_when_it_is_read(self, package, make_run, store, tmp_path):
        package.write("tasks.py", SOURCE)
        made = self.run(package, make_run).outputs["f"]
        path = store.objects.path_of(made.digest)
        path.chmod(0o644)
        path.write_bytes(b"9999")
        other = Store(store.objects.url, tmp_path / "home")
        with pytest.raises(CorruptObject):
            other.load(made, Json)
        assert self.run(package, make_run, store=other).outcome is Outcome.SUCCEEDED
        assert other.load(made, Json) == 4


class TestAKey:
    """What counts as the same work."""

    @pytest.fixture
    def tasks(self, package):
        package.write("tasks.py", SOURCE)
        return package.load()

    def key(self, store, one, inputs=None, **parameters):
        return describe_work(one, inputs or {}, parameters, store.code).key

    def test_differs_by_parameter_and_its_type(self, store, tasks):
        assert len({self.key(store, tasks.f, factor=value) for value in (1, 2, 1.0, True, "1")}) == 5

    def test_differs_by_name_of_task_and_output(self, store, tasks):
        plain = tasks.f.function
        named = [task(plain), task(name="other")(plain), task(outputs="other")(plain)]
        assert len({self.key(store, one, factor=1) for one in named}) == 3

    def test_differs_by_input(self, store, tasks):
        inputs = [{"rows": Artifact("rows", "table", digit * 64, 1)} for digit in "ab"]
        assert len({self.key(store, tasks.g, given) for given in inputs}) == 2

    def test_does_not_differ_by_retries_or_group(self, store, tasks):
        again = task(retries=3, timeout_s=5, group="other", retry_delay_s=9)(tasks.f.function)
        assert self.key(store, again, factor=1) == self.key(store, tasks.f, factor=1)

    def test_differs_by_the_state_of_the_world(self, store, tasks):
        states = [
            task(version=version)(tasks.f.function)
            for version in (lambda factor: f"state {factor}", lambda: "2")
        ]
        keys = {self.key(store, state, factor=1) for state in [tasks.f, *states]}
        assert len(keys) == 3

    def test_names_the_packages_of_the_values_that_it_takes_and_gives(self, store, tasks):
        work = describe_work(tasks.g, {}, {}, store.code)
        assert {"polars", "numpy", "scipy"} <= set(work.reach.packages)
        assert Table.packages == ("polars",)
        assert "scipy" in Matrix.packages

    def test_is_the_same_on_every_reading(self, store, tasks, tmp_path):
        other = Store(str(tmp_path / "other"), tmp_path / "other home")
        assert self.key(store, tasks.f, factor=1) == self.key(other, tasks.f, factor=1)

    def test_refuses_a_parameter_that_it_cannot_digest(self, store, tasks):
        from baton.errors import UsageError

        with pytest.raises(UsageError, match="cannot be part of a cache key"):
            self.key(store, tasks.f, factor=object())


def test_the_code_digest_of_tasks_changes_with_a_helper(package, store, tmp_path):
    package.write("tasks.py", SOURCE)
    before = store.code_digest((package.load().f,))
    package.write("tasks.py", SOURCE.replace("2 * factor", "3 * factor"))
    assert store.code_digest((package.load().f,)) != before


def test_a_file_system_in_memory_is_a_store_too(tmp_path, two_files):
    store = Store("memory://whole-store", tmp_path / "home")
    artifact = store.save("files", Files, two_files)
    elsewhere = Store("memory://whole-store", tmp_path / "other home")
    assert elsewhere.has(artifact)
    assert elsewhere.load(artifact, Files)["a.txt"].read_text() == "1"
