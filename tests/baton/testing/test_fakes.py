"""The fakes for unit tests keep the promises of what they stand for: each test runs on MLflow's too."""

from __future__ import annotations

from pathlib import Path

import pytest

from baton import Json, ModelRegistry, TaskContext, TrackingRun, task
from baton.core.tracker import UnusableModel
from baton.errors import TaskError
from baton.testing import FakeModelRegistry, FakeTrackingRun, RecordingReporter, task_context
from baton.tracking.location import tracking_uri
from baton.tracking.mlflow import MlflowTracker
from baton.tracking.registry import quick_registry

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of MLflow


class Both:
    """Runs and the registry that they share, of one sort."""

    def __init__(self, sort: str, folder: Path) -> None:
        self._sort = sort
        self._tracker = MlflowTracker(tracking_uri(folder, uri=None, host=None), folder, "tests")
        self._fake = FakeModelRegistry()

    @property
    def registry(self) -> ModelRegistry:
        return self._fake if self._sort == "fake" else quick_registry(self._tracker.uri)

    def run(self) -> TrackingRun:
        if self._sort == "fake":
            return FakeTrackingRun(self._fake)
        return self._tracker.start(name="one", tags={})


@pytest.fixture(params=["fake", "mlflow"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Both:
    return Both(request.param, tmp_path)


def fitted(slope: float) -> object:
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit([[1.0], [2.0]], [slope, 2 * slope])


def test_a_run_begins_with_its_first_record(both: Both) -> None:
    for record in (
        lambda run: run.log_parameters({"a": 1}),
        lambda run: run.log_metrics({"a": 1.0}, {"b": [1.0]}),
        lambda run: run.set_tags({"a": "b"}),
    ):
        run = both.run()
        run.finish(good=True)
        assert not run.started
        record(run)
        assert run.started
        assert both.registry.has_run(run.run_id)
    assert not both.registry.has_run("ab" * 16)


def test_a_model_is_attached_registered_and_promoted_once_per_run(both: Both) -> None:
    assert both.run().champion("fares") is None
    no_champion = both.registry.champion("fares")
    run = both.run()
    for _ in range(2):
        uri = run.log_model(fitted(2.0), "model", requirements=["scikit-learn"])
        version = run.register("fares", uri, {"colour": "red"})
        run.promote("fares", version)
    assert version == "1"
    champion = both.run().champion("fares")
    assert champion is not None
    assert (champion.version, champion.tags["colour"]) == ("1", "red")
    first = both.registry.champion("fares")
    assert first != no_champion
    assert both.run().predict(champion.uri, [[3.0]]).round(6).tolist() == [6.0]
    other = both.run()
    better = other.log_model(fitted(3.0), "model", requirements=["scikit-learn"])
    assert better != uri
    assert other.register("fares", better, {}) == "2"
    assert both.registry.champion("fares") == first
    other.promote("fares", "2")
    assert both.registry.champion("fares") not in (first, no_champion)


def test_a_model_that_is_gone_or_cannot_predict_is_told(both: Both) -> None:
    run = both.run()
    uri = run.log_model(fitted(2.0), "model", requirements=["scikit-learn"])
    with pytest.raises(UnusableModel):
        run.predict(uri, [["no number"]])
    with pytest.raises(UnusableModel):
        run.predict("models:/m-00000000000000000000000000000000", [[1.0]])


def test_a_parameter_is_repeated_but_not_changed(both: Both) -> None:
    run = both.run()
    for _ in range(2):
        run.log_parameters({"a": 1, "b": "x" * 7000})
    with pytest.raises(TaskError, match="refuses"):
        run.log_parameters({"a": 2})
    with pytest.raises(TaskError, match="refuses"):
        run.log_parameters({"b": "x" * 5999})


@pytest.mark.parametrize("name", ["", "a(b)", "a//b", "../a", "/a", ".", "...", "a/./b", "x" * 251])
def test_a_name_that_mlflow_refuses_is_refused(both: Both, name: str) -> None:
    for record in (
        lambda run: run.log_parameters({name: 1}),
        lambda run: run.log_metrics({name: 1.0}, {}),
        lambda run: run.log_metrics({}, {name: [1.0]}),
        lambda run: run.set_tags({name: "b"}),
    ):
        with pytest.raises(TaskError, match="refuses"):
            record(both.run())


@pytest.mark.parametrize("name", ["é", "a b:c/d-e.f_g", "x" * 250, "a/..b", "a\n"])
def test_a_name_that_mlflow_takes_is_taken(both: Both, name: str) -> None:
    run = both.run()
    run.log_parameters({name: 1})
    run.log_metrics({name: 1.0}, {})
    run.set_tags({name: "b"})


@pytest.mark.parametrize("value", ["six", None])
def test_a_metric_that_is_no_number_is_refused(both: Both, value: float) -> None:
    for final, series in (({"a": value}, {}), ({}, {"a": [1.0, value]})):
        with pytest.raises(TaskError, match="refuses"):
            both.run().log_metrics(final, series)
    both.run().log_metrics({"a": float("nan"), "b": 1}, {"c": [float("inf")]})


def test_an_unknown_model_or_version_is_not_registered_or_promoted(both: Both) -> None:
    run = both.run()
    with pytest.raises(TaskError, match="refuses"):
        run.register("fares", "models:/m-00000000000000000000000000000000", {})
    uri = run.log_model(fitted(2.0), "model", requirements=["scikit-learn"])
    for name in ("", "a/b", "a:b"):
        with pytest.raises(TaskError, match="refuses"):
            run.register(name, uri, {})
    for name in ("", "a.b", "a/b"):
        with pytest.raises(TaskError, match="refuses"):
            run.log_model(fitted(2.0), name, requirements=["scikit-learn"])
    run.register("fares", uri, {})
    for model, version in (("fares", "2"), ("fares", "one"), ("tips", "1")):
        with pytest.raises(TaskError, match="refuses"):
            run.promote(model, version)
    assert both.run().champion("fares") is None


def test_a_version_predicts_as_when_it_was_logged(both: Both) -> None:
    run = both.run()
    model = fitted(2.0)
    uri = run.log_model(model, "model", requirements=["scikit-learn"])
    run.register("fares", uri, {})
    model.coef_[0] = 5.0
    for place in (uri, "models:/fares/1"):
        assert run.predict(place, [[3.0]]).round(6).tolist() == [6.0]
    for place in ("models:/fares/2", "models:/fares@champion", "models:/tips/1"):
        with pytest.raises(UnusableModel):
            run.predict(place, [[3.0]])


def test_a_model_of_a_library_with_its_own_tables_predicts(both: Both) -> None:
    import numpy as np
    import pandas as pd
    import xgboost as xgb

    booster = xgb.train({}, xgb.DMatrix(np.ones((4, 1)), label=np.full(4, 6.0)), num_boost_round=1)
    run = both.run()
    uri = run.log_model(booster, "model", requirements=["xgboost"])
    assert np.allclose(run.predict(uri, pd.DataFrame({"a": [1.0]})), 6.0)


def test_a_model_that_a_script_serves_predicts(both: Both, tmp_path: Path) -> None:
    script, factor = tmp_path / "model.py", tmp_path / "factor.txt"
    script.write_text(
        "from pathlib import Path\n"
        "import mlflow\n"
        "class Times(mlflow.pyfunc.PythonModel):\n"
        "    def load_context(self, context):\n"
        "        self.factor = float(Path(context.artifacts['factor']).read_text())\n"
        "    def predict(self, context, model_input):\n"
        "        return model_input * self.factor\n"
        "mlflow.models.set_model(Times())\n"
    )
    factor.write_text("2")
    run = both.run()
    uris = {
        run.log_python_model(
            "times", script=script, files={"factor": factor}, signature=None, requirements=["mlflow"]
        )
        for _ in range(2)
    }
    assert len(uris) == 1
    factor.write_text("3")
    assert float(run.predict(uris.pop(), 4.0)) == 8.0


def test_files_outside_and_misnamed_figures_are_refused(both: Both, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    (tmp_path / "note").write_text("hello")
    for name in ("../note", "/note"):
        with pytest.raises(ValueError, match="outside"):
            both.run().log_files({name: tmp_path / "note"})
    with pytest.raises(ValueError, match=r"must end in \.png"):
        both.run().log_figure("loss.jpg", Figure())
    both.run().log_figure("loss.png", Figure())


def test_a_run_inside_another_is_continued_by_its_name(both: Both) -> None:
    run = both.run()
    with run.child("trial") as trial:
        first = trial.run_id
    with run.child("trial") as trial:
        assert trial.run_id == first != run.run_id
    assert both.registry.has_run(first)


@task
def half(number: int, context: TaskContext) -> Json:
    """Halve a number, and say so."""
    context.log(f"halving {number}")
    context.fact("half", number / 2)
    (context.scratch / "note.txt").write_text("done")
    return number / 2


@task(effect=True)
def publish(half: Json, tracking: TrackingRun) -> None:
    """Record a number."""
    tracking.log_metrics({"half": half}, {"steps": [1.0, half]})
    tracking.log_parameters({"number": 3})
    with tracking.child("detail") as run:
        run.set_tags({"kind": "detail"})


def test_a_task_is_called_like_a_function(tmp_path: Path) -> None:
    reporter = RecordingReporter()
    context = task_context(tmp_path, task="half", report=reporter)
    assert half.function(3, context) == 1.5
    assert context.facts == [("half", "1.5")]
    assert reporter.logged == ["halving 3"]
    run = FakeTrackingRun()
    publish.function(1.5, run)
    run.finish(good=False)
    assert (run.metrics, run.series, run.parameters) == (
        {"half": 1.5},
        {"steps": [1.0, 1.5]},
        {"number": "3"},
    )
    assert (run.state, run.children["detail"].tags) == ("failed", {"kind": "detail"})
    assert run.children["detail"].state == "finished"
