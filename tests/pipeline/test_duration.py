"""The duration pipeline end to end, through the real command, on the sample and on real months."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import polars as pl
import pytest

from tests.conftest import BATON, Command, Ended, free_port, stop_group, wait_until_healthy

ENCODINGS = ("categorical", "onehot")

FAST = ("--num-boost-round", "3", "--max-depth", "4")
"""Hyperparameters for runs whose model does not matter."""


@pytest.fixture(scope="module")
def sample_project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """Return a project in which the pipeline ran on the sample, and how that ended."""
    folder = tmp_path_factory.mktemp("sample")
    return folder, _run(folder, "run", "--source", "sample")


@pytest.fixture(scope="module")
def real_project(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """Return a project in which the pipeline ran on 2021-01, and how that ended."""
    folder = tmp_path_factory.mktemp("real")
    return folder, _run(folder, "run", "deploy", "--year", "2021", "--month", "1", "--source", str(real_data))


def _run(folder: Path, *arguments: str) -> Ended:
    folder.mkdir(exist_ok=True)
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("BATON_", "MLFLOW_"))}
    ended = subprocess.run(
        [*BATON, *arguments], cwd=folder, env=clean, capture_output=True, text=True, timeout=240
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


class TestOnTheSample:
    def test_it_ends_with_a_champion(self, sample_project: tuple[Path, Ended]) -> None:
        _, ended = sample_project
        assert ended.code == 0, ended.stderr
        assert float(ended.facts["RMSE"]) < 8.0
        assert ended.facts["Model"] == "nyc-taxi-duration version 1 is the champion"

    def test_it_leaves_the_run_id_the_report_and_the_record(self, sample_project: tuple[Path, Ended]) -> None:
        folder, ended = sample_project
        run_id = (folder / "run_id.txt").read_text().strip()
        record = json.loads((folder / ".baton/models/deployment.json").read_text())
        report = (folder / ended.facts["Report"]).read_text()
        assert run_id == ended.facts["MLflow run_id"] == record["tracking_run_id"]
        assert record["model_digest"] == ended.facts["Model digest"]
        assert report.count("data:image/png;base64,") == 6
        assert re.findall(r'(?:src|href)="(?!data:|#)', report) == []

    def test_everything_lies_in_the_projects_own_folder(self, sample_project: tuple[Path, Ended]) -> None:
        folder, _ = sample_project
        assert sorted(path.name for path in folder.iterdir()) == [".baton", "run_id.txt"]

    def test_tracking_holds_parameters_metrics_data_and_models(
        self, sample_project: tuple[Path, Ended]
    ) -> None:
        folder, ended = sample_project
        found = _tracked(folder, ended.facts["MLflow run_id"])
        assert found["status"] == "FINISHED"
        assert found["experiment"] == "nyc-taxi-experiment-simple"
        assert found["params"]["learning_rate"] == "0.09585355369315604"
        assert found["metrics"]["rmse"] == pytest.approx(float(ended.facts["RMSE"]), abs=1e-4)
        assert found["rounds"] == 30
        assert found["tags"]["baton.engine"] == "simple"
        assert found["tags"]["baton.pipeline"] == "duration"
        assert len(found["tags"]["code_digest"]) == len(found["tags"]["model_digest"]) == 64
        assert found["datasets"] == {"trips_2021-01": "training", "trips_2021-02": "validation"}
        assert {"preprocessor/preprocessor.b", "report.html", "pictures/learning_curve.png"} <= set(
            found["files"]
        )
        assert found["models"] == ["model", "models_mlflow"]
        assert all(
            not path.startswith("file:///tmp/pytest") or str(folder) in path for path in found["locations"]
        )

    def test_a_second_run_downloads_and_computes_nothing_but_has_its_own_tracking_run(
        self, sample_project: tuple[Path, Ended]
    ) -> None:
        folder, first = sample_project
        second = _run(folder, "run", "--source", "sample", "--cache")
        assert second.code == 0
        outcomes = {line.split()[0]: line.split()[1] for line in second.stderr.splitlines()[1:]}
        assert {name for name, outcome in outcomes.items() if outcome != "cached"} == {
            "track",
            "validate",
            "deploy",
        }
        assert second.facts["Model digest"] == first.facts["Model digest"]
        assert second.facts["MLflow run_id"] != first.facts["MLflow run_id"]

    def test_another_limit_of_the_gate_runs_only_what_talks_to_the_world(
        self, sample_project: tuple[Path, Ended]
    ) -> None:
        folder, _ = sample_project
        chosen = ("--source", "sample", "--max-rmse", "7.9")
        planned = json.loads(_run(folder, "plan", "--json", *chosen).stdout)
        assert [task["task"] for task in planned if task["would_run"]] == ["track", "validate", "deploy"]
        ended = _run(folder, "run", "validate", "--cache", "--json", *chosen)
        outcomes = {task["task"]: task["outcome"] for task in json.loads(ended.stdout)["tasks"]}
        assert {name for name, outcome in outcomes.items() if outcome != "cached"} == {"track", "validate"}

    def test_another_hyperparameter_is_the_cause_told_for_training(
        self, sample_project: tuple[Path, Ended]
    ) -> None:
        folder, _ = sample_project
        chosen = ("--source", "sample", "--max-depth", "8")
        planned = {task["task"]: task for task in json.loads(_run(folder, "plan", "--json", *chosen).stdout)}
        assert planned["train"]["reason"] == "parameter max_depth 30 -> 8"
        assert planned["evaluate"]["reason"] == "after 'train', which would run"
        assert not planned["features"]["would_run"]
        explained = _run(folder, "explain", "train", *chosen).stdout
        assert explained.startswith("train: would run\n  parameter max_depth 30 -> 8\n")

    @pytest.mark.long
    def test_both_encodings_give_the_same_model(self, sample_project: tuple[Path, Ended]) -> None:
        folder, _ = sample_project
        models = set()
        for encoding in ENCODINGS:
            words = ("run", "train", "--source", "sample", "--cache", "--json", "--encoding", encoding, *FAST)
            made = {one["task"]: one["outputs"] for one in json.loads(_run(folder, *words).stdout)["tasks"]}
            models.add(made["train"]["reference_booster"]["digest"])
        assert len(models) == 1

    def test_a_worse_model_is_refused_and_the_champion_stays(
        self, sample_project: tuple[Path, Ended]
    ) -> None:
        folder, _ = sample_project
        before = (folder / ".baton/models/deployment.json").read_text()
        ended = _run(folder, "run", "--source", "sample", "--cache", "--max-rmse", "60", *FAST)
        assert ended.code == 1
        assert re.search(
            r"RMSE \d+\.\d+ against \d+\.\d+ of champion version \d+ on the same trips", ended.stderr
        )
        assert "worse by more than 5%" in ended.stderr
        assert (folder / ".baton/models/deployment.json").read_text() == before

    @pytest.mark.long
    def test_a_champion_that_was_trained_on_the_validation_trips_is_not_compared_with(
        self, tmp_path: Path
    ) -> None:
        better = ("--num-boost-round", "12", "--max-depth", "6")
        chosen = ("--source", "sample", "--max-rmse", "60", "--cache")
        # Even a champion that is good at its own trips: the next model is bad.
        assert _run(tmp_path, "run", *chosen, "--month", "2", *better).code == 0
        ended = _run(tmp_path, "run", *chosen, "--month", "1", *FAST)
        assert ended.code == 0, ended.stderr
        record = json.loads((tmp_path / ".baton/models/deployment.json").read_text())
        assert record["verdict"]["champion_rmse"] is None
        assert record["verdict"]["reason"].endswith(
            "champion version 1 is not compared, because it was trained on 2021-02, the trips to compare on"
        )

    def test_a_model_above_the_limit_is_refused_with_the_figures(
        self, sample_project: tuple[Path, Ended]
    ) -> None:
        folder, first = sample_project
        ended = _run(folder, "run", "--source", "sample", "--cache", "--max-rmse", "2")
        assert ended.code == 1
        assert f"RMSE {first.facts['RMSE']} is above max_rmse 2" in ended.stderr

    def test_the_model_is_served_from_the_registry(self, sample_project: tuple[Path, Ended]) -> None:
        folder, _ = sample_project
        trips = _object(folder, "trips_2021_02")
        expected = _object(folder, "val_predictions")
        records = trips.select("PULocationID", "DOLocationID", "trip_distance").head(20)
        loaded = _predict_in_fresh_process(folder, records)
        served = _predict_by_server(folder, records)
        assert loaded == [float(number) for number in expected[:20]]
        assert served == pytest.approx(loaded, rel=1e-7)


class TestOnRealMonths:
    def test_the_figures_are_the_references(self, real_project: tuple[Path, Ended]) -> None:
        folder, ended = real_project
        assert ended.code == 0, ended.stderr
        assert ended.facts["RMSE"] == "6.6077"
        assert ended.facts["Training features shape"] == "(73908, 13221)"
        assert ended.facts["Validation features shape"] == "(61921, 13221)"
        record = json.loads((folder / ".baton/models/deployment.json").read_text())
        assert record["metrics"]["rmse"] == 6.607733723268311

    @pytest.mark.long
    def test_both_encodings_give_the_same_whole_model(
        self, real_project: tuple[Path, Ended], real_data: Path
    ) -> None:
        folder, first = real_project
        ended = _run(folder, "run", "--source", str(real_data), "--cache", "--encoding", "onehot")
        assert ended.code == 0, ended.stderr
        assert ended.facts["RMSE"] == "6.6077"
        assert ended.facts["Model digest"] == first.facts["Model digest"]

    @pytest.mark.long
    def test_schemas_of_different_years_work_together(
        self, real_data: Path, baton: Command, tmp_path: Path
    ) -> None:
        for months in (
            ("--year", "2021", "--month", "3", "--validation-year", "2023", "--validation-month", "2"),
            ("--year", "2023", "--month", "2", "--validation-year", "2021", "--validation-month", "3"),
        ):
            ended = baton("run", "evaluate", "--source", real_data, *months, *FAST)
            assert ended.code == 0, ended.stderr
            assert float(ended.facts["RMSE"]) < 15

    def test_several_months_train_together(self, real_data: Path, baton: Command) -> None:
        ended = baton("run", "features", "--source", real_data, "--month", "2", "--train-months", "2")
        assert ended.code == 0, ended.stderr
        assert ended.facts["Training months"] == "2021-01, 2021-02"
        assert ended.facts["Training features shape"].startswith("(135829, ")


class TestWithAServer:
    def test_everything_goes_to_the_server(self, baton: Command, mlflow_server: str, tmp_path: Path) -> None:
        ended = baton("run", "--source", "sample", "--tracking-uri", mlflow_server, "--max-rmse", "60", *FAST)
        assert ended.code == 0, ended.stderr
        assert not (tmp_path / ".baton/mlflow").exists()
        run = httpx.get(
            f"{mlflow_server}/api/2.0/mlflow/runs/get", params={"run_id": ended.facts["MLflow run_id"]}
        ).json()["run"]
        assert run["info"]["status"] == "FINISHED"
        record = json.loads((tmp_path / ".baton/models/deployment.json").read_text())
        assert record["tracking_url"].startswith(mlflow_server)
        again = baton(
            "run",
            "--source",
            "sample",
            "--cache",
            "--max-rmse",
            "60",
            *FAST,
            BATON_TRACKING_URI=mlflow_server,
        )
        assert again.code == 0, again.stderr
        assert again.facts["Model"] == "nyc-taxi-duration version 1 is the champion"

    def test_a_secret_in_an_address_stays_out_of_the_record(
        self, baton: Command, mlflow_server: str, tmp_path: Path
    ) -> None:
        secret = ("--zone-url", "http://someone:hush@127.0.0.1:1/zones.csv?key=hush")
        ended = baton(
            "run", "--source", "sample", "--tracking-uri", mlflow_server, "--max-rmse", "60", *FAST, *secret
        )
        assert ended.code == 0, ended.stderr
        run = httpx.get(
            f"{mlflow_server}/api/2.0/mlflow/runs/get", params={"run_id": ended.facts["MLflow run_id"]}
        ).text
        told = run + ended.stdout + ended.stderr + (tmp_path / ".baton/models/deployment.json").read_text()
        assert "http://127.0.0.1:1/zones.csv" in run
        assert "hush" not in told

    @pytest.mark.fault(
        "another model becomes the champion between the gate and the deployment",
        "make has the gate judge again; within one run the deployment is refused",
    )
    def test_a_verdict_from_before_another_champion_deploys_nothing(
        self, baton: Command, mlflow_server: str, tmp_path: Path
    ) -> None:
        limits = ("--max-rmse", "60", "--max-regression", "9")
        named = ("--model-name", "contested", "--tracking-uri", mlflow_server)
        chosen = ("--source", "sample", *limits, *named)
        mine = ("run", *chosen, *FAST, "--engine", "make")
        assert baton(*mine, "validate").code == 0
        elsewhere = _run(tmp_path / "elsewhere", "run", *chosen, "--cache", "--num-boost-round", "2")
        assert elsewhere.code == 0, elsewhere.stderr
        late = baton(*mine, "--explain")
        assert late.code == 0, late.stderr
        assert "input from outside contested: no champion -> contested: version 1 of run" in late.stderr
        assert late.facts["Model"] == "contested version 2 is the champion"
        record = json.loads((tmp_path / ".baton/models/deployment.json").read_text())
        assert record["verdict"]["champion_version"] == "1"

    @pytest.mark.fault(
        "the champion is not ours: made with plain MLflow, or a model that cannot be judged here",
        "it is judged on the same trips, or refused with a hint that leads out",
    )
    def test_a_champion_that_somebody_else_registered_is_judged_or_refused(
        self, baton: Command, mlflow_server: str, tmp_path: Path
    ) -> None:
        _register_two_of_a_colleague(mlflow_server, tmp_path / "colleague")
        run = ("run", "--source", "sample", "--cache", "--max-rmse", "60", *FAST)
        mine = (*run, "--tracking-uri", mlflow_server, "--model-name")
        judged = baton(*mine, "twelve")
        assert judged.code == 0, judged.stderr
        assert judged.facts["Model"] == "twelve version 2 is the champion"
        record = json.loads((tmp_path / ".baton/models/deployment.json").read_text())
        assert record["verdict"]["champion_rmse"] > 0
        refused = baton(*mine, "broken")
        assert refused.code == 1
        assert "champion version 1 of broken cannot be compared with: it cannot predict: no" in refused.stderr
        assert "hint: replace it without a comparison: --compare-champion false" in refused.stderr
        replaced = baton(*mine, "broken", "--compare-champion", "false")
        assert replaced.facts["Model"] == "broken version 2 is the champion", replaced.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == [".baton", "colleague", "run_id.txt"]

    @pytest.mark.fault("the MLflow server is down", "the run ends 4 before it computes")
    def test_a_server_that_is_down_is_told_before_training(self, baton: Command) -> None:
        ended = baton("run", "--source", "sample", "--tracking-uri", f"http://127.0.0.1:{free_port()}")
        assert ended.code == 4
        assert "cannot be used" in ended.stderr
        assert "train " not in ended.stderr


class TestWithBadData:
    @pytest.fixture
    def months(self, tmp_path: Path) -> Path:
        """Return a folder with two small months that keep the contract."""
        folder = tmp_path / "months"
        folder.mkdir()
        for month in (1, 2):
            _month(month).write_parquet(folder / f"green_tripdata_2021-{month:02d}.parquet")
        return folder

    def test_small_months_pass(self, months: Path, baton: Command) -> None:
        ended = baton("run", "evaluate", "--source", "months", *FAST)
        assert ended.code == 0, ended.stderr

    def test_yellow_months_pass_by_configuration(self, months: Path, baton: Command) -> None:
        for path in list(months.iterdir()):
            trips = pl.read_parquet(path).rename(lambda name: name.replace("lpep_", "tpep_"))
            trips.write_parquet(path.with_name(path.name.replace("green", "yellow")))
            path.unlink()
        wanted = ("--source", "months", "--service", "yellow")
        ended = baton("run", "evaluate", *wanted, "--model-name", "yellow", *FAST)
        assert ended.code == 0, ended.stderr
        refused = baton("run", "evaluate", *wanted, *FAST)
        assert refused.code == 2
        assert "nyc-taxi-duration is the model for green taxis" in refused.stderr

    def test_too_little_memory_is_told_before_training(
        self, months: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from baton import api

        monkeypatch.setattr("tripduration.memory.free_bytes", lambda: 1_000_000)
        options = {"source": str(months), "max_depth": "4"}
        failed = api.run(api.open_project(folder=tmp_path, options=options), ["features"]).of("features")
        assert failed.failure is not None
        assert "needs about 0.1 GB of memory, but 0.0 GB are free" in failed.failure.message
        assert not failed.failure.traceback
        options["check_memory"] = "false"
        assert api.run(api.open_project(folder=tmp_path, options=options), ["features"]).is_good

    def test_a_month_that_is_not_there(self, months: Path, baton: Command) -> None:
        ended = baton("run", "--source", "months", "--month", "2")
        assert ended.code == 1
        assert "2021-03" in ended.stderr
        assert "hint: " in ended.stderr
        assert "Traceback" not in ended.stderr

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"<!DOCTYPE html><html>Not found</html>", "HTML"),
            (b"PAR1" + bytes(2000), "cut short"),
        ],
        ids=["an HTML page", "a truncated file"],
    )
    def test_a_file_that_is_no_parquet(self, months: Path, baton: Command, content: bytes, told: str) -> None:
        (months / "green_tripdata_2021-01.parquet").write_bytes(content)
        ended = baton("run", "--source", "months")
        assert ended.code == 1
        assert "task 'extract_2021_01' failed" in ended.stderr
        assert told in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_a_missing_column_is_named(self, months: Path, baton: Command) -> None:
        _month(2).drop("trip_distance").write_parquet(months / "green_tripdata_2021-02.parquet")
        ended = baton("run", "--source", "months")
        assert ended.code == 1
        assert "task 'check_2021_02' failed" in ended.stderr
        assert "trip_distance" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_an_infinite_distance_is_refused_before_training(self, months: Path, baton: Command) -> None:
        first = pl.int_range(pl.len()) == 0
        distance = pl.when(first).then(float("inf")).otherwise("trip_distance").alias("trip_distance")
        _month(2).with_columns(distance).write_parquet(months / "green_tripdata_2021-02.parquet")
        ended = baton("run", "train", "--source", "months", *FAST)
        assert ended.code == 1
        assert "task 'check_2021_02' failed" in ended.stderr
        assert "trip_distance is finite: broken by 1 of 2,000 trips" in ended.stderr
        assert "hint: " in ended.stderr

    def test_a_month_published_twice_over_is_told(self, months: Path, baton: Command) -> None:
        twice = pl.concat([_month(1), _month(1)])
        twice.write_parquet(months / "green_tripdata_2021-01.parquet")
        ended = baton("run", "train", "--source", "months", *FAST)
        assert ended.code == 1
        assert "task 'check_2021_01' failed" in ended.stderr
        assert "the trip is not repeated: broken by 2,000 of 4,000 trips, 50.00% (5.00% may)" in ended.stderr
        assert "hint: " in ended.stderr

    def test_an_empty_month_is_told(self, months: Path, baton: Command) -> None:
        _month(1).clear().write_parquet(months / "green_tripdata_2021-01.parquet")
        ended = baton("run", "--source", "months")
        assert ended.code == 1
        assert "task 'check_2021_01' failed" in ended.stderr
        assert "1,000 trips" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_a_read_only_folder_is_told(self, baton: Command, tmp_path: Path) -> None:
        (tmp_path / "home").write_text("in the way")
        ended = baton("run", "--source", "sample", "--home", "home/inside")
        assert ended.code == 4
        assert "cannot be written" in ended.stderr

    def test_a_hyperparameter_that_xgboost_refuses(self, months: Path, baton: Command) -> None:
        ended = baton("run", "--source", "months", "--objective", "reg:nonsense")
        assert ended.code == 1
        assert "task 'train' failed" in ended.stderr
        assert "reg:nonsense" in ended.stderr
        assert "Traceback" not in ended.stderr


class _Slow(SimpleHTTPRequestHandler):
    """Serves a folder slowly enough to be interrupted."""

    def copyfile(self, source: object, outputfile: object) -> None:
        while block := source.read(20_000):  # type: ignore[attr-defined]
            outputfile.write(block)  # type: ignore[attr-defined]
            time.sleep(0.02)

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[str]:
    """Serve two months slowly on 127.0.0.1; yield the address template."""
    from tripduration.months import Month
    from tripduration.sample import write_sample

    folder = tmp_path / "served"
    for month in (1, 2):
        write_sample(Month(2021, month), folder / f"green_tripdata_2021-{month:02d}.parquet")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Slow, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/green_tripdata_{{year}}-{{month:02d}}.parquet"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_month_that_the_server_does_not_have(slow_server: str, baton: Command) -> None:
    ended = baton("run", "--source", slow_server, "--month", "7")
    assert ended.code == 1
    assert "task 'extract_2021_07' failed: no trips for 2021-07" in ended.stderr
    assert "hint: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_health_check_tries_source_and_training(baton: Command) -> None:
    assert baton("run", "health_check", "--source", "sample").code == 0
    ended = baton("run", "health_check", "--source", "nowhere")
    assert ended.code == 1
    assert "the source folder nowhere is missing" in ended.stderr


def test_cleanup_removes_what_interrupted_runs_left(baton: Command, tmp_path: Path) -> None:
    whole, part = (tmp_path / ".baton/data/trips" / name for name in ("month.parquet", "month.parquet.part"))
    scratch = tmp_path / ".baton/scratch/train-left"
    scratch.mkdir(parents=True)
    whole.parent.mkdir(parents=True)
    for path in (whole, part, scratch / "half"):
        path.write_text("x")
    days_ago = time.time() - 2 * 24 * 3600
    for path in (whole, part, scratch / "half", scratch):
        os.utime(path, (days_ago, days_ago))
    of_another_run = [whole.with_name("next.parquet.part"), tmp_path / ".baton/scratch/evaluate-now/picture"]
    for path in of_another_run:
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    ended = baton("run", "cleanup", "-v")
    assert ended.code == 0, ended.stderr
    assert "removed 2 leftovers" in ended.stderr
    assert whole.exists()
    assert not part.exists()
    assert not scratch.exists()
    assert all(path.exists() for path in of_another_run)


@pytest.mark.parametrize(
    "during",
    ["train", *(pytest.param(name, marks=pytest.mark.long) for name in ("extract_2021_01", "track"))],
)
@pytest.mark.fault("kill -9 while downloading, training or recording", "the next run succeeds")
def test_a_kill_at_any_stage_leaves_a_store_that_the_next_run_can_use(
    tmp_path: Path, slow_server: str, during: str, environment: None
) -> None:
    command = [*BATON, "run", "-v", "--source", slow_server, "--zone-url", "", "--num-boost-round", "8"]
    killed = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert killed.stderr is not None
    for line in killed.stderr:
        if line.startswith(during) and "started" in line:
            break
    time.sleep(0.3)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stderr.close()
    ended = _run(tmp_path, *command[len(BATON) :], "--cache")
    assert ended.code == 0, ended.stderr
    assert float(ended.facts["RMSE"]) < 8.0
    leftovers = [path for path in (tmp_path / ".baton/store/objects").rglob("*") if path.suffix == ".tmp"]
    assert leftovers == []


def _month(month: int, rows: int = 2000) -> pl.DataFrame:
    """Return a small month in the published columns, with durations that follow the distance."""
    from datetime import datetime, timedelta

    pickups = [datetime(2021, month, 1) + timedelta(minutes=i) for i in range(rows)]
    miles = [0.5 + i % 9 for i in range(rows)]
    return pl.DataFrame(
        {
            "lpep_pickup_datetime": pickups,
            "lpep_dropoff_datetime": [
                p + timedelta(minutes=3 + 3 * d) for p, d in zip(pickups, miles, strict=True)
            ],
            "PULocationID": [1 + i % 265 for i in range(rows)],
            "DOLocationID": [1 + i % 7 for i in range(rows)],
            "trip_distance": miles,
        },
        schema_overrides={
            "lpep_pickup_datetime": pl.Datetime("us"),
            "lpep_dropoff_datetime": pl.Datetime("us"),
        },
    )


def _object(folder: Path, name: str) -> object:
    """Return an artifact of the first run in a project."""
    from baton import Matrix, Table
    from baton.core.artifact import Artifact
    from baton.store.store import Store

    record = json.loads(min((folder / ".baton/runs").glob("*.json")).read_text())
    found = next(task["outputs"][name] for task in record["tasks"] if name in task["outputs"])
    store = Store(str(folder / ".baton/store"), folder / ".baton")
    return store.load(Artifact.from_dict(found), Table if found["kind"] == "table" else Matrix)


def _tracked(folder: Path, run_id: str) -> dict[str, object]:
    """Return what MLflow holds of a run, read in a fresh process."""
    script = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
run = client.get_run(sys.argv[2])
def walk(folder=None):
    for item in client.list_artifacts(run.info.run_id, folder):
        if item.is_dir: yield from walk(item.path)
        else: yield item.path
mine = f"source_run_id = '{sys.argv[2]}'"
models = client.search_logged_models([run.info.experiment_id], filter_string=mine)
print(json.dumps({
    "status": run.info.status,
    "experiment": client.get_experiment(run.info.experiment_id).name,
    "params": run.data.params, "metrics": run.data.metrics, "tags": run.data.tags,
    "rounds": len(client.get_metric_history(sys.argv[2], "validation_rmse")),
    "datasets": {d.dataset.name: d.tags[0].value for d in run.inputs.dataset_inputs},
    "files": list(walk()), "models": sorted(m.name for m in models),
    "locations": [m.artifact_location for m in models],
}))
"""
    uri = f"sqlite:///{folder}/.baton/mlflow/mlflow.db"
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, uri, run_id], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, object] = json.loads(ended.stdout)
    return found


def _register_two_of_a_colleague(uri: str, folder: Path) -> None:
    """Make two champions with plain MLflow: ``twelve`` always says 12 minutes, ``broken`` raises."""
    script = """
import sys
import mlflow, numpy
class Twelve(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return numpy.full(len(model_input), 12.0)
class Broken(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        raise RuntimeError("no")
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("colleague")
for name, model in {"twelve": Twelve(), "broken": Broken()}.items():
    with mlflow.start_run():
        options = {"registered_model_name": name, "pip_requirements": ["mlflow"]}
        mlflow.pyfunc.log_model(name="m", python_model=model, **options)
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")
"""
    folder.mkdir()
    words = [sys.executable, "-W", "ignore", "-c", script, uri]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def _predict_in_fresh_process(folder: Path, records: pl.DataFrame) -> list[float]:
    script = """
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/nyc-taxi-duration@champion")
frame = pd.DataFrame(json.loads(sys.stdin.read()))
print(json.dumps([float(number) for number in model.predict(frame)]))
"""
    uri = f"sqlite:///{folder}/.baton/mlflow/mlflow.db"
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, uri],
        input=json.dumps(records.to_dict(as_series=False)),
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert ended.returncode == 0, ended.stderr
    numbers: list[float] = json.loads(ended.stdout.splitlines()[-1])
    return numbers


def _predict_by_server(folder: Path, records: pl.DataFrame) -> list[float]:
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/nyc-taxi-duration@champion"),
            *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)),
        ],
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/.baton/mlflow/mlflow.db",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/health", process)
        answer = httpx.post(
            f"http://127.0.0.1:{port}/invocations",
            json={"dataframe_split": {"columns": records.columns, "data": records.rows()}},
            timeout=30,
        )
        numbers: list[float] = answer.json()["predictions"]
        return numbers
    finally:
        stop_group(process)
