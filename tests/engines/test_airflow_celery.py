"""The DAG beyond one machine: CeleryExecutor, two workers that share nothing but addresses."""

import json
import os
import time

import pytest

from baton.core.outcome import Outcome
from baton.engines.airflow.rest import AirflowApi
from baton.engines.airflow.watch import watch
from baton.runs.records import list_runs
from baton.store.objects import ObjectStore
from baton.testing.engine_suite import SMALL_BYTES
from tests.engines.airflow_cluster import cluster, members_of, missing_servers

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(480),
    pytest.mark.skipif(
        bool(missing_servers()), reason=f"not installed: {', '.join(missing_servers())} (see .ci/run)"
    ),
]

# The schedule ends in the past, so that unpausing the first starts nothing by itself.
DAGS = """
import datetime

from baton.engines.airflow.dag import airflow_dag

dag = airflow_dag({folder!r}, end_date=datetime.datetime(2021, 12, 31, tzinfo=datetime.UTC))
naps = airflow_dag({folder!r}, options={{"pipeline": "baton.testing.pipelines:naps"}}, schedule=None)
"""
# A worker that is gone is noticed after so many seconds, not after Airflow's five minutes.
SHORT = {
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "12",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}
STORE = "s3://shared/store"
# The MLflow server is that of other tests too: the name is these runs' own, and so is its champion.
SMALL = {"source": "sample", "num_boost_round": 10, "model_name": "two-machines"}


@pytest.fixture(scope="module")
def machines(tmp_path_factory, s3_server, mlflow_server):
    """An Airflow whose workers share the store's URL and the MLflow server."""
    s3_server.make_bucket("shared")
    kept = {
        name: text for name, text in os.environ.items() if not name.startswith(("BATON_", "MLFLOW_", "AWS_"))
    }
    shared = {"BATON_STORE": STORE, "BATON_TRACKING_URI": mlflow_server}
    folder = tmp_path_factory.mktemp("machines")
    with cluster(folder, DAGS, {**kept, **s3_server.environ, **shared}, SHORT, ("one", "two")) as running:
        yield running
        sessions = [p.pid for m in (running.head, *running.workers.values()) for p in m.processes]
    assert [process for leader in sessions for process in members_of(leader)] == []


@pytest.fixture(scope="module")
def airflow(machines):
    """Airflow's API, with all DAGs let run."""
    client = AirflowApi(machines.address, username=machines.username, password=machines.password)
    for name in ("duration", "naps"):
        client.unpause(name)
    yield client
    client.close()


@pytest.fixture(scope="module")
def months(airflow, machines):
    """Two months at once: the ids of the runs, in order, and how each ended."""
    wanted = ["--from-date", "2021-01-01", "--to-date", "2021-02-28", "--max-active-runs", "2"]
    conf = json.dumps(SMALL)
    made = machines.head.airflow(
        "backfill", "create", "--dag-id", "duration", *wanted, "--dag-run-conf", conf
    )
    assert made.returncode == 0, made.stderr
    listed = airflow._content(airflow._send("GET", "/api/v2/dags/duration/dagRuns?order_by=logical_date"))
    runs = [run["dag_run_id"] for run in listed["dag_runs"]]
    assert len(runs) == 2
    return {run: watch(airflow, "duration", run) for run in runs}


@pytest.fixture(scope="module")
def january(months):
    """The id of the run of January, and how it ended."""
    return next(iter(months.items()))


def test_tasks_of_a_run_succeed_on_both_workers(airflow, machines, january):
    run_id, ended = january
    assert ended.is_good, [task.failure for task in ended.tasks]
    tasks = airflow.tasks("duration", run_id)
    assert {task["state"] for task in tasks} == {"success"}
    assert {task["hostname"] for task in tasks} == {"one", "two"}


def test_the_model_is_that_of_the_simple_engine(january, baton, machines):
    _, ended = january
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    simple = baton("run", "--engine", "simple", "--year", 2021, "--month", 1, *options)
    assert simple.code == 0, simple.stderr
    assert dict(ended.facts)["Model digest"] == simple.facts["Model digest"]


def test_only_references_pass_between_the_workers(airflow, january):
    run_id, ended = january
    sizes = {t.task: len(json.dumps(airflow.message("duration", run_id, t.task))) for t in ended.tasks}
    assert max(sizes.values()) < SMALL_BYTES, sizes


def test_every_worker_records_with_the_one_mlflow_server(months, mlflow_server):
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_server)
    experiment = client.get_experiment_by_name("nyc-taxi-experiment-airflow")
    recorded = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}
    trained = [recorded[ended.tracking_run_id] for ended in months.values()]
    assert [run.info.status for run in trained] == ["FINISHED", "FINISHED"]
    assert [run.data.params["month"] for run in trained] == ["1", "2"]


def test_two_months_at_once_meet_the_world_one_after_the_other(
    airflow, months, machines, s3_server, tmp_path, monkeypatch
):
    assert all(ended.is_good for ended in months.values()), [e.tasks for e in months.values()]
    first, second = ({task["task_id"]: task for task in airflow.tasks("duration", run)} for run in months)
    assert second["train"]["start_date"] < first["finish_run"]["end_date"]  # side by side
    assert second["track"]["start_date"] > first["finish_run"]["end_date"]  # and in order
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    january, february = (ended.artifacts["verdict"].digest for ended in months.values())
    store = ObjectStore(STORE, tmp_path)
    verdicts = [json.loads(store.path_of(digest).read_bytes()) for digest in (january, february)]
    assert [verdict["champion_version"] for verdict in verdicts] == [None, "1"]


def test_the_record_of_a_run_is_complete_where_it_was_closed(airflow, january, machines):
    run_id, ended = january
    (closed_on,) = [t["hostname"] for t in airflow.tasks("duration", run_id) if t["task_id"] == "finish_run"]
    records = list_runs(machines.workers[closed_on].project / ".baton", 10)
    (record,) = [one for one in records if one.tracking_run_id == ended.tracking_run_id]
    assert (record.state, record.engine) == ("succeeded", "airflow")
    assert {task.task for task in record.tasks} == {task.task for task in ended.tasks}


def test_a_second_run_takes_everything_pure_from_the_shared_store(airflow, january):
    run_id = airflow.trigger("duration", {**SMALL, "year": 2021, "month": 1})
    ended = watch(airflow, "duration", run_id)
    assert ended.is_good
    assert {task.task for task in ended.tasks if task.outcome is not Outcome.CACHED} == {
        *("health_check", "track", "validate", "deploy", "cleanup")
    }
    assert dict(ended.facts)["Model digest"] == dict(january[1].facts)["Model digest"]


@pytest.mark.fault(
    "a Celery worker's machine is gone in mid-task", "the task runs again on another; the run succeeds"
)
def test_the_task_of_a_worker_that_is_killed_runs_again_on_the_other(airflow, machines, months):
    run_id = airflow.trigger("naps", {"nap_s": 4.0})
    lost = running_on(airflow, "naps", run_id, "two")
    machines.workers["two"].kill()
    try:
        ended = watch(airflow, "naps", run_id)
    finally:
        machines.workers["two"].start_worker()
    assert ended.is_good, [task.failure for task in ended.tasks]
    (again,) = [task for task in airflow.tasks("naps", run_id) if task["task_id"] == lost]
    assert (again["hostname"], again["try_number"]) == ("one", 2)


def running_on(airflow, dag_id, run_id, name):
    """Wait until a task runs on a worker, and return it."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        for task in airflow.tasks(dag_id, run_id):
            if task["state"] == "running" and task["hostname"] == name:
                return task["task_id"]
        time.sleep(0.1)
    raise AssertionError(f"no task ran on {name}: {airflow.tasks(dag_id, run_id)}")
