"""The conformance suite: every behaviour that an engine must show, as tests to inherit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from baton import api
from baton.core.outcome import Outcome, RunReport
from baton.testing.reporting import RecordingReporter

SMALL_BYTES = 1024
"""What passes between tasks stays below this."""


class EngineSuite:
    """Inherit, name the engine, and pytest runs every test below against it.

    Attributes
    ----------
    engine : str
        Name of the engine, as in ``baton run --engine``.
    jobs : int or None
        How many tasks may run at once; the engine chooses where None.
    effects_once : bool
        Whether the engine leaves out an effect that was the same work when it last succeeded.
    cannot : mapping of str to str
        Tests that the engine cannot pass, by name, each with the reason; they are skipped.
    """

    engine: ClassVar[str]
    jobs: ClassVar[int | None] = None
    effects_once: ClassVar[bool] = False
    cannot: ClassVar[dict[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _leave_out(self, request: pytest.FixtureRequest) -> None:
        reason = self.cannot.get(request.function.__name__)
        if reason is not None:
            pytest.skip(reason)

    def run(
        self,
        folder: Path,
        pipeline: str,
        *targets: str,
        reporter: RecordingReporter | None = None,
        **chosen: Any,
    ) -> RunReport:
        """Run one of `baton.testing.pipelines` in a project of its own.

        Parameters
        ----------
        folder : Path
            The project's folder.
        pipeline : str
            Name of the DAG in the module.
        targets : str
            What to run; everything by default.
        reporter : RecordingReporter, optional
            Is told what happens.
        chosen : Any
            ``keep_going``, ``use_cache`` and ``forced`` as in `baton.api.run`, and parameters.
        """
        how = {name: chosen.pop(name) for name in ("keep_going", "use_cache", "forced") if name in chosen}
        options = {"pipeline": f"baton.testing.pipelines:{pipeline}", **chosen}
        project = api.open_project(folder=folder, options=options, environ={})
        told = reporter or RecordingReporter()
        return api.run(project, targets, engine=self.engine, jobs=self.jobs, report=told, **how)

    def value(self, folder: Path, report: RunReport, name: str) -> Any:
        """Return the JSON value of an artifact that a run made."""
        digest = report.artifacts[name].digest
        return json.loads((folder / ".baton" / "store" / "objects" / digest[:2] / digest).read_bytes())

    def outcomes(self, report: RunReport) -> dict[str, str]:
        """Return how each task ended."""
        return {task.task: task.outcome.value for task in report.tasks}

    def test_a_chain_passes_its_artifacts_along(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "chain")
        assert report.is_good
        assert self.value(tmp_path, report, "left") == [2]

    def test_a_diamond_joins_both_branches(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond")
        assert self.value(tmp_path, report, "joined") == [2, 11]
        assert self.value(tmp_path, report, "count") == 2
        assert (tmp_path / "published.txt").read_text() == "[2, 11]\n"

    def test_parameters_arrive_typed(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond", start="3", factor=5, summand=-1)
        assert self.value(tmp_path, report, "joined") == [15, 2]

    def test_a_target_runs_only_what_it_needs(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond", "left")
        assert set(self.outcomes(report)) == {"source", "left"}

    def test_a_group_is_a_target(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond", "branches")
        assert set(self.outcomes(report)) == {"source", "left", "right"}

    def test_a_failing_task_names_itself_and_its_cause(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond", broken="left")
        failure = report.of("left").failure
        assert not report.is_good
        assert failure is not None
        assert failure.message == "left was told to fail"
        assert failure.hint == "choose another task to fail"
        assert failure.traceback == ""

    def test_an_unexplained_exception_keeps_its_traceback(self, tmp_path: Path) -> None:
        failure = self.run(tmp_path, "chain", broken="left!").of("left").failure
        assert failure is not None
        assert failure.message == "ZeroDivisionError: left divided by nothing"
        assert "_break_if" in failure.traceback

    def test_an_exception_with_a_hint_explains_itself(self, tmp_path: Path) -> None:
        failure = self.run(tmp_path, "chain", broken="left?").of("left").failure
        assert failure is not None
        assert failure.hint == "nothing to be done"
        assert failure.traceback == ""

    def test_a_failure_stops_what_depends_on_it(self, tmp_path: Path) -> None:
        outcomes = self.outcomes(self.run(tmp_path, "diamond", broken="source"))
        assert outcomes["source"] == "failed"
        assert {outcomes[name] for name in ("left", "right", "join", "publish")} == {"upstream failed"}
        assert not (tmp_path / "published.txt").exists()

    def test_keep_going_runs_what_does_not_depend_on_a_failure(self, tmp_path: Path) -> None:
        outcomes = self.outcomes(self.run(tmp_path, "diamond", broken="left", keep_going=True))
        assert outcomes["left"] == "failed"
        assert outcomes["right"] == "succeeded"
        assert outcomes["join"] == outcomes["publish"] == "upstream failed"

    def test_a_second_run_takes_everything_pure_from_the_cache(self, tmp_path: Path) -> None:
        first = self.run(tmp_path, "diamond")
        second = self.run(tmp_path, "diamond", use_cache=True)
        expected = dict.fromkeys(("source", "left", "right", "join"), "cached")
        assert self.outcomes(second) == {
            **expected,
            "publish": "cached" if self.effects_once else "succeeded",
        }
        assert second.artifacts == first.artifacts
        assert second.facts == first.facts

    def test_an_effect_runs_again_unless_the_engine_leaves_out_what_is_done(self, tmp_path: Path) -> None:
        self.run(tmp_path, "diamond")
        self.run(tmp_path, "diamond", use_cache=True)
        lines = (tmp_path / "published.txt").read_text().splitlines()
        assert len(lines) == (1 if self.effects_once else 2)

    def test_an_effect_whose_inputs_changed_runs_again(self, tmp_path: Path) -> None:
        self.run(tmp_path, "diamond")
        self.run(tmp_path, "diamond", use_cache=True, factor=3)
        assert len((tmp_path / "published.txt").read_text().splitlines()) == 2

    def test_a_changed_parameter_runs_exactly_what_reads_it(self, tmp_path: Path) -> None:
        self.run(tmp_path, "diamond", "join")
        outcomes = self.outcomes(self.run(tmp_path, "diamond", "join", factor=3, use_cache=True))
        assert outcomes == {"source": "cached", "left": "succeeded", "right": "cached", "join": "succeeded"}

    def test_a_task_with_the_same_output_does_not_rerun_what_follows(self, tmp_path: Path) -> None:
        self.run(tmp_path, "diamond", "join", start=2, factor=2)
        outcomes = self.outcomes(
            self.run(tmp_path, "diamond", "join", start=2, factor=2, use_cache=True, forced=("left",))
        )
        assert outcomes == {"source": "cached", "left": "succeeded", "right": "cached", "join": "cached"}

    def test_a_deleted_object_is_made_again(self, tmp_path: Path) -> None:
        first = self.run(tmp_path, "diamond", "join")
        digest = first.artifacts["left"].digest
        (tmp_path / ".baton" / "store" / "objects" / digest[:2] / digest).unlink()
        second = self.run(tmp_path, "diamond", "join", use_cache=True)
        assert self.outcomes(second)["left"] == "succeeded"
        assert second.artifacts == first.artifacts

    def test_corrupt_objects_are_made_again_in_the_same_run(self, tmp_path: Path) -> None:
        first = self.run(tmp_path, "diamond", "join")
        for name in ("left", "right"):
            digest = first.artifacts[name].digest
            damaged = tmp_path / ".baton" / "store" / "objects" / digest[:2] / digest
            damaged.chmod(0o644)
            damaged.write_bytes(bytes(reversed(damaged.read_bytes())))
        second = self.run(tmp_path, "diamond", "join", use_cache=True, forced=("join",))
        assert second.is_good
        assert self.outcomes(second)["left"] == self.outcomes(second)["right"] == "succeeded"
        assert second.artifacts == first.artifacts

    def test_a_task_is_retried_as_declared(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "retried", failures=2)
        assert report.is_good
        assert self.value(tmp_path, report, "flaky") == 3

    def test_a_task_that_fails_every_time_fails(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "retried", failures=9)
        failure = report.of("flaky").failure
        assert failure is not None
        assert failure.message == "ConnectionError: attempt 3 was refused"

    def test_a_task_over_its_timeout_fails(self, tmp_path: Path) -> None:
        failure = self.run(tmp_path, "timed", nap_s=5.0).of("slow").failure
        assert failure is not None
        assert "timeout" in failure.message

    def test_first_and_last_tasks_frame_the_run(self, tmp_path: Path) -> None:
        reporter = RecordingReporter()
        report = self.run(tmp_path, "positioned", reporter=reporter)
        assert report.is_good
        assert reporter.finished[0] == "prepare"
        assert reporter.finished[-1] == "tidy"

    def test_the_last_task_runs_after_a_failure_too(self, tmp_path: Path) -> None:
        outcomes = self.outcomes(self.run(tmp_path, "positioned", broken="source"))
        assert outcomes["tidy"] == "succeeded"
        assert (tmp_path / "tidied.txt").exists()

    def test_every_task_ends_exactly_once(self, tmp_path: Path) -> None:
        reporter = RecordingReporter()
        report = self.run(tmp_path, "diamond", reporter=reporter, broken="right", keep_going=True)
        assert sorted(reporter.finished) == sorted(task.task for task in report.tasks)
        assert len(reporter.finished) == len(set(reporter.finished)) == 5

    def test_one_tracking_run_for_each_execution(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "tracked")
        assert report.is_good
        assert self.value(tmp_path, report, "recorded_id") == report.tracking_run_id

    def test_what_passes_between_tasks_is_small(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond")
        for artifact in report.artifacts.values():
            assert len(json.dumps(artifact.as_dict())) < SMALL_BYTES

    def test_the_same_digests_as_the_simple_engine(self, tmp_path: Path) -> None:
        own, simple = tmp_path / "own", tmp_path / "simple"
        own.mkdir()
        simple.mkdir()
        options = {"pipeline": "baton.testing.pipelines:diamond"}
        project = api.open_project(folder=simple, options=options, environ={})
        expected = api.run(project, engine="simple").artifacts
        assert self.run(own, "diamond").artifacts == expected

    def test_a_plan_writes_nothing(self, tmp_path: Path) -> None:
        project = api.open_project(
            folder=tmp_path, options={"pipeline": "baton.testing.pipelines:diamond"}, environ={}
        )
        planned = api.plan(project)
        assert all(task.would_run for task in planned)
        assert list(tmp_path.iterdir()) == []

    def test_a_finished_run_can_be_read_back(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond", broken="left", keep_going=True)
        record = api.read_run(tmp_path / ".baton", report.run_id)
        assert record.state == "failed"
        assert {task.task: task.outcome for task in record.tasks} == self.outcomes(report)
        assert record.engine == self.engine

    def test_outcomes_are_ours(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond")
        assert all(task.outcome is Outcome.SUCCEEDED for task in report.tasks)
