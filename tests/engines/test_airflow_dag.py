"""The DAG as Airflow sees it: structure, params, conditions; no scheduler is needed."""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from baton import Dag, Json, Parameters, task
from baton.core.artifact import Artifact
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.engines.airflow.environment import environment
from baton.engines.airflow.parameters import fields_of, options_from
from baton.engines.airflow.part import reports_of
from baton.engines.airflow.results import MOST_BYTES, Results, from_xcom, merge, to_xcom
from baton.engines.airflow.sharing import executor_of
from baton.engines.airflow.steps import FINISH, START, divide
from baton.engines.airflow.watch import reports_from
from baton.errors import InvalidPipeline, UsageError
from baton.runs.project import open_project
from baton.store.store import Store
from baton.testing import pipelines
from tripduration.pipeline import dag as duration

ROOT = Path(__file__).parents[2]
DAG_FILE = ROOT / "dags" / "duration_training.py"
HEAVY = {"xgboost", "mlflow", "polars", "pandas", "numpy", "sklearn", "pyarrow", "matplotlib", "prefect"}

# What Airflow's own checks find in a folder of DAGs, and the DAGs as its database keeps them.
LOAD = """
import json, sys, warnings
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    bag = DagBag(dag_folder=sys.argv[1], collect_dags=True)
from airflow.serialization.serialized_objects import DagSerialization

print(json.dumps({
    "errors": bag.import_errors,
    "warnings": [str(one.message) for one in caught],
    "captured": {str(path): [str(one) for one in found] for path, found in bag.captured_warnings.items()},
    "heavy": sorted(set(sys.modules) & set(sys.argv[2].split(","))),
    "dags": {name: DagSerialization.to_dict(dag) for name, dag in bag.dags.items()},
}))
"""


def load(folder, home, seed="0", **variables):
    """Return what Airflow, in a process of its own, makes of a folder of DAG files."""
    environ = {**environment(home, os.environ), "PYTHONHASHSEED": seed, **variables}
    command = [sys.executable, "-c", LOAD, str(folder), ",".join(HEAVY)]
    ended = subprocess.run(command, env=environ, cwd=home, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "pooled.py").write_text(
        "from baton import Dag, Json, task\n\n"
        "@task(pool='gpu', retries=3, retry_delay_s=5, retry_backoff=3, timeout_s=90)\n"
        'def fit() -> Json:\n    """Fit."""\n    return []\n\n'
        "@task(retries=1, retry_backoff=1)\n"
        'def plain(fit: Json) -> Json:\n    """Plain."""\n    return fit\n\n'
        "dag = Dag('pooled', [fit, plain])\n"
    )
    (folder / "every_type.py").write_text((ROOT / "tests" / "every_type.py").read_text())
    return folder


@pytest.fixture(scope="module")
def airflow_home(project, tmp_path_factory):
    """A folder of DAG files: the shipped one and some variants."""
    home = tmp_path_factory.mktemp("airflow")
    folder = home / "dags"
    folder.mkdir()
    shipped = DAG_FILE.read_text().replace("/srv/trips", str(project))
    (folder / "shipped.py").write_text(shipped)
    (folder / "variants.py").write_text(
        "from baton.engines.airflow.dag import airflow_dag\n"
        f"folder = {str(project)!r}\n"
        "grouped = airflow_dag(folder, dag_id='grouped', granularity='group', tags=['team'], owner='ana')\n"
        "whole = airflow_dag(folder, dag_id='whole', granularity='run', schedule=None)\n"
        "pooled = airflow_dag(folder, options={'pipeline': 'pooled:dag'})\n"
        "hooked = airflow_dag(folder, dag_id='hooked', on_failure_callback=print)\n"
        "typed = airflow_dag(folder, options={'pipeline': 'every_type:dag', 'months': (3, 4)})\n"
        "joined = airflow_dag(folder, dag_id='joined', default_args={'priority_weight': 7},"
        " params={'ticket': 'none'})\n"
    )
    return home


@pytest.fixture(scope="module")
def loaded(airflow_home):
    """What Airflow makes of the files."""
    return load(airflow_home / "dags", airflow_home)


def tasks_of(serialized):
    return {entry["__var"]["task_id"]: entry["__var"] for entry in serialized["dag"]["tasks"]}


def test_the_file_that_users_copy_has_three_lines():
    assert len([line for line in DAG_FILE.read_text().splitlines() if line]) == 3


def test_airflow_finds_no_fault_and_no_warning(loaded):
    assert (loaded["errors"], loaded["warnings"], loaded["captured"]) == ({}, [], {})


def test_parsing_imports_nothing_heavy(loaded):
    assert loaded["heavy"] == []


def test_one_airflow_task_for_each_task_under_its_own_name(loaded):
    found = set(tasks_of(loaded["dags"]["duration"]))
    assert found == {task.name for task in duration.tasks} | {"elements_of_extract", FINISH}


def test_the_structure_is_the_same_in_every_process(loaded, airflow_home):
    again = load(airflow_home / "dags", airflow_home, seed="1")
    # Airflow sorts by key before it compares.
    assert json.dumps(again["dags"], sort_keys=True) == json.dumps(loaded["dags"], sort_keys=True)


def test_health_check_comes_first_and_cleanup_last_whatever_happened(loaded):
    tasks = tasks_of(loaded["dags"]["duration"])
    downstream = {name for entry in tasks.values() for name in entry.get("downstream_task_ids", [])}
    assert set(tasks) - downstream == {"health_check"}
    assert [name for name, entry in tasks.items() if entry.get("trigger_rule") == "all_done"] == [
        "cleanup",
        FINISH,
    ]
    assert tasks["cleanup"]["downstream_task_ids"] == [FINISH]


def test_groups_become_task_groups(loaded):
    children = loaded["dags"]["duration"]["dag"]["task_group"]["children"]
    groups = {name: content[1] for name, content in children.items() if content[0] == "taskgroup"}
    assert {one["group_display_name"]: sorted(one["children"]) for one in groups.values()} == {
        "extract": ["check", "extract", "zones"],
        "train": ["evaluate", "track", "train"],
    }


def test_retries_delay_timeout_and_pool_are_the_declared_ones(loaded):
    tasks = tasks_of(loaded["dags"]["pooled"])
    fit = tasks["fit"]
    assert fit["pool"] == "gpu"
    assert fit["retries"] == 3
    assert fit["retry_delay"] == 5.0
    assert fit["retry_exponential_backoff"] == 3
    assert fit["execution_timeout"] == 90.0
    assert tasks["plain"]["retries"] == 1
    assert "retry_exponential_backoff" not in tasks["plain"]


def test_every_step_has_another_attempt_for_a_lost_worker(loaded):
    retries = {name: tasks_of(loaded["dags"][name]) for name in ("duration", "grouped", "whole")}
    found = [
        {**entry, **entry.get("partial_kwargs", {})} for tasks in retries.values() for entry in tasks.values()
    ]
    assert {entry["retries"] for entry in found} == {1, 2}
    assert retries["duration"]["train"]["retries"] == 1  # none is declared


def test_default_args_and_params_of_the_file_are_added(loaded):
    train = tasks_of(loaded["dags"]["joined"])["train"]
    assert (train["priority_weight"], train["owner"]) == (7, "baton")
    params = dict(loaded["dags"]["joined"]["dag"]["params"])
    assert {"ticket", "year", "month"} <= set(params)


def test_each_dag_has_assets_of_its_own(loaded):
    found = [tasks_of(loaded["dags"][name])["deploy"]["outlets"] for name in ("duration", "joined")]
    assert [json.dumps(outlets).count("baton://joined/deploy") for outlets in found] == [0, 1]


def test_a_param_of_the_file_that_the_pipeline_has_is_refused_by_name(project, tmp_path):
    (tmp_path / "both.py").write_text(
        "from baton.engines.airflow.dag import airflow_dag\n"
        f"dag = airflow_dag({str(project)!r}, params={{'month': 3}})\n"
    )
    ((_, error),) = load(tmp_path, tmp_path)["errors"].items()
    assert "params has 'month', which is a parameter of the pipeline" in error


CELERY = {"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"}
SHARED = {"BATON_STORE": "s3://models/baton", "BATON_TRACKING_URI": "http://mlflow.internal:5000"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (CELERY, "each would have its own store in"),
        ({**CELERY, "BATON_STORE": SHARED["BATON_STORE"]}, "each would have its own MLflow records in"),
        ({"AIRFLOW_IS_K8S_EXECUTOR_POD": "True"}, "KubernetesExecutor runs tasks on other machines"),
    ],
    ids=["no store", "no tracking server", "in a pod"],
)
def test_a_file_is_refused_where_machines_would_share_nothing(project, tmp_path, variables, said):
    (tmp_path / "shipped.py").write_text(DAG_FILE.read_text().replace("/srv/trips", str(project)))
    ((_, error),) = load(tmp_path, tmp_path, **variables)["errors"].items()
    assert said in error
    assert "hint: " in error


def test_a_file_is_taken_where_machines_share_by_address_or_by_a_named_folder(project, tmp_path):
    (tmp_path / "shipped.py").write_text(DAG_FILE.read_text().replace("/srv/trips", str(project)))
    assert load(tmp_path, tmp_path, **CELERY, **SHARED)["errors"] == {}
    named = {"BATON_STORE": str(tmp_path / "mounted"), "BATON_TRACKING_SERVER_HOST": "mlflow.internal"}
    assert load(tmp_path, tmp_path, **CELERY, **named)["errors"] == {}


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("LocalExecutor", "LocalExecutor"),
        ("LocalExecutor,CeleryExecutor", "LocalExecutor"),
        ("airflow.providers.celery.executors.celery_executor.CeleryExecutor", "CeleryExecutor"),
        ("far:my.company.RemoteExecutor;team=LocalExecutor", "RemoteExecutor"),
    ],
)
def test_the_first_executor_takes_the_tasks(setting, name):
    assert executor_of(setting, {}) == name


def test_params_are_typed_as_the_parameters_are(loaded):
    params = dict(loaded["dags"]["duration"]["dag"]["params"])
    assert params["max_depth"]["default"] == 30
    assert params["max_depth"]["schema"]["__var"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 64,
        "section": "model.params",
    }
    assert params["year"]["default"] is None
    assert params["year"]["schema"]["__var"]["type"] == ["null", "integer"]
    assert params["validation_month"]["schema"]["__var"]["type"] == ["null", "integer"]
    assert params["encoding"]["schema"]["__var"]["enum"] == ["categorical", "onehot"]
    assert params["source"]["schema"]["__var"]["type"] == "string"


def test_a_scheduled_dag_has_a_param_for_every_type_and_a_run_gets_its_value_back(loaded, project):
    params = dict(loaded["dags"]["every_type"]["dag"]["params"])
    schemas = {name: param["schema"]["__var"] for name, param in params.items()}
    assert params["months"]["default"] == [3, 4]
    assert schemas["months"]["items"]["__var"] == {"type": "integer", "minimum": 1, "maximum": 12}
    assert schemas["day"]["format"] == "date"
    assert set(schemas["maybe"]["enum"]) == {None, "a", "b"}
    assert schemas["rate"] == {
        "type": ["null", "number"],
        "exclusiveMinimum": 0,
        "section": "parameters",
    }
    typed = open_project(folder=project, options={"pipeline": "every_type:dag"}, environ={})
    told = {name: param["default"] for name, param in params.items()} | {"outs": ["a,b"], "colour": "blue"}
    chosen = options_from(typed.dag, told, None) | {"pipeline": "every_type:dag"}
    found = open_project(folder=project, options=chosen, environ={}).configuration.parameters
    assert (found.months, found.outs, found.colour.name) == ((3, 4), (Path("a,b"),), "BLUE")
    left = open_project(folder=project, options={"pipeline": "every_type:dag", "months": (3, 4)}, environ={})
    assert found == msgspec.structs.replace(
        left.configuration.parameters, outs=found.outs, colour=found.colour
    )


def test_schedule_tags_owner_text_and_hook(loaded):
    shipped, grouped = loaded["dags"]["duration"]["dag"], loaded["dags"]["grouped"]
    assert "CronDataIntervalTimetable" in shipped["timetable"]["__type"]
    assert shipped["timetable"]["__var"]["expression"] == "0 0 1 * *"
    assert shipped["catchup"] is False
    assert sorted(shipped["tags"]) == ["baton", "duration"]
    assert "Without year and month" in shipped["doc_md"]
    assert sorted(grouped["dag"]["tags"]) == ["baton", "duration", "team"]
    assert grouped["dag"]["default_args"]["__var"]["owner"] == "ana"
    assert "Register the model" in tasks_of(loaded["dags"]["duration"])["deploy"]["doc_md"]
    assert loaded["dags"]["hooked"]["dag"]["has_on_failure_callback"] is True


def test_the_deployed_model_is_an_asset_for_other_dags(loaded):
    outlets = {
        name: [one["__var"]["name"] for one in entry["outlets"]]
        for name, entry in tasks_of(loaded["dags"]["duration"]).items()
        if entry.get("outlets")
    }
    assert outlets == {"deploy": ["duration/deploy"]}


def test_granularity_group_and_run(loaded):
    grouped = set(tasks_of(loaded["dags"]["grouped"]))
    assert grouped == {*duration.groups, FINISH}
    assert set(tasks_of(loaded["dags"]["whole"])) == {"duration"}


def test_a_file_that_names_no_folder_is_an_import_error_that_says_so(tmp_path):
    (tmp_path / "shipped.py").write_text(DAG_FILE.read_text())
    ((_, error),) = load(tmp_path, tmp_path)["errors"].items()
    assert "the project's folder /srv/trips does not exist on this machine" in error


@task
def first_half() -> Json:
    """Begin a group."""
    return []


@task
def between(first_half: Json) -> Json:
    """Stand between two tasks of a group."""
    return first_half


@task(group="first_half")
def second_half(between: Json) -> Json:
    """End the group."""
    return between


def test_groups_that_need_each_other_are_refused():
    with pytest.raises(InvalidPipeline, match="'between', 'first_half' depend on each other"):
        divide(Dag("crossed", [first_half, between, second_half]), "group")


def test_the_last_step_waits_for_branches_that_still_run():
    steps = {step.name: step for step in divide(pipelines.positioned, "task")}
    assert steps["join"].upstream == ("left", "right")
    assert set(steps["tidy"].upstream) == {"left", "right", "publish"}
    assert steps[FINISH].upstream == ("tidy",)


def test_what_follows_from_other_dependencies_is_left_out():
    steps = {step.name: step for step in divide(duration.subset(), "task")}
    assert steps["evaluate"].upstream == ("train", "zones")
    assert set(steps["evaluate"].sources) > {"transform", "zones", "features"}


def test_the_first_task_that_records_makes_the_tracking_run():
    steps = divide(duration.subset(), "task")
    assert [step.name for step in steps if step.opens_tracking] == ["track"]
    assert START not in {step.name for step in steps}


def test_an_unknown_granularity_is_refused():
    with pytest.raises(UsageError, match="granularity 'tasks' does not exist"):
        divide(pipelines.chain, "tasks")  # type: ignore[arg-type]


JANUARY = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("given", "start", "expected"),
    [
        ({}, JANUARY, (2021, 1)),
        ({"year": None, "month": None}, JANUARY, (2021, 1)),
        ({"year": 2019, "month": 7}, JANUARY, (2019, 7)),
        ({}, None, (None, None)),
    ],
    ids=["the interval's month", "none is not given", "given wins", "no interval: as configured"],
)
def test_the_month_of_a_run(given, start, expected):
    options = options_from(duration, given, start)
    assert (options.get("year"), options.get("month")) == expected


def test_a_year_without_a_month_is_refused():
    with pytest.raises(UsageError, match="missing parameter month"):
        options_from(duration, {"year": 2021}, JANUARY)


def test_what_is_no_parameter_is_refused():
    with pytest.raises(UsageError, match="no parameter 'max_deph'; did you mean 'max_depth'"):
        options_from(duration, {"max_deph": 3}, None)


def test_none_is_a_value_only_where_the_parameter_allows_it():
    options = options_from(duration, {"validation_year": None, "source": None}, None)
    assert options == {"validation_year": None}


def test_a_password_in_a_parameter_does_not_become_a_default(tmp_path):
    secret = "https://user:secret@example.org/{year}-{month:02d}.parquet"
    project = open_project(folder=tmp_path, options={"url_template": secret}, environ={})
    fields = {field.name: field for field in fields_of(project.dag, project.configuration)}
    assert fields["url_template"].default is None
    assert fields["url_template"].schema["type"] == ["null", "string"]


def test_a_parameter_with_a_name_of_ours_is_refused(tmp_path):
    class Clashing(Parameters, frozen=True):
        force: bool = False

    project = open_project(folder=tmp_path, environ={})
    with pytest.raises(InvalidPipeline, match="'force'"):
        list(fields_of(Dag("clashing", [first_half], parameters=Clashing), project.configuration))


def report(name, outputs=1, fact="short"):
    made = {f"{name}_{n}": Artifact(f"{name}_{n}", "table", "a" * 64, 10**9) for n in range(outputs)}
    return TaskReport(name, Outcome.SUCCEEDED, made, "why", 1.5, (("fact", fact),), key="b" * 64)


@pytest.mark.parametrize("outputs", [0, 1, 4, 40])
def test_a_message_stays_under_1_kb_and_comes_back(tmp_path, outputs):
    store = Store(str(tmp_path / "store"), tmp_path)
    sent = Results((report("train", outputs, fact="long " * outputs),), "0123456789abcdef" * 2)
    content = to_xcom(sent, store)
    assert len(json.dumps(content)) <= MOST_BYTES
    assert from_xcom(json.loads(json.dumps(content)), store) == sent


def test_a_failure_too_long_to_pass_keeps_its_sentence(tmp_path):
    store = Store(str(tmp_path / "store"), tmp_path)
    failed = TaskReport("left", Outcome.FAILED, failure=Failure("no such month", traceback="line\n" * 500))
    short = to_xcom(Results((failed,)), store)
    assert "reports" not in short
    (told,) = reports_from({"task_id": "left", "state": "failed"}, short)
    assert told.failure.message == "no such month"


def test_messages_are_joined_in_order(tmp_path):
    joined = merge([Results((report("one"),)), Results(), Results((report("two"),), "run")])
    assert [one.task for one in joined.reports] == ["one", "two"]
    assert joined.tracking_run_id == "run"


def test_outcomes_are_ours_whatever_airflow_calls_them():
    steps = divide(pipelines.diamond, "task")
    states = {
        "source": "success",
        "left": "failed",
        "right": "success",
        "join": "upstream_failed",
        "publish": "upstream_failed",
    }
    told = Results((report("source"), report("right")))
    reports = {one.task: one for one in reports_of(pipelines.diamond, steps, told, states, {})}
    assert [reports[name].outcome.value for name in states] == [
        "succeeded",
        "failed",
        "succeeded",
        "upstream failed",
        "upstream failed",
    ]
    assert reports["left"].failure.message.startswith("its process ended without a report")


def test_what_follows_a_skipped_task_is_skipped():
    steps = divide(pipelines.chain, "task")
    reports = reports_of(pipelines.chain, steps, Results(), {"source": "skipped", "left": "skipped"}, {})
    assert [one.outcome for one in reports] == [Outcome.SKIPPED, Outcome.SKIPPED]
