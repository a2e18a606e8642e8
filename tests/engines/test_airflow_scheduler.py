"""The DAG on a real scheduler: standalone, its LocalExecutor, runs triggered through its REST API."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from baton import Json, api
from baton.core.outcome import Outcome
from baton.engines.airflow.environment import environment
from baton.engines.airflow.rest import AirflowApi
from baton.engines.airflow.server import standalone, standalone_home
from baton.engines.airflow.watch import watch
from baton.errors import Unavailable
from baton.runs.project import open_project
from baton.store.objects import ObjectStore
from baton.testing.engine_suite import SMALL_BYTES
from tests.conftest import BATON, free_port, stop_group
from tests.examples.conftest import write_months

pytestmark = pytest.mark.timeout(290)

# The schedule of the last ends in the past, so that unpausing it starts nothing by itself.
DAGS = """
import datetime

from baton.engines.airflow.dag import airflow_dag

folder = {folder!r}
small = "baton.testing.pipelines:"
slow = airflow_dag(folder, dag_id="slow", options={{"pipeline": "slow:dag"}}, schedule=None)
diamond = airflow_dag(folder, options={{"pipeline": small + "diamond"}}, schedule=None)
killable = airflow_dag(folder, options={{"pipeline": small + "killable", "killed": True}}, schedule=None)
whole = airflow_dag(
    folder, dag_id="whole", options={{"pipeline": small + "tracked"}}, schedule=None, granularity="run"
)
grouped = airflow_dag(
    folder, dag_id="grouped", options={{"pipeline": small + "positioned"}}, schedule=None, granularity="group"
)
elements = airflow_dag(folder, options={{"pipeline": small + "elements"}}, schedule=None)
elements_by_group = airflow_dag(
    folder,
    dag_id="by_group",
    options={{"pipeline": small + "elements"}},
    schedule=None,
    granularity="group",
)
refused = airflow_dag(
    folder,
    dag_id="refused",
    schedule=None,
    granularity="group",
    options={{"source": "sample", "num_boost_round": 3, "max_rmse": 0.2, "min_rmse": 0.0}},
    on_failure_callback=lambda context: open(folder + "/called_back", "w").close(),
)
january = airflow_dag(
    folder, dag_id="january", options={{"source": {source!r}, "model_name": "january"}}, schedule=None
)
monthly = airflow_dag(
    folder,
    dag_id="monthly",
    options={{"source": {small_months!r}, "num_boost_round": 3, "max_rmse": 60.0}},
    granularity="run",
    end_date=datetime.datetime(2021, 12, 31, tzinfo=datetime.UTC),
)
"""

# Each call of a task leaves a line, so that what is computed twice is seen.
SLOW = """
import time
from typing import Annotated

from baton import Dag, Json, Parameters, TaskContext, TrackingRun, parameter, task


class Chosen(Parameters, frozen=True):
    label: Annotated[str, parameter("what makes its runs other work")] = ""


def call(context, name, label, nap_s):
    with (context.project / f"{name} {label}.calls").open("a") as calls:
        calls.write("called\\n")
    time.sleep(nap_s)
    return [name, label]


@task
def first(label: str, context: TaskContext) -> Json:
    return call(context, "first", label, 0)


@task
def second(first: Json, label: str, context: TaskContext) -> Json:
    return call(context, "second", label, 3)


@task
def third(second: Json, label: str, context: TaskContext) -> Json:
    return call(context, "third", label, 0)


@task(effect=True)
def record(third: Json, label: str, context: TaskContext, tracking: TrackingRun) -> None:
    tracking.set_tags({"label": label})
    call(context, "record", label, 0)


dag = Dag("slow", [first, second, third, record], parameters=Chosen)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """An empty folder."""
    folder = tmp_path_factory.mktemp("scheduled")
    return open_project(folder=folder, environ={})


def without_ours():
    return {name: text for name, text in os.environ.items() if not name.startswith(("BATON_", "MLFLOW_"))}


@pytest.fixture(scope="module")
def airflow(project, tmp_path_factory):
    """Start Airflow with the project's own DAG and those above; yield its API."""
    home = standalone_home(project.home)
    (home / "dags").mkdir(parents=True)
    source = os.environ.get("BATON_TEST_DATA", "sample")
    (project.folder / "slow.py").write_text(SLOW)
    small_months = write_months(tmp_path_factory.mktemp("months"))
    dags = DAGS.format(folder=str(project.folder), source=source, small_months=str(small_months))
    (home / "dags" / "others.py").write_text(dags)
    port = free_port()
    # A scheduler that was killed is taken for dead, and its tasks are taken over, sooner than in minutes.
    sooner = {
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    }
    with standalone(
        *(project.home, project.folder, project.dag.name),
        port=port,
        environ=without_ours(),
        settings=sooner,
    ) as running:
        client = AirflowApi(running.address, username=running.username, password=running.password)
        yield client
        client.close()
        for process in started_again:
            stop_group(process)
    assert _group_is_gone(running.process.pid)


def run(airflow, dag_id, conf=None):
    """Trigger a run and wait for its end."""
    run_id = airflow.trigger(dag_id, conf or {})
    return run_id, watch(airflow, dag_id, run_id)


@pytest.fixture(scope="module")
def started(airflow, project):
    """Let all DAGs run and start the long runs, so that Airflow's waits overlap; the id of the first."""
    names = ("refused", "monthly", "whole", "grouped", "killable", "diamond", "slow", "elements", "by_group")
    for name in (*names, "january"):
        airflow.unpause(name)
    arguments = ["--dag-id", "monthly", "--from-date", "2021-01-01", "--to-date", "2021-02-28"]
    arguments += ["--max-active-runs", "2"]  # each month waits for the champion before it
    made = subprocess.run(
        [sys.executable, "-m", "airflow", "backfill", "create", *arguments],
        env=environment(standalone_home(project.home), without_ours()),
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    return airflow.trigger("refused", {})


def states(airflow, dag_id, run_id):
    return {task["task_id"]: task["state"] for task in airflow.tasks(dag_id, run_id)}


def tracking_runs(project, experiment):
    """Return status and baton's run id of each MLflow run of an experiment, by its id."""
    with sqlite3.connect(project.home / "mlflow" / "mlflow.db") as records:
        rows = records.execute(
            "select r.run_uuid, r.status, t.value from runs r"
            " join experiments e on e.experiment_id = r.experiment_id and e.name = ?"
            " join tags t on t.run_uuid = r.run_uuid and t.key = 'baton.run_id'",
            (experiment,),
        ).fetchall()
    return {run_id: (status, ours) for run_id, status, ours in rows}


def parameters_of(project, tracking_run_id):
    with sqlite3.connect(project.home / "mlflow" / "mlflow.db") as records:
        return dict(
            records.execute("select key, value from params where run_uuid = ?", (tracking_run_id,)).fetchall()
        )


def test_a_diamond_runs_and_the_second_time_takes_everything_pure_from_the_cache(airflow, started, project):
    run_id, first = run(airflow, "diamond")
    assert first.is_good
    assert dict(first.facts) == {"joined": "[2, 11]"}
    for task in (task.task for task in first.tasks):
        assert len(json.dumps(airflow.message("diamond", run_id, task))) < SMALL_BYTES
    _, second = run(airflow, "diamond")
    assert {task.task: task.outcome.value for task in second.tasks} == {
        **dict.fromkeys(("source", "left", "right", "join"), "cached"),
        "publish": "succeeded",
    }
    assert second.artifacts == first.artifacts
    record, earlier = (one for one in api.status(project, 50) if one.pipeline == "diamond")
    assert (record.engine, record.state, len(record.tasks)) == ("airflow", "succeeded", 5)
    logged = [(line.task, line.text) for line in api.logs(project, earlier.run_id)]
    assert logged == [("join", "joining 1 and 1 numbers")]
    assert api.logs(project, record.run_id) == ()


def test_params_arrive_and_force_runs_what_is_remembered(airflow, started, project):
    run(airflow, "diamond", {"factor": 7})
    _, ended = run(airflow, "diamond", {"factor": 7, "force": ["left"]})
    assert ended.of("left").outcome is Outcome.SUCCEEDED
    assert ended.of("source").outcome is Outcome.CACHED
    made = ObjectStore(project.store_url, project.home / "mirror")
    assert json.loads(made.path_of(ended.artifacts["left"].digest).read_bytes()) == [7]


def test_an_unknown_param_fails_the_run_with_a_sentence(airflow, started):
    run_id, ended = run(airflow, "diamond", {"factro": 7})
    failure = ended.of("source").failure
    assert failure.message == "pipeline 'diamond' has no parameter 'factro'; did you mean 'factor'?"
    assert airflow.state("diamond", run_id) == "failed"


def test_a_task_process_killed_in_mid_task_is_tried_again(airflow, started):
    run_id, ended = run(airflow, "killable")
    assert ended.is_good
    (task,) = [task for task in airflow.tasks("killable", run_id) if task["task_id"] == "mortal"]
    assert task["try_number"] == 2


def test_a_task_that_fails_has_no_more_attempts_than_it_declares(airflow, started):
    run_id, ended = run(airflow, "diamond", {"broken": "left!"})
    assert ended.of("left").outcome is Outcome.FAILED
    (task,) = [task for task in airflow.tasks("diamond", run_id) if task["task_id"] == "left"]
    assert task["try_number"] == 1  # Airflow's other attempt is for a process that is lost


def test_a_refused_model_stops_before_deploy_and_cleanup_still_runs(airflow, started, project):
    run_id = started
    ended = watch(airflow, "refused", run_id)
    outcomes = {task.task: task.outcome.value for task in ended.tasks}
    assert outcomes["validate"] == "failed"
    assert outcomes["deploy"] == "upstream failed"
    assert outcomes["cleanup"] == "succeeded"
    assert "RMSE" in ended.of("validate").failure.message
    assert airflow.state("refused", run_id) == "failed"
    (task,) = [task for task in airflow.tasks("refused", run_id) if task["task_id"] == "validate"]
    assert task["try_number"] == 1  # what the gate refuses, it refuses again
    status, _ = tracking_runs(project, "nyc-taxi-experiment-airflow")[ended.tracking_run_id]
    assert status == "FAILED"
    record = next(one for one in api.status(project, 50) if one.tracking_run_id == ended.tracking_run_id)
    assert record.state == "failed"
    ends = time.monotonic() + 60  # Airflow's DAG processor calls it, in its own time
    while not (project.folder / "called_back").exists() and time.monotonic() < ends:
        time.sleep(0.2)
    assert (project.folder / "called_back").exists()


def test_the_task_leads_to_its_mlflow_run(airflow, started, project):
    run_id, ended = run(airflow, "whole")
    path = f"/api/v2/dags/whole/dagRuns/{run_id}/taskInstances/tracked/links"
    links = airflow._content(airflow._send("GET", path))["extra_links"]
    assert links["MLflow run"].endswith(f"/runs/{ended.tracking_run_id}")
    assert tracking_runs(project, "tracked-airflow")[ended.tracking_run_id][0] == "FINISHED"
    assert {task.task for task in ended.tasks} == {
        "source",
        "left",
        "right",
        "join",
        "recorded_first",
        "recorded_again",
    }


def test_one_airflow_task_for_each_group(airflow, started):
    run_id, ended = run(airflow, "grouped")
    assert ended.is_good
    assert set(states(airflow, "grouped", run_id)) == {
        "prepare",
        "source",
        "branches",
        "join",
        "publish",
        "tidy",
        "finish_run",
    }
    assert {"left", "right"} < {task.task for task in ended.tasks}


def test_each_element_is_a_mapped_task_that_airflow_finds_when_the_run_begins(airflow, started, project):
    (project.folder / "notes").mkdir()
    for name, text in (("a.txt", "two words"), ("b.txt", "one")):
        (project.folder / "notes" / name).write_text(text)
    run_id, ended = run(airflow, "elements", {"start": 2, "step": 2})
    assert {one.task: one.outcome.value for one in ended.tasks} == dict.fromkeys(
        (
            *("squared_2", "squared_4", "halved_2", "halved_4", "gathered"),
            *("words_a_txt", "words_a_txt_note", "words_b_txt", "words_b_txt_note"),
        ),
        "succeeded",
    )
    made = project.store.load(ended.artifacts["gathered"], Json)
    assert made == [{"2": 2, "4": 8}, {"a_txt": 2, "b_txt": 1}]
    named = {(one["task_id"], one["rendered_map_index"]) for one in airflow.tasks("elements", run_id)}
    assert {("halved", "2"), ("halved", "4"), ("words", "b_txt")} < named
    _, again = run(airflow, "by_group", {"start": 2, "step": 2})
    assert {one.outcome for one in again.tasks} == {Outcome.CACHED}
    assert again.artifacts["gathered"] == ended.artifacts["gathered"]


def test_an_element_that_fails_stops_what_needs_it_and_no_other(airflow, started, project):
    _, ended = run(airflow, "elements", {"start": 12, "step": 1})
    outcomes = {one.task: one.outcome.value for one in ended.tasks}
    assert (outcomes["halved_12"], outcomes["halved_13"]) == ("succeeded", "failed")
    assert outcomes["gathered"] == "upstream failed"
    record = api.status(project, 1)[0]
    assert {one.task: one.outcome for one in record.tasks} == outcomes


def test_a_backfill_trains_the_month_of_each_interval(airflow, started, project):
    listed = airflow._content(airflow._send("GET", "/api/v2/dags/monthly/dagRuns?order_by=run_after"))
    runs = [one["dag_run_id"] for one in listed["dag_runs"]]
    assert len(runs) == 2
    ends = [watch(airflow, "monthly", one) for one in runs]
    assert all(end.is_good for end in ends)
    known = tracking_runs(project, "nyc-taxi-experiment-airflow")
    trained = [_trained_in(project, known, airflow, one) for one in runs]
    assert trained == [("2021", "1"), ("2021", "2")]


def _trained_in(project, known, airflow, run_id):
    """Return year and month of the MLflow run of one Airflow run."""
    ours = airflow.message("monthly", run_id, "duration")["tracking_run_id"]
    assert known[ours][0] == "FINISHED"
    parameters = parameters_of(project, ours)
    return parameters["year"], parameters["month"]


def test_the_command_triggers_and_follows(airflow, started, project, baton):
    ended = baton(
        *("airflow", "trigger", "--unpause", "--pipeline", "baton.testing.pipelines:diamond", "--start", 5),
        folder=project.folder,
    )
    assert ended.code == 0, ended.stderr
    assert ended.facts["joined"] == "[10, 15]"
    lines = [line.split()[:2] for line in ended.stderr.splitlines()[1:]]
    assert ["source", "succeeded"] in lines
    broken = baton(
        *("airflow", "trigger", "--pipeline", "baton.testing.pipelines:diamond", "--broken", "left"),
        folder=project.folder,
    )
    assert broken.code == 1
    assert "error: task 'left' failed: left was told to fail" in broken.stderr
    assert "hint: choose another task to fail" in broken.stderr


def test_the_command_says_that_a_dag_is_paused_or_unknown(airflow, started, project, baton):
    paused = baton("airflow", "trigger", folder=project.folder)
    assert paused.code == 2
    assert "DAG 'duration' is paused" in paused.stderr
    unknown = baton("airflow", "trigger", "--dag-id", "nothing", folder=project.folder)
    assert unknown.code == 2
    assert "has no DAG 'nothing'" in unknown.stderr
    refused = baton("airflow", "trigger", "--username", "admin", "--password", "wrong", folder=project.folder)
    assert refused.code == 4
    assert "rejects the login" in refused.stderr


def test_the_command_says_that_no_airflow_answers(tmp_path, baton):
    ended = baton("airflow", "trigger", "--address", f"http://127.0.0.1:{free_port()}")
    assert ended.code == 4
    assert "does not answer" in ended.stderr
    assert "hint: start it with: baton airflow up" in ended.stderr


def test_everything_listens_on_this_machine_only(airflow):
    living = [
        one
        for one in psutil.Process().children(recursive=True)
        if one.is_running() and one.status() != psutil.STATUS_ZOMBIE
    ]
    own = [one for one in living if "airflow" in " ".join(one.cmdline())]
    places = [c.laddr.ip for one in own for c in one.net_connections("inet") if c.status == "LISTEN"]
    assert set(places) == {"127.0.0.1"}


@pytest.mark.parametrize(("name", "waits"), [("api-server", "timeout=3"), ("scheduler", "timeout=60")])
def test_only_the_api_server_gives_up_soon_on_a_busy_database(airflow, project, name, waits):
    # What its event loop waits for may be a request of its own, which cannot go on meanwhile.
    home = standalone_home(project.home)
    program = (
        (home / "bin" / "airflow")
        .read_text()
        .replace("exec ", "printenv AIRFLOW__DATABASE__SQL_ALCHEMY_CONN #")
    )
    told = subprocess.run(
        ["/bin/sh", "-c", program, "airflow", name],
        env=environment(home, without_ours()),
        capture_output=True,
        text=True,
    )
    assert told.stdout == f"sqlite:///{home}/airflow.db?{waits}\n", told.stderr


@pytest.mark.long
def test_a_real_month_gives_the_model_of_the_other_engines_and_then_only_hits(
    airflow, started, project, real_data, tmp_path, baton
):
    ends = [run(airflow, "january", {"year": 2021, "month": 1})[1] for _ in range(2)]
    assert all(end.is_good for end in ends)
    facts, again = (dict(end.facts) for end in ends)
    assert facts["RMSE"] == "6.6077"
    cached = [task.task for task in ends[1].tasks if task.outcome is Outcome.CACHED]
    assert cached == [
        *(f"{stage}_2021_{month}" for stage in ("extract", "check", "transform") for month in ("01", "02")),
        *("zones", "features", "train", "evaluate"),
    ]
    simple = baton("run", "--engine", "simple", "--source", real_data)
    assert facts["Model digest"] == again["Model digest"] == simple.facts["Model digest"]
    known = tracking_runs(project, "nyc-taxi-experiment-airflow")
    assert [known[end.tracking_run_id][0] for end in ends] == ["FINISHED", "FINISHED"]


SIGNALS = {"ended": signal.SIGTERM, "killed": signal.SIGKILL}


@pytest.mark.parametrize("how", [pytest.param("ended", marks=pytest.mark.long), "killed"])
@pytest.mark.fault(
    "Airflow's scheduler is ended, or killed with the task that it runs, in mid-run, and started again",
    "the run ends well, in one MLflow run; what was done is not done again",
)
def test_a_scheduler_that_goes_away_in_mid_run(airflow, started, project, how):
    naps = Naps(project.folder, f"scheduler {how}")
    run_id = airflow.trigger("slow", {"label": naps.label})
    naps.wait_for("second")
    scheduler = part("scheduler")
    start = starting("scheduler")
    end_part(scheduler, SIGNALS[how])
    start()
    ended = watch(airflow, "slow", run_id)
    assert {task.task: task.outcome.value for task in ended.tasks} == dict.fromkeys(
        ("first", "second", "third", "record"), "succeeded"
    )
    # A scheduler that is asked to end waits for what it runs; one that is killed takes it along.
    assert (naps.of("first"), naps.of("second"), naps.of("third")) == (1, 1 if how == "ended" else 2, 1)
    assert naps.of("record") == 1
    known = tracking_runs(project, "slow-airflow")
    assert known[ended.tracking_run_id][0] == "FINISHED"
    assert len([ours for _, ours in known.values() if ours == known[ended.tracking_run_id][1]]) == 1


@pytest.mark.long
@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.fault(
    "Airflow's API server is ended or killed while `baton airflow trigger` follows a run",
    "it ends 4 within seconds and names the run; with a server again that run or the next one ends well",
)
def test_an_api_server_that_goes_away_while_a_run_is_followed(airflow, started, project, how):
    naps = Naps(project.folder, f"server {how}")
    words = ["--pipeline", "slow:dag", "--label", naps.label]
    following = subprocess.Popen(
        [*BATON, "airflow", "trigger", *words],
        cwd=project.folder,
        env=without_ours(),
        stderr=subprocess.PIPE,
        text=True,
    )
    naps.wait_for("second")
    server = part("api-server")
    start = starting("api-server")
    end_part(server, SIGNALS[how])
    try:
        _, told = following.communicate(timeout=30)
    finally:
        start()
    assert following.returncode == 4, told
    assert "does not answer" in told
    assert "is triggered and may be running" in told
    assert "Traceback" not in told
    run_id = told.partition("run '")[2].partition("'")[0]
    wait_until_answers(airflow)
    if not watch(airflow, "slow", run_id).is_good:
        # A task that ended while no server took its word counts as failed in Airflow; the store has it.
        assert run(airflow, "slow", {"label": naps.label})[1].is_good
    assert (naps.of("first"), naps.of("third"), naps.of("record")) == (1, 1, 1)


@dataclass(frozen=True)
class Naps:
    """What a run of the slow pipeline called, known by its parameter ``label``."""

    folder: Path
    label: str

    def of(self, task):
        path = self.folder / f"{task} {self.label}.calls"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def wait_for(self, task, within_s=90):
        ends = time.monotonic() + within_s
        while not self.of(task):
            assert time.monotonic() < ends, f"'{task}' did not begin"
            time.sleep(0.05)


def part(name):
    """Return the process of one of Airflow's parts."""
    title = f"airflow {name.replace('-', '_')} "
    found = []
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # zombies too
            line = [*one.cmdline(), ""]
            if line[3:4] == [name] or line[0].startswith(title):
                found.append(one)
    return found[0]


def end_part(leader, number):
    """Send a signal to a part; where it kills, to all that the part started too."""
    below = leader.children(recursive=True) if number == signal.SIGKILL else []
    for one in (leader, *below):
        one.send_signal(number)
    ends = time.monotonic() + 60
    while any(lives(one) for one in (leader, *below)):
        assert time.monotonic() < ends, f"{leader} does not end"
        time.sleep(0.1)


def lives(process):
    """Whether a process works: what is dead may wait for its parent to notice."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


started_again = []
"""Processes of `starting`, which the fixture ends."""


def starting(name):
    """Return what starts a part again as it was started."""
    environ = part("scheduler").environ()
    command = [sys.executable, "-m", "airflow", name]
    command += ["--skip-serve-logs"] if name == "scheduler" else []

    def start():
        with (Path(environ["AIRFLOW_HOME"]) / f"{name}-again.log").open("ab") as log:
            again = subprocess.Popen(
                command,
                env=environ,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started_again.append(again)

    return start


def wait_until_answers(airflow, within_s=90):
    ends = time.monotonic() + within_s
    while True:
        try:
            return airflow.dag("slow")
        except Unavailable:
            assert time.monotonic() < ends, "Airflow does not answer again"
            time.sleep(0.3)


def _group_is_gone(leader):
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return True
    return False
