"""What effects did last is remembered by effect scope, and an effect is done only while that is true."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from baton import Dag, Json, ModelRegistry, TaskContext, TrackingRun, task
from baton.core.effect_scope import EffectScope, FolderIdentity
from baton.core.execute import execute_task
from baton.core.outcome import Outcome
from baton.errors import InvalidPipeline, Unavailable, UsageError
from baton.store.store import Store
from baton.tracking.location import place_of_tracker


@task(effect=True)
def publish(factor: int, word: str, context: TaskContext) -> None:
    """Write a line, and fail after it where it is told to."""
    with context.product(context.project / "published.txt").open("a") as file:
        file.write(f"{factor}\n")
    if word == "broken":
        raise ValueError("half done")
    if word == "interrupted":
        raise KeyboardInterrupt


@task(effect=True)
def publish_folder(context: TaskContext) -> None:
    """Leave two files in a folder."""
    folder = context.product(context.models_dir / "pages")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.html").write_text("a")
    (folder / "b.html").write_text("b")


@task(effect=True)
def record(factor: int, tracking: TrackingRun) -> Json:
    """Add to a tracking run, and leave nothing here."""
    return [factor, tracking.run_id]


def served(word: str, registry: ModelRegistry) -> str:
    return f"{word}: {registry.champion(word)}"


@task(effect=True, version=served)
def judge(factor: int, word: str) -> Json:
    """Read which model serves."""
    return factor


@task(effect=True, version=served, after="judge")
def deploy(factor: int, word: str) -> None:
    """Change which model serves."""
    REGISTRY.serves = f"model {factor}"


class Registry:
    """Knows what the tests say it knows."""

    serves = "none"
    runs = ("run 1",)

    def champion(self, model: str) -> str:
        if not self.serves:
            raise Unavailable("the registry cannot be asked quickly")
        return self.serves

    def has_run(self, run_id: str) -> bool:
        return run_id in self.runs


class Tracking:
    """Stands for a tracking run that is made."""

    started = True

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id


REGISTRY = Registry()


@pytest.fixture(autouse=True)
def registry() -> Registry:
    REGISTRY.serves, REGISTRY.runs = "none", ("run 1",)
    return REGISTRY


@pytest.fixture
def scope(effect_scope: EffectScope) -> EffectScope:
    """Return the scope of the test's folder, in which `deploy` comes after `judge`."""
    before = {"deploy": (judge,)}
    return replace(effect_scope, registry=REGISTRY, effects_before=lambda name: before.get(name, ()))


@pytest.fixture
def do(make_run, scope):
    """Return a function that runs an effect, by default as the make engine does."""

    def run(what, *, factor=2, word="one", scope=scope, once=True, **changes):
        made = make_run(effect_scope=replace(scope, skips_done=once), **changes)
        chosen = replace(made, parameters=type(made.parameters)(factor=factor, word=word))
        return execute_task(what, {}, chosen)

    return run


def elsewhere(scope: EffectScope, folder) -> EffectScope:
    """Return the scope of the same pipeline in another folder."""
    folder.mkdir(exist_ok=True)
    roots = {"models": folder / "models", "data": folder / "data", "project": folder}
    return replace(scope, folder=FolderIdentity(folder / "home"), roots=roots)


class TestAnEffectIsDone:
    """While it is the same work as in its last success, and what it left is there."""

    def test_where_it_was_the_same_work(self, do):
        assert do(publish).reason == "not done before from this folder"
        again = do(publish)
        assert (again.outcome, again.reason) == (Outcome.CACHED, "done by run 20260101-000000-abcd")

    def test_not_where_an_engine_that_repeats_effects_did_other_work_since(self, do):
        do(publish, factor=4)
        repeated = do(publish, factor=5, once=False)
        assert (repeated.outcome, repeated.reason) == (Outcome.SUCCEEDED, "an effect always runs")
        assert do(publish, factor=4).reason.endswith("parameter factor 5 -> 4")

    def test_where_an_engine_that_repeats_effects_did_the_same_work(self, do):
        do(publish, once=False)
        assert do(publish).outcome is Outcome.CACHED
        assert do(publish, once=False).outcome is Outcome.SUCCEEDED

    @pytest.mark.parametrize("how", ["broken", "interrupted"])
    def test_not_after_an_attempt_that_did_not_succeed(self, do, how):
        do(publish)
        if how == "interrupted":
            with pytest.raises(KeyboardInterrupt):
                do(publish, word=how, run_id="later")
        else:
            assert do(publish, word=how, run_id="later").outcome is Outcome.FAILED
        again = do(publish)
        assert again.outcome is Outcome.SUCCEEDED
        assert again.reason.startswith("its last attempt, in run later, did not succeed")

    def test_not_where_two_attempts_overlapped(self, do, make_run, scope, store):
        first = make_run(effect_scope=scope, run_id="first")
        store.begin_effect(publish, first)
        do(publish, run_id="second")  # begins and succeeds meanwhile
        decision = store.decide(publish, {}, first.seen_by(publish), use=True, scope=scope)
        assert decision.entry is not None
        work = store.work_of(decision)
        assert work is not None
        report = do(publish, run_id="other", once=False)
        store.begin_effect(publish, first)
        store.begin_effect(publish, replace(first, run_id="third"))
        store.remember(publish, decision, report, first)
        store.remember(publish, decision, report, replace(first, run_id="third"))
        assert do(publish).reason.startswith("its last attempt, in run third, did not succeed")

    def test_not_where_a_file_that_it_left_was_changed(self, do, tmp_path):
        do(publish)
        (tmp_path / "published.txt").write_text("edited")
        assert do(publish).reason == "published.txt, which it made, was changed"
        assert do(publish).outcome is Outcome.CACHED

    def test_not_where_a_file_that_it_left_is_gone(self, do, tmp_path):
        do(publish)
        (tmp_path / "published.txt").unlink()
        assert do(publish).reason == "published.txt, which it made, is gone"

    @pytest.mark.parametrize("name", ["a.html", "new.html"])
    def test_not_where_a_file_in_a_folder_that_it_left_was_changed(self, do, tmp_path, name):
        do(publish_folder)
        assert do(publish_folder).outcome is Outcome.CACHED
        (tmp_path / "models" / "pages" / name).write_text("edited")
        assert do(publish_folder).reason == "models/pages, which it made, was changed"

    def test_not_where_nobody_can_tell_what_work_it_was(self, do):
        do(publish)
        repeated = do(publish, word=Unfit(), once=False)
        assert (repeated.outcome, repeated.key) == (Outcome.SUCCEEDED, "")
        assert do(publish).reason.startswith("its last attempt, in run ")


class Unfit(str):
    """A parameter that cannot be part of a key."""

    def encode(self, *_: object) -> bytes:
        raise UsageError("not to be digested")


class TestScopes:
    """Who shares a tracker shares a scope; nobody else does."""

    def test_of_two_folders_do_not_disturb_each_other(self, do, scope, tmp_path):
        other = elsewhere(scope, tmp_path / "other")
        do(record, factor=4, tracking=lambda: Tracking("run 1"))
        do(record, factor=5, scope=other, tracking=lambda: Tracking("run 1"))
        assert do(record, factor=4).outcome is Outcome.CACHED
        assert do(record, factor=5, scope=other).outcome is Outcome.CACHED

    def test_of_one_server_are_one_wherever_the_folder_is(self, do, scope, tmp_path):
        here = replace(scope, tracker="http://tracker.example.org")
        there = elsewhere(here, tmp_path / "other")
        do(record, factor=4, scope=here, tracking=lambda: Tracking("run 1"))
        assert do(record, factor=4, scope=there).outcome is Outcome.CACHED
        do(record, factor=5, scope=there, tracking=lambda: Tracking("run 1"))
        assert do(record, factor=4, scope=here, tracking=lambda: Tracking("run 1")).reason == (
            "parameter factor 5 -> 4"
        )

    def test_of_one_server_leave_files_in_each_folder(self, do, scope, tmp_path, make_run):
        here = replace(scope, tracker="http://tracker.example.org")
        there = elsewhere(here, tmp_path / "other")
        do(publish, scope=here)
        folders = replace(make_run().folders, project=tmp_path / "other")
        assert do(publish, scope=there, folders=folders).reason == "not done before from this folder"
        assert do(publish, scope=here).outcome is Outcome.CACHED
        assert do(publish, scope=there).outcome is Outcome.CACHED
        (tmp_path / "other" / "published.txt").write_text("edited")
        assert do(publish, scope=here).outcome is Outcome.CACHED
        assert do(publish, scope=there, folders=folders).outcome is Outcome.SUCCEEDED

    def test_of_a_copy_of_a_folder_are_others(self, tmp_path):
        identity = FolderIdentity(tmp_path / "home")
        identity.keep()
        assert FolderIdentity(tmp_path / "home").id == identity.id
        shutil.copytree(tmp_path / "home", tmp_path / "copy")
        copy = FolderIdentity(tmp_path / "copy")
        assert copy.id != identity.id
        copy.keep()
        assert FolderIdentity(tmp_path / "copy").id == copy.id
        (tmp_path / "home").rename(tmp_path / "kept")
        (tmp_path / "copy").rename(tmp_path / "home")  # the same path, and another file
        assert FolderIdentity(tmp_path / "home").id not in (identity.id, copy.id)

    def test_of_two_processes_that_begin_at_once_are_one(self, tmp_path):
        one, other = FolderIdentity(tmp_path), FolderIdentity(tmp_path)
        assert one.id != other.id
        one.keep()
        other.keep()
        assert one.id == other.id == FolderIdentity(tmp_path).id

    def test_of_a_tracker_in_a_file_or_on_this_machine_are_those_of_this_machine(self, tmp_path):
        own = place_of_tracker(f"sqlite:///{tmp_path}/mlflow/mlflow.db", tmp_path)
        shared = place_of_tracker("sqlite:////data/mlflow.db", tmp_path)
        local = [place_of_tracker(f"http://{host}:5000", tmp_path) for host in ("localhost", "127.0.0.1")]
        server = place_of_tracker("http://me:hush@tracker.example.org:5000", tmp_path)
        assert own == ""
        assert shared.endswith(" /data/mlflow.db")
        assert all(place.endswith(":5000") and not place.startswith("http") for place in local)
        assert server == "http://tracker.example.org:5000"

    def test_of_one_tracker_know_the_experiment(self, do, scope):
        tracked = {"tracking": lambda: Tracking("run 1")}
        do(record, scope=replace(scope, experiment="one"), **tracked)
        other = do(record, scope=replace(scope, experiment="two"), **tracked)
        assert other.reason == "setting experiment one -> two"

    def test_name_no_folder_and_no_address_in_the_store(self, do, scope, tmp_path, store):
        do(publish, scope=replace(scope, tracker="http://tracker.example.org"))
        [file] = store.effects.files()
        content = store.objects.read_text(file.name)
        assert content is not None
        assert str(tmp_path) not in content + file.name
        assert "tracker.example.org" not in content + file.name


class TestTheStateOfTheWorld:
    """An effect's ``version`` says which state it reads; another one makes the effect run again."""

    def test_is_that_after_the_last_success(self, do, registry):
        do(deploy, factor=4)
        assert do(deploy, factor=4).outcome is Outcome.CACHED
        registry.serves = "model 7"
        assert do(deploy, factor=4).reason == "input from outside one: model 4 -> one: model 7"
        assert registry.serves == "model 4"

    def test_that_a_later_effect_changes_does_not_make_the_one_before_it_run_again(self, do):
        do(judge, factor=4)
        do(deploy, factor=4)
        assert do(judge, factor=4).outcome is Outcome.CACHED
        assert do(deploy, factor=4).outcome is Outcome.CACHED

    def test_that_somebody_changed_between_two_effects_makes_the_first_run_again(self, do, registry):
        do(judge, factor=4)
        registry.serves = "model 7"
        do(deploy, factor=4)
        assert do(judge, factor=4).outcome is Outcome.SUCCEEDED

    def test_that_nobody_can_tell_makes_the_effect_run(self, do, registry):
        registry.serves = ""
        for _ in range(2):
            report = do(judge)
            assert report.outcome is Outcome.SUCCEEDED
        assert report.reason == ("not cached: version= is unknown: the registry cannot be asked quickly")
        registry.serves = "model 7"
        assert do(judge).outcome is Outcome.SUCCEEDED

    def test_is_no_part_of_the_key(self, do, registry):
        first = do(judge)
        registry.serves = "model 7"
        assert do(judge).key == first.key != ""


class TestTheTrackingRun:
    """An effect that added to a tracking run is done while that is there."""

    def test_that_was_deleted_makes_it_run_again(self, do, registry):
        do(record, tracking=lambda: Tracking("run 1"))
        registry.runs = ()
        report = do(record, tracking=lambda: Tracking("run 2"))
        assert report.reason == "its tracking run run 1 was deleted"
        registry.runs = ("run 2",)
        again = do(record)
        assert (again.outcome, again.tracking_run_id) == (Outcome.CACHED, "run 2")


def test_a_record_that_is_torn_is_none(do, store: Store):
    do(publish)
    [file] = store.effects.files()
    store.objects.write_text(file.name, "{")
    assert do(publish).outcome is Outcome.SUCCEEDED


def of_nothing(wrod: str) -> str:
    return wrod


@task(version=served)
def pure(factor: int, word: str) -> Json:
    return factor


@task(effect=True, version=of_nothing)
def misspelled(word: str) -> None:
    """Say its state of a parameter that it does not have."""


def test_a_version_that_takes_what_it_cannot_have_is_refused():
    with pytest.raises(InvalidPipeline) as refused:
        Dag("small", [pure, misspelled])
    assert "task 'pure': version= takes the model registry" in str(refused.value)
    assert "version= takes 'wrod', which is not a parameter of the task; did you mean 'word'?" in str(
        refused.value
    )
