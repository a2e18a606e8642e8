"""The MLflow tracker against the local store; the server is covered by the pipeline's tests."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from baton.core.addresses import without_secrets
from baton.errors import TaskError, Unavailable
from baton.runs.started_from import StartedFrom
from baton.tracking.flavors import flavor_of, save_options
from baton.tracking.location import tracking_uri
from baton.tracking.mlflow import MlflowRun, MlflowTracker, without_package_scan


@pytest.fixture
def tracker(tmp_path: Path) -> MlflowTracker:
    """Return a tracker over a local store of its own."""
    return MlflowTracker(tracking_uri(tmp_path, uri=None, host=None), tmp_path, "experiment-simple")


def test_the_uri_wins_over_the_host_and_both_over_the_local_store(tmp_path: Path) -> None:
    assert tracking_uri(tmp_path, uri=None, host=None) == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert tracking_uri(tmp_path, uri=None, host="tracking.example") == "http://tracking.example:5000"
    assert tracking_uri(tmp_path, uri="http://a.example/", host="b.example") == "http://a.example"


def test_a_run_is_made_when_its_id_is_asked_for(tracker: MlflowTracker) -> None:
    run = tracker.start(name="one", tags={"a": "b"})
    assert not run.started
    assert len(run.run_id) == 32
    assert run.started
    assert tracker.client.get_run(run.run_id).data.tags["a"] == "b"


def test_another_process_continues_the_same_run(tracker: MlflowTracker) -> None:
    run = tracker.start(name="one", tags={})
    tracker.resume(run.run_id).set_tags({"seen": "again"})
    assert tracker.client.get_run(run.run_id).data.tags["seen"] == "again"


def test_series_are_recorded_step_by_step(tracker: MlflowTracker) -> None:
    run = tracker.start(name="one", tags={})
    run.log_metrics({"rmse": 6.5}, {"train_rmse": [3.0, 2.0, 1.0]})
    history = tracker.client.get_metric_history(run.run_id, "train_rmse")
    assert [(metric.step, metric.value) for metric in history] == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert tracker.client.get_run(run.run_id).data.metrics["rmse"] == 6.5


def test_metrics_that_the_run_has_are_not_recorded_again(tracker: MlflowTracker) -> None:
    run = tracker.start(name="run", tags={})
    for _ in range(2):
        run.log_metrics({"rmse": 6.6, "nan": float("nan")}, {"train-rmse": [9.0, 7.5]})
        tracker.resume(run.run_id).log_metrics({"rmse": 6.6}, {"train-rmse": [9.0, 7.5]})

    def history(name: str) -> list[tuple[int, float]]:
        return [(one.step, one.value) for one in tracker.client.get_metric_history(run.run_id, name)]

    assert history("train-rmse") == [(0, 9.0), (1, 7.5)]
    assert (len(history("rmse")), len(history("nan"))) == (1, 1)
    for rmse, series in ((6.5, [9.0, 7.0]), (6.6, [9.0, 7.0, 6.5])):  # less counts too, and the same again
        run.log_metrics({"rmse": rmse}, {"train-rmse": series})
        found = tracker.metrics(run.run_id)
        assert (found["rmse"], found["train-rmse"]) == (rmse, series[-1])
    assert history("train-rmse") == [(0, 9.0), (1, 7.5), (1, 7.0), (2, 6.5)]


def test_more_metrics_than_one_batch_takes(tracker: MlflowTracker) -> None:
    run = tracker.start(name="one", tags={})
    run.log_metrics({}, {"long": [float(i) for i in range(2500)]})
    assert len(tracker.client.get_metric_history(run.run_id, "long")) == 2500


def test_files_keep_their_names_and_folders(tracker: MlflowTracker, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("hello")
    run = tracker.start(name="one", tags={})
    run.log_files({"folder/note.txt": tmp_path / "note"})
    assert [item.path for item in tracker.client.list_artifacts(run.run_id, "folder")] == ["folder/note.txt"]


def test_a_file_name_that_leads_out_is_refused(tracker: MlflowTracker, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("hello")
    with pytest.raises(ValueError, match="is outside"):
        tracker.start(name="one", tags={}).log_files({"../note.txt": tmp_path / "note"})


def test_finish_closes_the_run(tracker: MlflowTracker) -> None:
    run = tracker.start(name="one", tags={})
    assert run.run_id
    run.finish(good=False)
    assert tracker.client.get_run(run.run_id).info.status == "FAILED"


def test_there_is_no_champion_at_first(tracker: MlflowTracker) -> None:
    assert tracker.start(name="one", tags={}).champion("model") is None


def test_a_deleted_experiment_is_told(tracker: MlflowTracker, tmp_path: Path) -> None:
    tracker.client.delete_experiment(tracker.experiment_id)
    again = MlflowTracker(tracker.uri, tmp_path, tracker.experiment)
    with pytest.raises(Unavailable, match="was deleted"):
        again.start(name="one", tags={}).run_id  # noqa: B018  # asking for the id makes the run


def test_the_aws_profile_is_honoured_unless_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "")
    monkeypatch.delenv("AWS_PROFILE")
    MlflowTracker("http://127.0.0.1:1", tmp_path, "experiment", aws_profile="team")
    assert os.environ["AWS_PROFILE"] == "team"
    MlflowTracker("http://127.0.0.1:1", tmp_path, "experiment", aws_profile="other")
    assert os.environ["AWS_PROFILE"] == "team"


def test_mlflows_memory_of_packages_is_left_as_it_was() -> None:
    from mlflow.utils import requirements_utils

    before = requirements_utils._MODULES_TO_PACKAGES
    with without_package_scan():
        assert requirements_utils._MODULES_TO_PACKAGES is not None
    assert requirements_utils._MODULES_TO_PACKAGES is before


def test_another_mlflow_may_keep_its_memory_of_packages_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.utils import requirements_utils

    monkeypatch.delattr(requirements_utils, "_MODULES_TO_PACKAGES")
    with without_package_scan():
        assert not hasattr(requirements_utils, "_MODULES_TO_PACKAGES")


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        (
            "https://me:hush@example.org/a.parquet",
            "HTTPDatasetSource",
            {"url": "https://example.org/a.parquet"},
        ),
        ("the built-in sample", "CodeDatasetSource", {"tags": {"source": "the built-in sample"}}),
    ],
)
def test_mlflow_understands_where_a_table_came_from(
    tracker: MlflowTracker, source: str, kind: str, said: dict[str, object]
) -> None:
    from mlflow.data import get_source

    run = tracker.start(name="one", tags={})
    run.log_table("trips", digest="ab", source=source, columns={"a": "Int64"}, rows=1, context="training")
    (logged,) = tracker.client.get_run(run.run_id).inputs.dataset_inputs
    understood = get_source(logged.dataset)
    assert type(understood).__name__ == kind
    assert understood.to_dict() == said


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://user:pw@host:5000/path?token=1", "http://host:5000/path"),
        ("sqlite:////folder/mlflow.db", "sqlite:////folder/mlflow.db"),
        ("databricks", "databricks"),
        ("postgresql://u:p@db/name", "postgresql://db/name"),
    ],
)
def test_secrets_of_a_uri_are_left_out(uri: str, shown: str) -> None:
    assert without_secrets(uri) == shown


def test_a_database_that_is_down_is_told_within_seconds(tmp_path: Path) -> None:
    tracker = MlflowTracker("postgresql://me:hidden@127.0.0.1:1/runs", tmp_path, "experiment")
    with pytest.raises(Unavailable, match=r"MLflow database at postgresql://127.0.0.1:1/runs") as raised:
        tracker.check()
    assert "hidden" not in raised.value.message


@pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow's, when it is imported
def test_a_model_version_says_what_its_run_was_started_from(tracker: MlflowTracker) -> None:
    from sklearn.linear_model import LinearRegression

    started_from = StartedFrom("ab" * 20, dirty=True, user="ada").tags
    run = tracker.start(name="one", tags={**started_from, "other": "of the run"})
    model = run.log_model(LinearRegression(), "model", flavor="sklearn", requirements=[])
    version = tracker.resume(run.run_id).register("model", model, {"own": "tag"})
    assert tracker.client.get_model_version("model", version).tags == {**started_from, "own": "tag"}


@pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow's, when it is imported
def test_a_model_that_the_run_has_already_is_not_attached_again(
    tracker: MlflowTracker, tmp_path: Path
) -> None:
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    script = tmp_path / "serving.py"
    script.write_text(SERVING)
    run = tracker.start(name="one", tags={})

    def log(chosen: MlflowRun, model: LinearRegression, text: str, name: str = "model") -> tuple[str, str]:
        (tmp_path / "data.txt").write_text(text)
        files = {"data": tmp_path / "data.txt"}
        uri = chosen.log_model(model, name, requirements=["scikit-learn"])
        return uri, chosen.log_python_model(
            f"{name}-served", script=script, files=files, signature=None, requirements=[]
        )

    first = log(run, fitted, "one")
    again = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    assert log(tracker.resume(run.run_id), again, "one") == first
    other = LinearRegression().fit([[1.0], [2.0]], [1.0, 3.0])
    assert not {*log(run, other, "other"), *log(run, fitted, "one", "second")} & {*first}
    assert not {*log(tracker.start(name="two", tags={}), fitted, "one")} & {*first}
    logged = tracker.client.get_run(run.run_id).outputs.model_outputs
    assert len(logged) == 6


SERVING = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Served(PythonModel):
    def predict(self, context, model_input: list[int], params=None) -> list[int]:
        return [0]


set_model(Served())
"""


def test_a_run_inside_another_is_continued_by_its_name(tracker: MlflowTracker) -> None:
    run = tracker.start(name="search", tags={})
    with run.child("depth = 'four'") as trial:
        trial.log_metrics({"rmse": 6.5}, {})
        first = trial.run_id
    begun = []
    with contextlib.suppress(RuntimeError), tracker.resume(run.run_id).child("depth = 'four'") as trial:
        begun.append(trial.run_id)
        raise RuntimeError
    assert begun == [first]
    for name in ("other", """both ' and " in it"""):
        with run.child(name) as trial:
            begun.append(trial.run_id)
        with run.child(name) as trial:
            assert trial.run_id == begun[-1]
    assert len(set(begun)) == 3
    made = tracker.client.get_run(first)
    assert (made.info.run_name, made.info.status) == ("depth = 'four'", "FAILED")
    assert made.data.tags["mlflow.parentRunId"] == run.run_id
    assert made.data.metrics == {"rmse": 6.5}


def test_a_figure_is_attached_as_a_picture(tracker: MlflowTracker, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().plot([1, 2])
    run = tracker.start(name="one", tags={})
    run.log_figure("curves/loss.png", figure)
    [item] = tracker.client.list_artifacts(run.run_id, "curves")
    assert Path(tracker.client.download_artifacts(run.run_id, item.path)).read_bytes()[1:4] == b"PNG"
    with pytest.raises(ValueError, match=r"must end in \.png"):
        run.log_figure("loss.html", figure)


LOADED = """
import sys, mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
predicted = model.predict(pd.DataFrame({"x": [3.0]}))
print(model.metadata.signature.inputs.input_names(), predicted.round(9).tolist())
"""


@pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow's, when it is imported
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_is_logged_by_its_library_with_the_code_that_it_holds(
    tracker: MlflowTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import LinearRegression

    (tmp_path / "own_to_log.py").write_text(
        "def half(y):\n    return y / 2\n\ndef twice(y):\n    return y * 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("own_to_log")
    rows = pd.DataFrame({"x": [1.0, 2.0, 4.0]})
    model = TransformedTargetRegressor(LinearRegression(), func=own.half, inverse_func=own.twice)
    run = tracker.start(name="one", tags={})
    uri = run.log_model(model.fit(rows, 10 * rows["x"]), "model", example=rows)
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADED, tracker.uri, uri],
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert loaded.stdout.strip() == "['x'] [30.0]", loaded.stderr


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_a_model_needs_is_its_library_in_the_installed_version() -> None:
    from sklearn.linear_model import LinearRegression
    from xgboost import XGBRegressor

    assert flavor_of(XGBRegressor()) == "xgboost"
    assert save_options(LinearRegression(), "sklearn", ["mine"], None)["pip_requirements"] == ["mine"]
    needed = save_options(XGBRegressor(), "xgboost", [], None)["pip_requirements"]
    assert needed == [f"{name}=={importlib.metadata.version(name)}" for name in ("xgboost", "scikit-learn")]
    rows = np.array([[1.0], [2.0]])
    fitted = XGBRegressor(n_estimators=1).fit(rows, [1.0, 2.0])
    assert save_options(fitted, "xgboost", [], rows)["signature"].outputs is not None
    assert save_options(fitted.get_booster(), "xgboost", [], rows)["signature"].outputs is None


def test_a_model_without_a_flavor_is_told() -> None:
    with pytest.raises(TaskError, match=r"MLflow has no flavor for a builtins\.dict"):
        flavor_of({})
