"""The conformance suite: tests to inherit for every behaviour required of an engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from baton import api
from baton.core.outcome import Outcome, RunReport
from baton.runs.sweep import Trial
from baton.testing import pipelines
from baton.testing.reporting import RecordingReporter

SMALL_BYTES = 1024
"""Limit of what passes between tasks."""


@dataclass(frozen=True)
class Made:
    """A run that several tests share, and its events."""

    folder: Path
    report: RunReport
    reporter: RecordingReporter


class EngineSuite:
    """Inherit it and set the engine, and pytest runs every test below against that engine.

    Attributes
    ----------
    engine : str
        Name of the engine, as in ``baton run --engine``.
    jobs : int or None
        Maximum number of concurrent tasks; None lets the engine choose.
    effects_once : bool
        Whether the engine skips an effect that already succeeded with the same work.
    cannot : mapping of str to str
        Names of the tests that the engine cannot pass, with the reason; they are skipped.
    """

    engine: ClassVar[str]
    jobs: ClassVar[int | None] = None
    effects_once: ClassVar[bool] = False
    cannot: ClassVar[dict[str, str]] = {}
    _made: ClassVar[dict[tuple[type, str], Made]] = {}

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
        """Run one of `baton.testing.pipelines` in a separate project.

        Parameters
        ----------
        folder : Path
            The project's folder.
        pipeline : str
            Name of the DAG in the module.
        targets : str
            The targets; everything by default.
        reporter : RecordingReporter, optional
            Receives the events.
        chosen : Any
            ``keep_going``, ``use_cache`` and ``forced`` as in `baton.api.run`, and parameters.
        """
        how = {name: chosen.pop(name) for name in ("keep_going", "use_cache", "forced") if name in chosen}
        options = {"pipeline": f"baton.testing.pipelines:{pipeline}", **chosen}
        project = api.open_project(folder=folder, options=options, environ={})
        events = reporter or RecordingReporter()
        return api.run(project, targets, engine=self.engine, jobs=self.jobs, report=events, **how)

    @pytest.fixture
    def diamond(self, tmp_path_factory: pytest.TempPathFactory) -> Made:
        """Return the run of the whole diamond, which runs once."""
        return self._once("diamond", tmp_path_factory.mktemp, "diamond")

    @pytest.fixture
    def again(self, diamond: Made) -> Made:
        """Return another run of the diamond in the same folder, with the cache."""
        return self._once("again", lambda _: diamond.folder, "diamond", use_cache=True)

    @pytest.fixture
    def without_left(self, tmp_path_factory: pytest.TempPathFactory) -> Made:
        """Return the run of a diamond that keeps going after its left branch fails."""
        make = tmp_path_factory.mktemp
        return self._once("without-left", make, "diamond", broken="left", keep_going=True)

    def _once(self, name: str, folder_for: Callable[[str], Path], pipeline: str, **chosen: Any) -> Made:
        """Run a pipeline in a new folder, once for all tests."""
        key = type(self), name
        if key not in self._made:
            folder, reporter = folder_for(name), RecordingReporter()
            report = self.run(folder, pipeline, reporter=reporter, **chosen)
            self._made[key] = Made(folder, report, reporter)
        return self._made[key]

    def run_simply(self, folder: Path, *targets: str, **chosen: Any) -> RunReport:
        """Run the diamond on the simple engine, to fill the store."""
        options = {"pipeline": "baton.testing.pipelines:diamond", **chosen}
        return api.run(api.open_project(folder=folder, options=options, environ={}), targets, engine="simple")

    def value(self, folder: Path, report: RunReport, name: str) -> Any:
        """Return the JSON value of an artifact of a run."""
        digest = report.artifacts[name].digest
        return json.loads((folder / ".baton" / "store" / "objects" / digest[:2] / digest).read_bytes())

    def outcomes(self, report: RunReport) -> dict[str, str]:
        """Return how each task ended."""
        return {task.task: task.outcome.value for task in report.tasks}

    def test_a_chain_passes_its_artifacts_along(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "chain")
        assert report.is_good
        assert self.value(tmp_path, report, "left") == [2]

    def test_a_diamond_joins_both_branches(self, diamond: Made) -> None:
        assert self.value(diamond.folder, diamond.report, "joined") == [2, 11]
        assert self.value(diamond.folder, diamond.report, "count") == 2
        assert (diamond.folder / "published.txt").read_text().startswith("[2, 11]\n")

    def test_what_a_task_logs_is_kept_once(self, diamond: Made) -> None:
        project = api.open_project(folder=diamond.folder, environ={})
        lines = api.logs(project, diamond.report.run_id)
        assert [(line.task, line.text) for line in lines] == [("join", "joining 1 and 1 numbers")]

    def test_parameters_arrive_typed(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond", start="3", factor=5, summand=-1)
        assert self.value(tmp_path, report, "joined") == [15, 2]

    def test_copies_of_a_task_take_their_own_values_and_one_task_takes_all(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "swept", start=3)
        assert self.value(tmp_path, report, "total") == {"times_2": 6, "times_5": 15}

    def test_elements_are_found_when_the_run_begins(self, tmp_path: Path) -> None:
        self._write_notes(tmp_path)
        report = self.run(tmp_path, "elements", start=2, step=2)
        assert self.value(tmp_path, report, "gathered") == [{"2": 2, "4": 8}, {"a_txt": 2, "b_txt": 1}]
        assert {"squared_2", "halved_4", "words_a_txt"} <= self.outcomes(report).keys()

    def test_an_element_that_fails_stops_only_what_needs_it(self, tmp_path: Path) -> None:
        self._write_notes(tmp_path)
        outcomes = self.outcomes(self.run(tmp_path, "elements", start=2, step=1, keep_going=True))
        assert outcomes["halved_2"] == outcomes["words_b_txt"] == "succeeded"
        assert outcomes["halved_3"] == "failed"
        assert outcomes["gathered"] == "upstream failed"

    def _write_notes(self, folder: Path) -> None:
        (folder / "notes").mkdir()
        (folder / "notes" / "a.txt").write_text("two words")
        (folder / "notes" / "b.txt").write_text("one")

    def test_what_is_skipped_says_why_and_the_run_is_good(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "skips", start=1)
        assert report.is_good
        assert {
            task.task: (task.outcome.value, task.reason) for task in report.tasks if not task.outputs
        } == {
            "conditional": ("skipped", "_is_wanted(start=1) is false"),
            "skipping": ("skipped", "1 is below 3"),
            "after_skips": ("skipped", "'conditional' skipped"),
        }
        assert report.outcome_of("left") is Outcome.SUCCEEDED

    def test_a_target_runs_only_what_it_needs(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond", "left")
        assert set(self.outcomes(report)) == {"source", "left"}

    def test_a_group_is_a_target(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "diamond", "branches")
        assert set(self.outcomes(report)) == {"source", "left", "right"}

    def test_a_failing_task_names_itself_and_its_cause(self, without_left: Made) -> None:
        report = without_left.report
        failure = report.of("left").failure
        assert not report.is_good
        assert failure is not None
        assert failure.message == "left was told to fail"
        assert failure.hint == "choose another task to fail"
        assert failure.traceback == ""

    def test_an_unexplained_exception_keeps_its_traceback(self, tmp_path: Path) -> None:
        failure = self.run(tmp_path, "chain", broken="left!").of("left").failure
        assert failure is not None
        place, _, message = failure.message.partition(": ")
        assert message == "ZeroDivisionError: left divided by nothing"
        assert re.search(r"pipelines\.py:\d+$", place)
        assert "_break_if" in failure.traceback

    def test_a_traceback_begins_with_the_task_and_holds_no_frame_of_baton(self, tmp_path: Path) -> None:
        failure = self.run(tmp_path, "chain", broken="left!").of("left").failure
        assert failure is not None
        first, *frames = re.findall(r'File "(.*?)", line \d+, in (\w+)', failure.traceback)
        assert first == (pipelines.__file__, "left")
        assert {file for file, _ in frames} == {pipelines.__file__}

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

    def test_keep_going_runs_what_does_not_depend_on_a_failure(self, without_left: Made) -> None:
        outcomes = self.outcomes(without_left.report)
        assert outcomes["left"] == "failed"
        assert outcomes["right"] == "succeeded"
        assert outcomes["join"] == outcomes["publish"] == "upstream failed"

    def test_a_second_run_takes_everything_pure_from_the_cache(self, diamond: Made, again: Made) -> None:
        expected = dict.fromkeys(("source", "left", "right", "join"), "cached")
        assert self.outcomes(again.report) == {
            **expected,
            "publish": "cached" if self.effects_once else "succeeded",
        }
        assert again.report.artifacts == diamond.report.artifacts
        assert again.report.facts == diamond.report.facts

    def test_an_effect_runs_again_unless_the_engine_leaves_out_what_is_done(self, again: Made) -> None:
        lines = (again.folder / "published.txt").read_text().splitlines()
        assert lines.count("[2, 11]") == (1 if self.effects_once else 2)

    def test_an_effect_whose_inputs_changed_runs_again(self, again: Made) -> None:
        published = again.folder / "published.txt"
        before = published.read_text()
        self.run(again.folder, "diamond", use_cache=True, factor=3)
        assert published.read_text() == f"{before}[3, 11]\n"

    def test_a_changed_parameter_runs_exactly_what_reads_it(self, tmp_path: Path) -> None:
        self.run_simply(tmp_path, "join")
        outcomes = self.outcomes(self.run(tmp_path, "diamond", "join", factor=3, use_cache=True))
        assert outcomes == {"source": "cached", "left": "succeeded", "right": "cached", "join": "succeeded"}

    def test_a_task_with_the_same_output_does_not_rerun_what_follows(self, tmp_path: Path) -> None:
        self.run_simply(tmp_path, "join", start=2, factor=2)
        outcomes = self.outcomes(
            self.run(tmp_path, "diamond", "join", start=2, factor=2, use_cache=True, forced=("left",))
        )
        assert outcomes == {"source": "cached", "left": "succeeded", "right": "cached", "join": "cached"}

    def test_a_deleted_object_is_made_again(self, tmp_path: Path) -> None:
        first = self.run_simply(tmp_path, "join")
        digest = first.artifacts["left"].digest
        (tmp_path / ".baton" / "store" / "objects" / digest[:2] / digest).unlink()
        second = self.run(tmp_path, "diamond", "join", use_cache=True)
        assert self.outcomes(second)["left"] == "succeeded"
        assert second.artifacts == first.artifacts

    def test_corrupt_objects_are_made_again_in_the_same_run(self, tmp_path: Path) -> None:
        first = self.run_simply(tmp_path, "join")
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
        lines = api.logs(api.open_project(folder=tmp_path, environ={}), report.run_id)
        assert [(line.text, line.attempt) for line in lines] == [(f"attempt {n}", n) for n in (1, 2, 3)]

    def test_a_task_that_fails_every_time_fails(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "retried", failures=9)
        failure = report.of("flaky").failure
        assert failure is not None
        assert failure.message.endswith("ConnectionError: attempt 3 was refused")

    def test_a_task_over_its_timeout_fails(self, tmp_path: Path) -> None:
        failure = self.run(tmp_path, "timed", nap_s=5.0).of("slow").failure
        assert failure is not None
        assert "timeout" in failure.message

    def test_a_backfill_does_nothing_twice_and_its_effects_in_order(self, tmp_path: Path) -> None:
        options = {"pipeline": "baton.testing.pipelines:periodic"}
        project = api.open_project(folder=tmp_path, options=options, environ={})
        for is_first in (True, False):
            ended = list(api.backfill(project, "2", "3", engine=self.engine, jobs=self.jobs))
            assert [(one.did_run, one.run.is_good) for one in ended] == 2 * [(is_first, True)]
        assert (tmp_path / "published.txt").read_text() == "[4, 12]\n[6, 13]\n"

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

    def test_every_task_ends_exactly_once(self, without_left: Made) -> None:
        finished = without_left.reporter.finished
        assert sorted(finished) == sorted(task.task for task in without_left.report.tasks)
        assert len(finished) == len(set(finished)) == 5

    def test_one_tracking_run_for_each_execution(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, "tracked")
        assert report.is_good
        assert self.value(tmp_path, report, "recorded_id") == report.tracking_run_id

    def test_a_sweep_takes_trials_of_other_engines_and_ends_hopeless_ones(self, tmp_path: Path) -> None:
        options = {"pipeline": "baton.testing.pipelines:fitting"}
        project = api.open_project(folder=tmp_path, options=options, environ={})

        def trials(engine: str, factors: str) -> list[Trial]:
            spaces = {"factor": factors}
            return list(api.sweep(project, spaces, "fit.error", engine=engine, prune_after=2, tracked=False))

        trials("simple", "1,2,3,4,5")
        *before, last = trials(self.engine, "1,2,3,4,5,6")
        assert not any(trial.did_run for trial in before)
        assert last.is_pruned
        assert last.problem == "pruned after step 2: 3 is worse than 1.5, the median of 5 earlier trials"

    def test_a_secret_is_written_nowhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        secret = "unmistakable-words"  # noqa: S105  # made up
        monkeypatch.setenv("SUITE_TOKEN", secret)
        report = self.run(tmp_path, "secretive")
        assert self.value(tmp_path, report, "letters") == len(secret)
        assert dict(report.facts) == {"logged in with": "(hidden)"}
        failure = report.of("be_refused").failure
        assert failure is not None
        assert "(hidden) of 18 letters is wrong" in failure.message
        written = {path for path in tmp_path.rglob("*") if path.is_file()}
        assert written
        assert [path for path in written if secret.encode() in path.read_bytes()] == []

    def test_what_passes_between_tasks_is_small(self, diamond: Made) -> None:
        for artifact in diamond.report.artifacts.values():
            assert len(json.dumps(artifact.as_dict())) < SMALL_BYTES

    def test_the_same_digests_as_the_simple_engine(self, diamond: Made, tmp_path: Path) -> None:
        assert diamond.report.artifacts == self.run_simply(tmp_path).artifacts

    def test_a_plan_writes_nothing(self, tmp_path: Path) -> None:
        project = api.open_project(
            folder=tmp_path, options={"pipeline": "baton.testing.pipelines:diamond"}, environ={}
        )
        planned = api.plan(project)
        assert all(task.would_run for task in planned)
        assert list(tmp_path.iterdir()) == []

    def test_a_finished_run_can_be_read_back(self, without_left: Made) -> None:
        report = without_left.report
        record = api.read_run(without_left.folder / ".baton", report.run_id)
        assert record.state == "failed"
        assert {task.task: task.outcome for task in record.tasks} == self.outcomes(report)
        assert record.engine == self.engine

    def test_outcomes_are_ours(self, diamond: Made) -> None:
        assert all(task.outcome is Outcome.SUCCEEDED for task in diamond.report.tasks)
