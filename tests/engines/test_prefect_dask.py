"""The engine ``prefect`` with its Dask task runner, on a real cluster of two worker processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from baton import api
from baton.core.events import TaskLogged, TaskRetried
from baton.core.outcome import RunReport
from baton.engines.prefect.dask.cluster import temporary_cluster
from baton.errors import Unavailable
from baton.testing import EngineSuite, RecordingReporter
from tests.conftest import BATON, Command, free_port, in_a_group, stop_group
from tests.engines.conftest import MEET, NAPS, Server, is_alive, mlflow_runs, read, wait_for

PIECES = (
    """
    import os
    import signal
    import time

    from baton import Dag, Json, Parameters, TaskContext, task

    def lineage():
        return [os.getpid(), os.getppid()]
"""
    + MEET
    + """
    @task
    def here(context: TaskContext) -> Json:
        meet(context, "here", "there")
        return lineage()

    @task
    def there(context: TaskContext) -> Json:
        context.log("there was said")
        meet(context, "there", "here")
        return lineage()

    @task
    def deserted(here: Json, there: Json, context: TaskContext) -> Json:
        trace = context.project / "deserted.txt"
        if not trace.exists():
            trace.write_text(str(os.getpid()))
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(120)
        return "done"

    @task
    def nap(context: TaskContext) -> Json:
        (context.project / "process.txt").write_text(" ".join(map(str, lineage())))
        time.sleep(120)
        return "slept"

    meeting = Dag("meeting", [here, there])
    desertion = Dag("desertion", [here, there, deserted])
    napping = Dag("napping", [nap])
"""
)


@pytest.fixture(scope="module", autouse=True)
def _on_a_server(prefect_here: None) -> None:
    """Let Prefect in this process talk to the server."""


@pytest.fixture(scope="module")
def cluster(prefect_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Dask cluster of two worker processes and yield its scheduler's address."""
    with temporary_cluster(2, tmp_path_factory.mktemp("dask") / "dask.log") as address:
        yield address


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    """Return a project's folder with the pipelines above."""
    (tmp_path / "pieces.py").write_text(textwrap.dedent(PIECES))
    return tmp_path


def run_on(
    address: str,
    folder: Path,
    *targets: str,
    pipeline: str,
    reporter: RecordingReporter | None = None,
    **chosen: Any,
) -> RunReport:
    options = {"pipeline": pipeline, "task_runner": "dask", "dask_address": address, **chosen}
    project = api.open_project(folder=folder, options=options, environ={})
    return api.run(project, targets, engine="prefect", report=reporter or RecordingReporter())


@pytest.mark.long
class TestPrefectOnDask(EngineSuite):
    engine = "prefect"

    @pytest.fixture(autouse=True)
    def _take_cluster(self, cluster: str) -> None:
        self.address = cluster

    def run(self, folder: Path, pipeline: str, *targets: str, **chosen: Any) -> RunReport:
        return super().run(
            folder, pipeline, *targets, task_runner="dask", dask_address=self.address, **chosen
        )


def test_independent_tasks_run_at_once_in_processes_of_two_dask_workers(pieces: Path, cluster: str) -> None:
    reporter = RecordingReporter()
    report = run_on(cluster, pieces, pipeline="pieces:meeting", reporter=reporter)
    assert report.is_good
    lineages = [
        json.loads((pieces / ".baton/store/objects" / made.digest[:2] / made.digest).read_bytes())
        for made in report.artifacts.values()
    ]
    (one, its_worker), (other, others_worker) = lineages
    assert len({one, other, its_worker, others_worker, os.getpid()}) == 5
    assert [event.message for event in reporter.events if isinstance(event, TaskLogged)] == ["there was said"]


def test_events_come_in_their_order(tmp_path: Path, cluster: str) -> None:
    reporter = RecordingReporter()
    run_on(cluster, tmp_path, pipeline="baton.testing.pipelines:chain", reporter=reporter)
    kinds = [type(event).__name__ for event in reporter.events]
    assert kinds == ["RunStarted", "RunKnownAs", *(["TaskStarted", "TaskFinished"] * 2), "RunFinished"]


def test_the_server_draws_the_dependencies_and_has_the_logs(
    tmp_path: Path, cluster: str, prefect_server: str
) -> None:
    server = Server(prefect_server)
    report = run_on(cluster, tmp_path, pipeline="baton.testing.pipelines:diamond")
    flow_run = server.flow_run(report.run_id)
    tasks = server.task_runs(flow_run["id"])
    assert {run["state_name"] for run in tasks.values()} == {"Completed"}
    upstream = {run["id"] for run in tasks["join"]["task_inputs"]["wait_for"]}
    assert upstream == {tasks["left"]["id"], tasks["right"]["id"]}
    logs = server.post("logs/filter", logs={"flow_run_id": {"any_": [flow_run["id"]]}})
    said = {line["task_run_id"] for line in logs if line["message"].startswith("runs: ")}
    assert said == {run["id"] for run in tasks.values()}


def test_a_process_killed_in_mid_task_is_replaced_and_the_retry_succeeds(
    tmp_path: Path, cluster: str
) -> None:
    reporter = RecordingReporter()
    report = run_on(
        cluster, tmp_path, pipeline="baton.testing.pipelines:killable", reporter=reporter, killed=True
    )
    assert report.is_good
    assert report.of("mortal").attempts == 2
    (retried,) = [event for event in reporter.events if isinstance(event, TaskRetried)]
    assert "code -9" in retried.message


def test_a_dask_worker_killed_in_mid_task_takes_its_process_along_and_dask_runs_the_task_again(
    pieces: Path, cluster: str
) -> None:
    report = run_on(cluster, pieces, pipeline="pieces:desertion")
    assert report.is_good
    # Each worker held the end of one of these: what ended well is not run again.
    assert read(pieces / "here.txt") == read(pieces / "there.txt") == "came"
    wait_for(lambda: not is_alive(int(read(pieces / "deserted.txt"))))


def test_changed_code_is_read_by_a_cluster_that_ran_the_code_before(pieces: Path, cluster: str) -> None:
    code = (pieces / "pieces.py").read_text()
    before = run_on(cluster, pieces, pipeline="pieces:meeting")
    (pieces / "pieces.py").write_text(code.replace("return lineage()", 'return "another"'))
    ended = subprocess.run(
        [
            *(*BATON, "run", "--engine", "prefect", "--task-runner", "dask", "--dask-address", cluster),
            *("--pipeline", "pieces:meeting", "--json"),
        ],
        cwd=pieces,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    after = {task["task"]: task for task in json.loads(ended.stdout)["tasks"]}
    assert after["here"]["outcome"] == "succeeded"
    assert after["here"]["outputs"]["here"]["digest"] != before.artifacts["here"].digest


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['prefect_dask'] = None; from baton.cli.app import main; main()"
    words = ("run", "--engine", "prefect", "--task-runner", "dask")
    ended = subprocess.run(
        [sys.executable, "-c", hide, *words, "--pipeline", "baton.testing.pipelines:chain"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 4
    assert "task runner 'dask' needs packages that are not installed" in ended.stderr
    assert "pip install 'baton-ml[dask]'" in ended.stderr


def test_an_address_for_another_task_runner_is_not_passed_over(baton: Command, prefect_server: str) -> None:
    ended = baton(
        *("run", "--engine", "prefect", "--dask-address", "tcp://127.0.0.1:8786"),
        *("--pipeline", "baton.testing.pipelines:chain"),
        PREFECT_API_URL=prefect_server,
    )
    assert ended.code == 2
    assert "dask_address is set, but task_runner is 'threads'" in ended.stderr


@pytest.mark.parametrize("kind", ["nobody", "no scheduler", "no address"])
def test_an_address_without_a_scheduler_is_told_within_ten_seconds(
    baton: Command, prefect_server: str, kind: str
) -> None:
    address = {
        "nobody": f"tcp://127.0.0.1:{free_port()}",
        "no scheduler": f"tcp://{prefect_server.removeprefix('http://').removesuffix('/api')}",
        "no address": "nonsense://here",
    }[kind]
    began = time.monotonic()
    ended = baton(
        *("run", "--engine", "prefect", "--task-runner", "dask", "--dask-address", address),
        *("--pipeline", "baton.testing.pipelines:chain"),
        PREFECT_API_URL=prefect_server,
    )
    assert time.monotonic() - began < 10
    assert ended.code == 4, ended.stderr
    assert f"the Dask scheduler at {address} cannot be used: " in ended.stderr
    assert "hint: start one with: dask scheduler" in ended.stderr
    assert "Traceback" not in ended.stderr


@contextmanager
def dask_process(command: str, *arguments: str, cwd: Path, **environ: str) -> Iterator[Any]:
    """Run one of Dask's own commands in a group of its own."""
    with (cwd / f"{command}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", command, *arguments],
            cwd=cwd,
            env={**os.environ, **environ},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            stop_group(process)


def workers_of(address: str) -> set[str]:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return set(client.scheduler_info(n_workers=-1)["workers"])


def test_a_worker_that_does_not_see_the_store_is_refused(tmp_path: Path, cluster: str) -> None:
    """As on another machine: what is one folder by its name is two."""
    elsewhere, own = tmp_path / "elsewhere", tmp_path / "own"
    elsewhere.mkdir()
    own.mkdir()
    before = workers_of(cluster)
    with dask_process("worker", cluster, "--no-dashboard", cwd=elsewhere, BATON_PROJECT=str(elsewhere)):
        wait_for(lambda: workers_of(cluster) - before)
        with pytest.raises(Unavailable, match="does not see the store") as refused:
            run_on(cluster, own, pipeline="baton.testing.pipelines:chain")
        assert "--store URL" in refused.value.hint
        shared = f"file://{tmp_path}/shared"
        assert run_on(cluster, own, pipeline="baton.testing.pipelines:chain", store=shared).is_good
        with pytest.raises(Unavailable, match="does not see MLflow's records"):
            run_on(cluster, own, pipeline="baton.testing.pipelines:tracked", store=shared)
    wait_for(lambda: workers_of(cluster) == before)
    assert not list(own.glob(".baton/*.note"))
    assert not list((tmp_path / "shared").glob("*.note"))


def test_a_scheduler_without_workers_is_told(tmp_path: Path, prefect_here: None) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    port = address.rpartition(":")[2]
    with dask_process("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard", cwd=tmp_path):
        with pytest.raises(Unavailable, match="has no workers") as refused:
            run_on(address, tmp_path, pipeline="baton.testing.pipelines:chain")
        assert f"dask worker {address}" in refused.value.hint


def start_nap(folder: Path, *options: str, **environ: str) -> subprocess.Popen[bytes]:
    words = ("run", "--engine", "prefect", "--task-runner", "dask", "--pipeline", "pieces:napping")
    return subprocess.Popen(
        [*BATON, *words, *options],
        cwd=folder,
        env={**os.environ, **environ},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def test_an_interrupt_ends_the_runs_own_cluster_and_leaves_no_process(pieces: Path) -> None:
    process = start_nap(pieces, "-j", "2")
    task, worker = map(int, wait_for(lambda: read(pieces / "process.txt")).split())
    started = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr is not None
    assert b"interrupted" in process.stderr.read()
    process.stderr.close()
    assert {task, worker} < {one.pid for one in started}
    wait_for(lambda: not any(one.is_running() for one in started), within_s=10)
    assert api.read_run(pieces / ".baton", "latest").state == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_flow_that_ends_takes_its_work_from_a_cluster_that_stays(
    pieces: Path, cluster: str, number: int
) -> None:
    process = start_nap(pieces, "--dask-address", cluster)
    task, worker = map(int, wait_for(lambda: read(pieces / "process.txt")).split())
    process.send_signal(number)
    process.wait(30)
    assert process.stderr is not None
    process.stderr.close()
    wait_for(lambda: not is_alive(task), within_s=10)
    assert is_alive(worker)
    assert run_on(cluster, pieces, pipeline="pieces:meeting").is_good


def test_a_scheduler_that_dies_ends_the_run(pieces: Path) -> None:
    with temporary_cluster(1, pieces / "dask.log") as address:
        process = start_nap(pieces, "--dask-address", address)
        wait_for(lambda: read(pieces / "process.txt"))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 4
    assert b"the Dask scheduler at" in said
    assert b"Traceback" not in said


@pytest.mark.long
def test_a_deployment_runs_on_the_cluster_that_it_names_and_is_cancelled_there(
    tmp_path: Path, cluster: str, prefect_server: str
) -> None:
    (tmp_path / "naps.py").write_text(textwrap.dedent(NAPS))
    server = Server(prefect_server)
    environ = {**os.environ, "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    words = ("--pipeline", "naps:dag", "--name", "spread")
    subprocess.run(
        [*BATON, "prefect", "deploy", *words, "--task-runner", "dask", "--dask-address", cluster],
        cwd=tmp_path,
        env=environ,
        check=True,
    )
    serve = [*BATON, "prefect", "serve", *words]
    with in_a_group(serve, folder=tmp_path, log=tmp_path / "serve.log", environ=environ):
        path = f"deployments/{server.get('deployments/name/naps/spread')['id']}/create_flow_run"
        good = server.post(path, parameters={"year": 2021, "month": 1})["id"]
        wait_for(lambda: server.get(f"flow_runs/{good}")["state_type"] in ("COMPLETED", "FAILED", "CRASHED"))
        assert server.get(f"flow_runs/{good}")["state"]["message"] == "Month: 2021-01"
        (tmp_path / "process.txt").unlink()
        napping = server.post(path, parameters={"year": 2021, "month": 5, "nap_s": 120})["id"]
        task = int(wait_for(lambda: read(tmp_path / "process.txt")))
        server.post(f"flow_runs/{napping}/set_state", state={"type": "CANCELLING"})
        wait_for(lambda: not is_alive(task))
        wait_for(lambda: server.get(f"flow_runs/{napping}")["state_type"] == "CANCELLED")


@pytest.mark.long
def test_a_real_month_gives_the_model_of_the_simple_engine_and_is_remembered(
    tmp_path: Path, real_data: Path, cluster: str
) -> None:
    """With a store that both name by its URL; another store shows that simple computes the same."""
    options = {"source": str(real_data), "year": 2021, "month": 1, "pipeline": "tripduration.pipeline:dag"}
    shared = f"file://{tmp_path}/store"
    own, simple = tmp_path / "own", tmp_path / "simple"
    for folder in (own, simple):
        folder.mkdir()

    def run_simple(**chosen: Any) -> RunReport:
        project = api.open_project(folder=simple, options={**options, **chosen}, environ={})
        return api.run(project, ("evaluate",), engine="simple", use_cache=True)

    report = run_on(cluster, own, store=shared, **options)
    assert report.is_good
    assert dict(report.facts)["RMSE"] == "6.6077"
    assert len(mlflow_runs(own, "nyc-taxi-experiment-prefect")) == 1
    again = run_on(cluster, own, "evaluate", store=shared, **options)
    assert {task.outcome.value for task in again.tasks} == {"cached"}
    assert {task.outcome.value for task in run_simple(store=shared).tasks} == {"cached"}
    computed = run_simple(store=str(tmp_path / "another"))
    assert {task.outcome.value for task in computed.tasks} == {"succeeded"}
    made = {name: artifact.digest for name, artifact in report.artifacts.items()}
    assert {name: made[name] for name in computed.artifacts} == {
        name: artifact.digest for name, artifact in computed.artifacts.items()
    }
    assert made["reference_booster"] == dict(report.facts)["Model digest"]
