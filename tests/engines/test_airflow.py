"""The engine on this machine: the conformance suite, and what is Airflow's own."""

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

from baton import api
from baton.testing import EngineSuite, RecordingReporter

SIDE_BY_SIDE = '''
from baton import Dag, Json, TrackingRun, task


@task(effect=True)
def one(tracking: TrackingRun) -> Json:
    """Record."""
    return tracking.run_id


@task(effect=True)
def other(tracking: TrackingRun) -> Json:
    """Record beside it."""
    return tracking.run_id


@task
def versions() -> Json:
    """Return the versions of the API for tasks that the process around it built."""
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    return [str(version) for version in in_process_api_server().app.router.versioned_routers]


dag = Dag("side", [one, other, versions])
'''

SLOW = '''
import time

from baton import Dag, Json, TaskContext, task


@task
def nap(context: TaskContext) -> Json:
    """Take a while."""
    (context.project / "napping").touch()
    time.sleep(60)
    return []


@task
def after(nap: Json) -> Json:
    """Never run."""
    return nap


dag = Dag("slow", [nap, after])
'''

WITHOUT_AIRFLOW = """
import importlib.metadata as metadata, sys

found = metadata.version
def version(name):
    if name.startswith("apache-airflow"):
        raise metadata.PackageNotFoundError(name)
    return found(name)
metadata.version = version
from baton.cli.app import run_command_line
sys.exit(run_command_line(sys.argv[1:]))
"""


class TestAirflowEngine(EngineSuite):
    engine = "airflow"
    # Runs of seconds each.  The quick test beside each shows the same of what is Airflow's own.
    long = (
        "test_a_chain_passes_its_artifacts_along",  # a diamond joins both branches
        "test_a_group_is_a_target",  # a target runs only what it needs
        "test_an_exception_with_a_hint_explains_itself",  # a failing task names itself and its cause
        "test_an_effect_whose_inputs_changed_runs_again",  # an effect runs again
        "test_a_deleted_object_is_made_again",  # corrupt objects are made again in the same run
        "test_a_task_that_fails_every_time_fails",  # a task is retried as declared
        "test_a_changed_parameter_runs_exactly_what_reads_it",  # corrupt objects are made again
        "test_a_failure_stops_what_depends_on_it",  # keep going runs what does not depend on a failure
        "test_the_last_task_runs_after_a_failure_too",  # first and last tasks frame the run
        "test_an_element_that_fails_stops_only_what_needs_it",  # elements are found when the run begins
        "test_a_backfill_does_nothing_twice_and_its_effects_in_order",  # a period is a run as any other
    )


@pytest.fixture(scope="module")
def side_by_side(tmp_path_factory):
    """Run the pipeline of independent tasks; return its report, and what each task returned."""
    folder = tmp_path_factory.mktemp("side")
    (folder / "side.py").write_text(SIDE_BY_SIDE)
    project = api.open_project(folder=folder, options={"pipeline": "side:dag"}, environ={})
    ended = api.run(project, engine="airflow")
    assert ended.is_good
    store = folder / ".baton" / "store" / "objects"
    return ended, {
        name: json.loads((store / one.digest[:2] / one.digest).read_bytes())
        for name, one in ended.artifacts.items()
    }


def test_tasks_side_by_side_record_into_one_tracking_run(side_by_side):
    ended, returned = side_by_side
    assert returned["one"] == returned["other"] == ended.tracking_run_id


def test_the_api_for_tasks_is_built_in_one_version_only(side_by_side):
    _, returned = side_by_side
    assert len(returned["versions"]) == 1


def test_each_retry_is_told(tmp_path):
    reporter = RecordingReporter()
    options = {"pipeline": "baton.testing.pipelines:retried", "failures": 1}
    project = api.open_project(folder=tmp_path, options=options, environ={})
    ended = api.run(project, engine="airflow", report=reporter)
    assert ended.of("flaky").attempts == 2
    retried = [event for event in reporter.events if type(event).__name__ == "TaskRetried"]
    assert [(event.attempt, event.attempts) for event in retried] == [(1, 3)]


def test_an_interrupt_ends_the_runner_and_leaves_nothing_behind(tmp_path, environment):
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "baton.cli.app", "run", "--engine", "airflow", "--pipeline", "slow:dag"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    ends = time.monotonic() + 60
    while not (tmp_path / "napping").exists() and time.monotonic() < ends:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in told
    assert list((tmp_path / ".baton" / "scratch").iterdir()) == []
    assert [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == str(tmp_path)] == []


def test_a_users_airflow_is_left_alone(tmp_path, baton):
    elsewhere = tmp_path / "elsewhere"
    told = {"AIRFLOW_HOME": str(elsewhere), "AIRFLOW__CORE__DAGS_FOLDER": str(elsewhere / "dags")}
    ended = baton("run", "--engine", "airflow", "--pipeline", "baton.testing.pipelines:chain", **told)
    assert ended.code == 0, ended.stderr
    assert not elsewhere.exists()
    assert [path.name for path in (tmp_path / ".baton/airflow/local").iterdir()] == ["airflow-3.3.2.db"]


def test_without_the_extra_it_says_what_to_install(tmp_path, environment):
    command = [sys.executable, "-c", WITHOUT_AIRFLOW, "run", "--engine", "airflow"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 4
    assert ended.stderr == (
        "error: engine 'airflow' needs packages that are not installed\n\n"
        "hint: install them with: pip install 'baton-ml[airflow]'\n"
    )


@pytest.mark.long
@pytest.mark.timeout(280)
def test_real_months_give_the_model_of_the_simple_engine_and_then_only_hits(real_data, tmp_path, baton):
    first = baton("run", "--engine", "airflow", "--source", real_data)
    assert first.code == 0, first.stderr
    assert first.facts["RMSE"] == "6.6077"
    again = baton("run", "--engine", "airflow", "--source", real_data)
    assert [line.split()[1] for line in again.stderr.splitlines()[1:10]] == ["cached"] * 9
    simple = baton("run", "--engine", "simple", "--source", real_data, "--home", ".other")
    assert first.facts["Model digest"] == again.facts["Model digest"] == simple.facts["Model digest"]
