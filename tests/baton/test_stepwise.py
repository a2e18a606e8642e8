"""A pipeline as an object: step through it, look at what was made, subclass it."""

from __future__ import annotations

from pathlib import Path

import pytest

from baton import api
from baton.core.events import RunFinished, RunStarted
from baton.core.outcome import Outcome
from baton.errors import UsageError
from baton.stepwise import StepFailed, StepwisePipeline
from baton.testing import RecordingReporter


class Diamond(StepwisePipeline):
    steps = ("branches", "publish")

    def branches(self):
        self.step("branches")

    def publish(self):
        self.step("publish")


@pytest.fixture
def diamond(tmp_path):
    """Return what makes a diamond in a folder of its own, with what it reported."""

    def make(kind=Diamond, pipeline="diamond", **options):
        named = {"pipeline": f"baton.testing.pipelines:{pipeline}", **options}
        project = api.open_project(folder=tmp_path, options=named, environ={})
        reporter = RecordingReporter()
        return kind(project, report=reporter), reporter

    return make


def published(pipeline) -> list[str]:
    return (Path(pipeline.project.folder) / "published.txt").read_text().splitlines()


def test_a_step_runs_what_it_needs_and_nothing_twice(diamond):
    pipeline, reporter = diamond()
    with pipeline:
        assert [report.task for report in pipeline.step("branches")] == ["source", "left", "right"]
        assert pipeline.step("left") == ()
        assert [report.task for report in pipeline.step()] == ["join", "publish"]
    assert reporter.started == ["source", "left", "right", "join", "publish"]


def test_what_a_step_made_can_be_looked_at(diamond):
    pipeline, _ = diamond(start=4)
    with pipeline:
        pipeline.branches()
        assert (pipeline["left"], pipeline["right"]) == ([8], [14])
        with pytest.raises(UsageError, match="'joined' has not been made yet"):
            pipeline["joined"]


def test_run_goes_through_all_steps_and_is_one_run(diamond):
    pipeline, reporter = diamond()
    report = pipeline.run()
    assert report.is_good
    assert published(pipeline) == ["[2, 11]"]
    assert [type(event) for event in reporter.events if isinstance(event, RunStarted | RunFinished)] == [
        RunStarted,
        RunFinished,
    ]
    (record,) = api.status(pipeline.project)
    assert (record.run_id, record.state, record.engine) == (report.run_id, "succeeded", "simple")


def test_run_goes_on_after_steps_that_were_taken_by_hand(diamond):
    pipeline, reporter = diamond()
    pipeline.branches()
    pipeline.run()
    assert reporter.started == ["source", "left", "right", "join", "publish"]


def test_a_subclass_does_more_in_a_step_and_adds_steps(diamond):
    class Louder(Diamond):
        steps = (*Diamond.steps, "announce")

        def branches(self):
            super().branches()
            self.seen = self["left"]

        def announce(self):
            (self.project.folder / "announced.txt").write_text(str(self.seen))

    pipeline, _ = diamond(Louder)
    pipeline.run()
    assert (pipeline.project.folder / "announced.txt").read_text() == "[2]"


def test_without_named_steps_everything_runs(diamond):
    pipeline, _ = diamond(StepwisePipeline)
    assert len(pipeline.run().tasks) == 5


def test_a_failing_step_raises_and_a_run_reports_it(diamond):
    pipeline, _ = diamond(broken="left")
    with pytest.raises(StepFailed, match="task 'left' failed: left was told to fail") as caught:
        pipeline.branches()
    assert caught.value.hint == "choose another task to fail"
    report = pipeline.run()
    assert not report.is_good
    assert report.outcome_of("publish") is Outcome.UPSTREAM_FAILED
    assert api.status(pipeline.project)[0].state == "failed"


def test_an_exception_in_between_leaves_an_interrupted_run(diamond):
    pipeline, _ = diamond()

    def step_and_stop():
        with pipeline:
            pipeline.branches()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        step_and_stop()
    assert api.status(pipeline.project)[0].state == "interrupted"


def test_a_finished_run_takes_no_step(diamond):
    pipeline, _ = diamond()
    pipeline.run()
    with pytest.raises(UsageError, match="is finished"):
        pipeline.publish()
    assert pipeline["joined"] == [2, 11]


def test_remembered_results_are_used_where_wanted(diamond):
    first, _ = diamond()
    first.run()
    again = Diamond(first.project, use_cache=True)
    assert [report.outcome.value for report in again.run().tasks] == ["cached"] * 4 + ["succeeded"]


def test_a_target_that_is_not_part_of_the_run_is_refused(diamond):
    pipeline, _ = diamond()
    with pytest.raises(UsageError, match="has no target 'brances'; did you mean 'branches'"):
        pipeline.step("brances")


def test_all_steps_share_one_tracking_run(diamond):
    pipeline, _ = diamond(pipeline="tracked", kind=StepwisePipeline)
    pipeline.step("recorded_first")
    assert pipeline.run().tracking_run_id == pipeline["recorded_id"]
