"""What is measured of Airflow, each in a process of its own: ``python -m benchmarks.airflow_process ...``.

``run ours|theirs SHAPE TASKS`` prints the seconds of the shortest ``dag.test()`` after a first one
that paid for imports; ``parse ours|theirs`` those of reading a DAG's file once Airflow's SDK is imported.
The current folder becomes ``AIRFLOW_HOME``.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from baton.engines.airflow.environment import environment, make_database, write_dag_file
from benchmarks.empty_pipelines import MODULE, REFERENCE, Shape, write_pipeline

REPEATED = 5

OURS = """\
from pathlib import Path

from baton.engines.airflow.dag import local_dag

dag = local_dag(Path({folder!r}), {reference!r}, (), {{}})
"""

THEIRS = """\
from airflow.sdk import DAG, task


@task
def empty(made=None):
    return []


with DAG({name!r}, schedule=None) as dag:
    made = [empty.override(task_id="task_0")()]
    for number in range(1, {tasks}):
        made.append(empty.override(task_id=f"task_{{number}}")(made[{upstream}]))
"""

SHIPPED = """\
from baton.engines.airflow.dag import airflow_dag

dag = airflow_dag({folder!r})
"""


def main(arguments: list[str]) -> None:
    folder = Path.cwd()
    os.environ.update(environment(folder, os.environ, {"LOGGING__LOGGING_LEVEL": "ERROR"}))
    what, whose = arguments[:2]
    if what == "parse":
        seconds = parse(
            folder, SHIPPED.format(folder=str(folder)) if whose == "ours" else _theirs("chain", 15)
        )
    else:
        shape, tasks = cast(Shape, arguments[2]), int(arguments[3])
        run = run_ours if whose == "ours" else run_theirs
        seconds = run(folder, shape, tasks)
    print(json.dumps({"duration_s": seconds}))


def parse(folder: Path, text: str) -> float:
    """Return how long a DAG's file takes, once Airflow's SDK is there."""
    import airflow.sdk

    _ = airflow.sdk.DAG, airflow.sdk.BaseOperator, airflow.sdk.task, airflow.sdk.Param
    path = write_dag_file(folder, "parsed", text)
    began = time.perf_counter()
    runpy.run_path(str(path))
    return time.perf_counter() - began


def run_theirs(folder: Path, shape: Shape, tasks: int) -> float:
    """Time Airflow's own DAG of tasks that return an empty list."""
    path = write_dag_file(folder, MODULE, _theirs(shape, tasks))
    _prepare(folder)
    dag = runpy.run_path(str(path))["dag"]
    return _warm(dag.test)


def run_ours(folder: Path, shape: Shape, tasks: int) -> float:
    """Time the same DAG built from baton's pipeline; every task runs, none is cached."""
    write_pipeline(folder, shape, tasks)
    write_dag_file(folder, "ours", OURS.format(folder=str(folder), reference=REFERENCE))
    _prepare(folder)

    from baton.engines.airflow.dag import local_dag
    from baton.engines.airflow.part import LocalPart
    from baton.runs.execution import Execution
    from baton.runs.project import open_project

    project = open_project(folder=folder, options={"pipeline": REFERENCE}, environ={})

    def once() -> Any:
        execution = Execution.begin(project, (), "airflow")
        part = LocalPart(execution)
        return local_dag(folder, REFERENCE, execution.targets, {}, part).test()

    return _warm(once)


def _warm(run: Callable[[], Any]) -> float:
    """Return the shortest of some runs after a first one, so that a busy machine disturbs least."""
    run()
    times = []
    for _ in range(REPEATED):
        began = time.perf_counter()
        ended = run()
        times.append(time.perf_counter() - began)
        if ended.state != "success":
            raise SystemExit(f"the run ended as {ended.state}")
    return min(times)


def _prepare(folder: Path) -> None:
    from airflow import settings

    settings.initialize()  # type: ignore[no-untyped-call]  # Airflow's, without types
    make_database(folder, folder)


def _theirs(shape: Shape, tasks: int) -> str:
    upstream = "number - 1" if shape == "chain" else "0"
    return THEIRS.format(name=MODULE, tasks=tasks, upstream=upstream)


if __name__ == "__main__":
    main(sys.argv[1:])
