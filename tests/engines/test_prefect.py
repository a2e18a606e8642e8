"""The engine ``prefect`` on a real Prefect server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from baton import api
from baton.core.events import TaskRetried
from baton.runs.logs import read_lines
from baton.testing import EngineSuite, RecordingReporter
from tests.conftest import BATON, Command, free_port, in_a_group
from tests.engines.conftest import NAPS, Server, is_alive, mlflow_runs, read, wait_for

DIAMOND = ("--engine", "prefect", "--pipeline", "baton.testing.pipelines:diamond")


@pytest.fixture(scope="module", autouse=True)
def _on_a_server(prefect_here: None) -> None:
    """Let Prefect in this process talk to the server."""


class TestPrefect(EngineSuite):
    engine = "prefect"


def run_pipeline(
    folder: Path, pipeline: str, reporter: RecordingReporter | None = None, **chosen: Any
) -> Any:
    options = {"pipeline": pipeline, **chosen}
    project = api.open_project(folder=folder, options=options, environ={})
    return api.run(project, engine="prefect", report=reporter or RecordingReporter())


def test_a_run_is_a_flow_run_with_a_task_run_for_each_task(tmp_path: Path, server: Server) -> None:
    first = run_pipeline(tmp_path, "baton.testing.pipelines:diamond")
    second = run_pipeline(tmp_path, "baton.testing.pipelines:diamond")
    flow_run = server.flow_run(first.run_id)
    tasks = server.task_runs(flow_run["id"])
    assert flow_run["state_type"] == "COMPLETED"
    assert set(flow_run["tags"]) == {"baton", "diamond"}
    assert set(tasks) == {"source", "left", "right", "join", "publish"}
    upstream = {run["id"] for run in tasks["join"]["task_inputs"]["wait_for"]}
    assert upstream == {tasks["left"]["id"], tasks["right"]["id"]}
    again = server.task_runs(server.flow_run(second.run_id)["id"])
    assert {run["state_name"] for name, run in again.items() if name != "publish"} == {"Cached"}
    assert again["publish"]["state_name"] == "Completed"


def test_failures_are_shown_with_our_words(tmp_path: Path, server: Server) -> None:
    report = run_pipeline(tmp_path, "baton.testing.pipelines:diamond", broken="source")
    flow_run = server.flow_run(report.run_id)
    tasks = server.task_runs(flow_run["id"])
    assert flow_run["state"]["message"] == "task 'source' failed: source was told to fail"
    assert tasks["source"]["state"]["message"] == "source was told to fail\nhint: choose another task to fail"
    assert tasks["join"]["state_name"] == "UpstreamFailed"
    assert tasks["source"]["run_count"] == 1
    logs = server.post("logs/filter", logs={"flow_run_id": {"any_": [flow_run["id"]]}})
    assert "source failed: source was told to fail" in {line["message"] for line in logs}


def test_a_worker_killed_in_mid_task_is_replaced_and_the_retry_succeeds(tmp_path: Path) -> None:
    reporter = RecordingReporter()
    report = run_pipeline(tmp_path, "baton.testing.pipelines:killable", reporter, killed=True)
    assert report.is_good
    assert report.of("mortal").attempts == 2
    (retried,) = [event for event in reporter.events if isinstance(event, TaskRetried)]
    assert "code -9" in retried.message


def test_a_task_that_always_fails_is_tried_as_declared(baton: Command, prefect_server: str) -> None:
    ended = baton(
        *("run", "--engine", "prefect", "--pipeline", "baton.testing.pipelines:retried", "--failures", 9),
        PREFECT_API_URL=prefect_server,
    )
    assert ended.code == 1
    assert "attempt 1 of 3 failed" in ended.stderr
    assert "attempt 2 of 3 failed" in ended.stderr
    assert "ConnectionError: attempt 3 was refused" in ended.stderr
    assert "resume: baton run --resume" in ended.stderr


def test_a_server_that_is_down_is_told_within_ten_seconds(baton: Command) -> None:
    began = time.monotonic()
    ended = baton("run", *DIAMOND, PREFECT_API_URL=f"http://127.0.0.1:{free_port()}/api")
    assert time.monotonic() - began < 10
    assert ended.code == 4
    assert "Prefect server" in ended.stderr
    assert "hint: start one with: baton prefect up" in ended.stderr


def test_an_address_without_an_api_is_told(baton: Command, prefect_server: str) -> None:
    ended = baton("run", *DIAMOND, PREFECT_API_URL=prefect_server.removesuffix("/api"))
    assert ended.code == 4
    assert "PREFECT_API_URL must end in /api" in ended.stderr


def test_without_prefect_it_is_said_what_to_install(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['prefect'] = None; from baton.cli.app import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", hide, "run", *DIAMOND], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 4
    assert "engine 'prefect' needs packages that are not installed" in ended.stderr
    assert "pip install 'baton-ml[prefect]'" in ended.stderr


def test_without_a_server_a_temporary_one_is_told_and_ended(baton: Command, tmp_path: Path) -> None:
    ended = baton("run", *DIAMOND, PREFECT_API_URL="", PREFECT_HOME="")
    assert ended.code == 0, ended.stderr
    assert "starting a temporary Prefect server" in ended.stderr
    assert "baton prefect up" in ended.stderr
    assert len(ended.stderr.splitlines()) == 7
    assert (tmp_path / ".baton/prefect/prefect.db").exists()


@pytest.mark.parametrize(
    "temporary",
    [
        pytest.param(False, id="a server"),
        pytest.param(True, id="the temporary server", marks=pytest.mark.long),
    ],
)
def test_an_interrupt_ends_at_once_and_leaves_a_usable_store(
    tmp_path: Path, prefect_server: str, temporary: bool
) -> None:
    """As Ctrl-C on a terminal, which every process of the group gets."""
    (tmp_path / "naps.py").write_text(textwrap.dedent(NAPS))
    command = [*BATON, "run", "nap", "--engine", "prefect", "--pipeline", "naps:dag"]
    environ = {**os.environ, "PREFECT_API_URL": prefect_server, "BATON_NAP_S": "60"}
    if temporary:
        environ["PREFECT_API_URL"] = ""
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, start_new_session=True
    )
    worker = int(wait_for(lambda: read(tmp_path / "process.txt")))
    os.killpg(process.pid, signal.SIGINT)
    began = time.monotonic()
    assert process.wait(30) == 130
    assert process.stderr is not None
    assert b"interrupted" in process.stderr.read()
    process.stderr.close()
    assert time.monotonic() - began < 20
    assert not is_alive(worker)
    assert api.read_run(tmp_path / ".baton", "latest").state == "interrupted"
    again = {**environ, "PREFECT_API_URL": prefect_server, "BATON_NAP_S": "0"}
    ended = subprocess.run(command, cwd=tmp_path, env=again, capture_output=True)
    assert ended.returncode == 0


@dataclass(frozen=True)
class Deployed:
    """A deployment that is being served."""

    folder: Path
    id: str
    server: Server

    def start(self, parameters: dict[str, Any], at: str | None = None) -> str:
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at}} if at else None
        path = f"deployments/{self.id}/create_flow_run"
        return str(self.server.post(path, parameters=parameters, state=state)["id"])

    def state_of(self, flow_run_id: str) -> str:
        return str(self.server.get(f"flow_runs/{flow_run_id}")["state_type"])


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Deployed]:
    """Deploy a pipeline of naps with the real command, and serve it."""
    folder = tmp_path_factory.mktemp("deployed")
    (folder / "naps.py").write_text(textwrap.dedent(NAPS))
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "MLFLOW_"))
    }
    environ |= {"PREFECT_API_URL": prefect_server, "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    words = ("--pipeline", "naps:dag", "--name", "nightly")
    made = subprocess.run(
        [*BATON, "prefect", "deploy", *words, "--tag", "taxi"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout == "naps/nightly\n"
    server = Server(prefect_server)
    serve = [*BATON, "prefect", "serve", *words]
    with in_a_group(serve, folder=folder, log=folder / "serve.log", environ=environ):
        yield Deployed(folder, server.get("deployments/name/naps/nightly")["id"], server)


def test_a_deployment_has_a_typed_form_tags_and_a_paused_monthly_schedule(deployed: Deployed) -> None:
    deployment = deployed.server.get(f"deployments/{deployed.id}")
    fields = deployment["parameter_openapi_schema"]["properties"]
    (schedule,) = deployment["schedules"]
    assert schedule["schedule"]["cron"] == "0 6 2 * *"
    assert schedule["active"] is False
    assert set(deployment["tags"]) == {"baton", "naps", "taxi"}
    assert fields["month"]["default"] is None
    assert {"type": "integer", "minimum": 1, "maximum": 12} in fields["month"]["anyOf"]
    assert fields["nap_s"]["description"] == "seconds that a nap takes"
    assert "hidden" not in str(deployment)
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        deployed.start({"month": 13, "year": 2021})


def test_a_form_has_a_field_for_every_type_and_a_run_gets_its_value_back(tmp_path: Path) -> None:
    from prefect.exceptions import ParameterTypeError

    from baton.engines.prefect.deployed import deployed_flow, options_of_run

    (tmp_path / "every_type.py").write_text((Path(__file__).parents[1] / "every_type.py").read_text())
    pipeline = {"pipeline": "every_type:dag"}
    flow = deployed_flow(tmp_path, options={**pipeline, "months": (3, 4)})
    fields = flow.parameters.properties
    assert fields["months"]["default"] == [3, 4]
    assert fields["months"]["items"] == {"type": "integer", "minimum": 1, "maximum": 12}
    assert fields["out"]["default"] == "out"
    chosen = flow.validate_parameters({"names": ["a,b"], "out": "~", "colour": "blue", "day": "2022-01-01"})
    with pytest.raises(ParameterTypeError, match=r"months\.0"):
        flow.validate_parameters({"months": [13]})
    project = api.open_project(folder=tmp_path, options=pipeline, environ={})
    given = {**pipeline, **options_of_run(project, chosen, 0)}
    found: Any = api.open_project(folder=tmp_path, options=given, environ={}).configuration.parameters
    assert (found.months, found.names, found.out) == ((3, 4), ["a,b"], Path.home())
    assert (found.colour.name, found.day.isoformat()) == ("BLUE", "2022-01-01")


def test_a_scheduled_run_trains_the_month_that_its_time_implies(deployed: Deployed) -> None:
    server = deployed.server
    flow_run_id = deployed.start({}, at="2021-03-02T06:00:00Z")
    wait_for(lambda: deployed.state_of(flow_run_id) in ("COMPLETED", "FAILED", "CRASHED"))
    flow_run = server.get(f"flow_runs/{flow_run_id}")
    assert flow_run["state"]["message"] == "Month: 2021-01"
    assert {name: run["state_name"] for name, run in server.task_runs(flow_run_id).items()} == dict.fromkeys(
        ("here", "there", "nap", "record"), "Completed"
    )
    artifacts = server.artifacts(flow_run_id)
    record = api.read_run(deployed.folder / ".baton", flow_run["name"])
    assert record.state == "succeeded"
    assert "| Month | 2021-01 |" in artifacts["naps-summary"]
    assert record.tracking_run_id in artifacts["naps-summary"]
    assert '"outcome": "succeeded"' in str(artifacts["naps-tasks"])
    (tracked,) = mlflow_runs(deployed.folder, "naps-prefect")
    assert tracked.info.run_id == record.tracking_run_id
    assert tracked.info.status == "FINISHED"
    assert tracked.data.tags["month"] == "[2021, 1]"
    logged, _ = read_lines(deployed.folder / ".baton", flow_run["name"])
    assert [(line.task, line.text) for line in logged] == [("nap", "napping")]


def test_cancelling_stops_the_work_and_leaves_a_usable_store(deployed: Deployed) -> None:
    (deployed.folder / "process.txt").unlink(missing_ok=True)
    flow_run_id = deployed.start({"year": 2021, "month": 5, "nap_s": 120})
    worker = int(wait_for(lambda: read(deployed.folder / "process.txt")))
    deployed.server.post(f"flow_runs/{flow_run_id}/set_state", state={"type": "CANCELLING"})
    wait_for(lambda: not is_alive(worker))
    wait_for(lambda: deployed.state_of(flow_run_id) == "CANCELLED")
    name = deployed.server.get(f"flow_runs/{flow_run_id}")["name"]
    wait_for(lambda: api.read_run(deployed.folder / ".baton", name).state == "interrupted")
    report = run_pipeline(deployed.folder, "naps:dag", year=2021, month=5)
    assert report.is_good
    assert report.outcome_of("here").value == "cached"


@pytest.mark.long
def test_a_real_month_gives_the_model_of_the_simple_engine_and_is_remembered(
    tmp_path: Path, real_data: Path
) -> None:
    options = {"source": str(real_data), "year": 2021, "month": 1, "pipeline": "tripduration.pipeline:dag"}
    simple, own = tmp_path / "simple", tmp_path / "own"
    facts = {}
    for folder, engine in ((simple, "simple"), (own, "prefect")):
        folder.mkdir()
        report = api.run(api.open_project(folder=folder, options=options, environ={}), engine=engine)
        assert report.is_good
        facts[engine] = dict(report.facts)
    assert facts["prefect"]["RMSE"] == "6.6077"
    assert facts["prefect"]["Model digest"] == facts["simple"]["Model digest"]
    again = api.run(api.open_project(folder=own, options=options, environ={}), engine="prefect")
    effects = {"track", "validate", "deploy"}
    assert {task.outcome.value for task in again.tasks if task.task not in effects} == {"cached"}
    assert len(mlflow_runs(own, "nyc-taxi-experiment-prefect")) == 2
