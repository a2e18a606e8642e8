"""What the tests of both of Prefect's task runners share: a client of its server, and a pipeline of naps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

MEET = '''
    def meet(context, own, other):
        """Return once both are there: they run at the same time."""
        with (context.project / f"{own}.txt").open("a") as file:
            file.write("came")
        for _ in range(200):
            if (context.project / f"{other}.txt").exists():
                return own
            time.sleep(0.1)
        raise TimeoutError(f"{own} was alone")
'''

NAPS = (
    """
    import os
    import time
    from typing import Annotated

    from baton import Dag, Json, Parameters, Period, TaskContext, TrackingRun, parameter, task

    class Chosen(Parameters, frozen=True):
        year: Annotated[int, parameter("year of the month", ge=2009, le=2100)] = 2020
        month: Annotated[int, parameter("the month", ge=1, le=12)] = 1
        nap_s: Annotated[float, parameter("seconds that a nap takes", ge=0)] = 0.0
        password: Annotated[str, parameter("an address with a secret")] = "https://me:hidden@example.org/"

"""
    + MEET
    + """
    @task
    def here(context: TaskContext) -> Json:
        return meet(context, "here", "there")

    @task
    def there(context: TaskContext) -> Json:
        return meet(context, "there", "here")

    @task
    def nap(year: int, month: int, nap_s: float, context: TaskContext) -> Json:
        (context.project / "process.txt").write_text(str(os.getpid()))
        context.log("napping")
        time.sleep(nap_s)
        context.fact("Month", f"{year}-{month:02d}")
        return [year, month]

    @task(effect=True)
    def record(nap: Json, here: Json, there: Json, tracking: TrackingRun) -> None:
        tracking.set_tags({"month": str(nap)})

    period = Period("month", ("year", "month"), lag=2)
    dag = Dag("naps", [here, there, nap, record], parameters=Chosen, headline="Month", period=period)
"""
)


@pytest.fixture(scope="session")
def prefect_here(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let Prefect in this process talk to the server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", prefect_server)
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect-home")))
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        from prefect.settings import PREFECT_API_URL, temporary_settings

        with temporary_settings({PREFECT_API_URL: prefect_server}):
            yield


@dataclass(frozen=True)
class Server:
    """Asks the server what it knows."""

    url: str

    def post(self, path: str, **content: Any) -> Any:
        answer = httpx.post(f"{self.url}/{path}", json=content, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}/{path}", timeout=30).raise_for_status().json()

    def task_runs(self, flow_run_id: str) -> dict[str, Any]:
        found = self.post("task_runs/filter", flow_runs={"id": {"any_": [flow_run_id]}})
        return {run["name"]: run for run in found}

    def flow_run(self, name: str) -> Any:
        (found,) = self.post("flow_runs/filter", flow_runs={"name": {"any_": [name]}})
        return found

    def artifacts(self, flow_run_id: str) -> dict[str, Any]:
        found = self.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [flow_run_id]}})
        return {artifact["key"]: artifact["data"] for artifact in found}


@pytest.fixture
def server(prefect_server: str) -> Server:
    return Server(prefect_server)


def wait_for(what: Callable[[], Any], within_s: float = 60) -> Any:
    """Return what is found once there is something."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        found = what()
        if found:
            return found
        time.sleep(0.2)
    return pytest.fail(f"nothing within {within_s} s")


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def mlflow_runs(folder: Path, experiment: str) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/.baton/mlflow/mlflow.db")
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return client.search_runs([found.experiment_id])
