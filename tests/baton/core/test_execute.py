"""Running one task: whatever happens inside becomes a report."""

from __future__ import annotations

import re
import sys

import pytest

from baton import Json, TaskContext, TaskError, TrackingRun, task
from baton.core.context import Provenance
from baton.core.events import TaskFinished, TaskLogged, TaskProgressed, TaskStarted
from baton.core.execute import describe, execute_task, finish
from baton.core.outcome import Outcome
from baton.errors import StoreError


@task
def number(factor: int, context: TaskContext) -> Json:
    context.fact("factor", factor)
    return factor


@task
def doubled(number: Json, factor: int) -> Json:
    return number * factor


@task(outputs=("low", "high"))
def pair(word: str) -> tuple[Json, Json]:
    return {"one": (1,), "none": None, "list": [1, 2], "three": (1, 2, 3)}.get(word, (1, 2))


@task
def failing() -> Json:
    raise ZeroDivisionError("of all things")


@task
def explaining() -> Json:
    raise TaskError("the model is too bad", "train longer")


@task
def leaving() -> Json:
    sys.exit(3)


@task
def interrupted() -> Json:
    raise KeyboardInterrupt


@task
def scratching(context: TaskContext) -> Json:
    (context.scratch / "file").write_text("x")
    assert context.provenance == Provenance()
    return str(context.scratch)


@task
def scratching_and_failing(context: TaskContext) -> Json:
    (context.scratch / "file").write_text("x")
    raise ValueError(str(context.scratch))


@task(effect=True, outputs="seen")
def telling(number: Json, context: TaskContext, record: TrackingRun) -> Json:
    context.log("a line")
    context.progress(1, 2, "half")
    provenance = context.provenance
    return {
        "run": [provenance.run_id, provenance.pipeline, provenance.engine, provenance.code_digest],
        "parameters": provenance.parameters,
        "digests": provenance.digests,
        "tracking": record,
    }


@task
def not_a_number() -> Json:
    return float("nan")


def test_a_success_reports_outputs_facts_and_reason(make_run, store):
    seen = []
    report = execute_task(number, {}, make_run(seen), attempt=2)
    assert (report.task, report.outcome, report.failure, report.attempts) == (
        "number",
        Outcome.SUCCEEDED,
        None,
        2,
    )
    assert report.facts == (("factor", "2"),)
    assert report.reason == "never built"
    assert store.load(report.outputs["number"], Json) == 2
    assert seen == [TaskStarted("number", report.reason)]


def test_a_task_takes_its_own_inputs_and_parameters(make_run, store):
    inputs = {"number": store.save("number", Json, 5), "other": store.save("other", Json, 6)}
    report = execute_task(doubled, inputs, make_run())
    assert store.load(report.outputs["doubled"], Json) == 10


def test_a_hit_gives_the_outputs_and_the_facts_again_without_a_call(make_run):
    first = execute_task(number, {}, make_run())
    seen = []
    second = execute_task(number, {}, make_run(seen, run_id="later"))
    assert second.outcome is Outcome.CACHED
    assert (second.outputs, second.facts, second.key) == (first.outputs, first.facts, first.key)
    assert second.reason == "computed by run 20260101-000000-abcd"
    assert seen == []


def test_a_forced_task_runs_whatever_is_remembered(make_run):
    execute_task(number, {}, make_run())
    report = execute_task(number, {}, make_run(forced={"number": "forced"}))
    assert (report.outcome, report.reason) == (Outcome.SUCCEEDED, "forced")


def test_without_the_cache_a_task_runs_and_is_remembered(make_run):
    for _ in range(2):
        report = execute_task(number, {}, make_run(use_cache=False))
        assert (report.outcome, report.reason) == (Outcome.SUCCEEDED, "the cache is not used")
    assert execute_task(number, {}, make_run()).outcome is Outcome.CACHED


def test_an_exception_becomes_a_failure_with_its_traceback(make_run):
    report = execute_task(failing, {}, make_run())
    assert (report.outcome, report.outputs) == (Outcome.FAILED, {})
    assert re.fullmatch(r".*test_execute\.py:\d+: ZeroDivisionError: of all things", report.failure.message)
    assert "in failing" in report.failure.traceback
    assert report.failure.hint == ""


def test_a_failure_is_not_remembered(make_run):
    for _ in range(2):
        assert execute_task(failing, {}, make_run()).outcome is Outcome.FAILED


def test_an_exception_with_a_hint_explains_itself(make_run):
    failure = execute_task(explaining, {}, make_run()).failure
    assert (failure.message, failure.hint, failure.traceback) == ("the model is too bad", "train longer", "")


def test_a_foreign_exception_with_a_hint_explains_itself_too():
    class RefusedError(Exception):
        hint = "ask again"

    failure = describe(RefusedError("not now"))
    assert (failure.message, failure.hint, failure.traceback) == ("not now", "ask again", "")


def test_an_exception_without_words_is_called_by_its_name():
    assert describe(ValueError()).message == "ValueError"


def test_a_task_that_leaves_the_process_has_failed(make_run):
    report = execute_task(leaving, {}, make_run())
    assert report.outcome is Outcome.FAILED
    assert report.failure.message.endswith(": SystemExit: 3")


def test_an_interrupt_passes(make_run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        execute_task(interrupted, {}, make_run())
    assert not list((tmp_path / "scratch").glob("*"))


@pytest.mark.parametrize(("word", "count"), [("one", 1), ("none", 1), ("list", 1), ("three", 3)])
def test_a_wrong_number_of_outputs_is_told(make_run, word, count):
    from dataclasses import replace

    run = make_run()
    changed = replace(run, parameters=type(run.parameters)(word=word))
    failure = execute_task(pair, {}, changed).failure
    assert failure.message == f"task 'pair' must return (low, high), but returned {count} value(s)"
    assert failure.traceback == ""


def test_a_value_of_another_kind_is_told_with_the_output(make_run):
    failure = execute_task(not_a_number, {}, make_run()).failure
    assert failure.message.startswith("cannot store 'not_a_number': expected plain JSON values")


@pytest.mark.parametrize("one", [scratching, scratching_and_failing], ids=["success", "failure"])
def test_the_scratch_folder_is_removed(make_run, one, tmp_path):
    execute_task(one, {}, make_run())
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_effect_gets_provenance_and_the_tracking_run(make_run, store):
    seen = []
    inputs = {"number": store.save("number", Json, 1)}
    run = make_run(
        seen, tracking=lambda: "tracked", code_digest=lambda: "code", parameters_by_name={"factor": 2}
    )
    report = execute_task(telling, inputs, run)
    assert report.outcome is Outcome.SUCCEEDED, report.failure
    assert report.key == ""
    assert store.load(report.outputs["seen"], Json) == {
        "run": ["20260101-000000-abcd", "small", "simple", "code"],
        "parameters": {"factor": 2},
        "digests": {"number": inputs["number"].digest},
        "tracking": "tracked",
    }
    assert seen == [
        TaskStarted("telling", "an effect always runs"),
        TaskLogged("telling", "a line"),
        TaskProgressed("telling", 1, 2, "half"),
    ]


def test_a_pure_task_gets_neither(make_run):
    def refuse():
        raise AssertionError("a pure task asked for tracking")

    report = execute_task(scratching, {}, make_run(tracking=refuse, code_digest=refuse))
    assert report.outcome is Outcome.SUCCEEDED, report.failure


def test_an_effect_runs_every_time(make_run, store):
    inputs = {"number": store.save("number", Json, 1)}
    run = make_run(tracking=lambda: "tracked")
    outcomes = [execute_task(telling, inputs, run).outcome for _ in range(2)]
    assert outcomes == [Outcome.SUCCEEDED] * 2


def test_a_store_that_cannot_be_written_is_told(make_run, tmp_path):
    class Full:
        def __getattr__(self, name):
            return getattr(make_run().store, name)

        def save(self, name, kind, value, scratch):
            raise OSError(28, "No space left on device")

    failure = execute_task(number, {}, make_run(store=Full())).failure
    assert failure.message == "cannot store 'number': No space left on device"
    assert failure.hint
    assert describe(StoreError("x", "y")).hint == "y"


def test_the_end_of_a_task_is_announced(make_run):
    seen = []
    run = make_run(seen)
    report = execute_task(number, {}, run)
    assert finish(report, run) is report
    assert seen[-1] == TaskFinished(report)


def test_an_effect_that_needs_a_tracker_is_told_where_there_is_none(make_run, store):
    inputs = {"number": store.save("number", Json, 1)}
    failure = execute_task(telling, inputs, make_run()).failure
    assert failure.message == "this run has no tracker"
    assert failure.hint
