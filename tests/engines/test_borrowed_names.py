"""What baton takes of Prefect, Dask, Airflow and Python beyond what they document: each is still there.

This is the one list of it.  A version that moves something fails here, by its name, in seconds; the tests
of the engines then say what that breaks.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from baton.engines.airflow.environment import environment
from baton.engines.airflow.server import _PASSWORDS
from baton.engines.prefect.flow import _GENERATED
from baton.engines.prefect.logs import _is_not_thread_warning

OURS = Path(__file__).parents[2] / "src" / "baton"

NAMES = [
    # name, and who takes it
    ("atexit:_run_exitfuncs", "processes/lifecycle.py"),
    ("threading:_register_atexit", "processes/lifecycle.py"),
    ("prefect.events.worker:EventsWorker.drain_all", "engines/prefect/logs.py"),
    ("prefect.logging.handlers:APILogWorker.drain_all", "engines/prefect/logs.py"),
    ("prefect.results:ResultRecord", "engines/prefect/tasks.py"),
    ("prefect.exceptions:TerminationSignal", "engines/prefect/local.py"),
    ("prefect_dask.task_runners:DaskTaskRunner.client", "engines/prefect/dask/runner.py"),
    ("prefect.futures:PrefectWrappedFuture.wrapped_future", "engines/prefect/dask/runner.py"),
    ("distributed:Client.subscribe_topic", "engines/prefect/dask/runner.py"),
    ("distributed:Worker.log_event", "engines/prefect/dask/worker.py"),
    ("distributed:Worker.get_current_task", "engines/prefect/dask/worker.py"),
]

AIRFLOW = [
    ("airflow.settings:initialize", "engines/airflow/local.py"),
    ("airflow.api_fastapi.execution_api.versions:bundle.head_version", "engines/airflow/local.py"),
    ("airflow.api_fastapi.execution_api.routes:execution_api_router", "engines/airflow/local.py"),
    ("airflow.sdk.api.datamodels._generated:API_VERSION", "engines/airflow/local.py"),
    ("cadwyn.route_generation:_DELETED_ROUTE_TAG", "engines/airflow/local.py"),
    ("airflow.utils.db:upgradedb", "engines/airflow/environment.py"),
    ("airflow.sdk.configuration:conf.get_mandatory_value", "engines/airflow/dag.py"),
    ("airflow.sdk.exceptions:AirflowTaskTimeout", "engines/airflow/sdk.py"),
    ("airflow.sdk.exceptions:AirflowRescheduleException", "engines/airflow/sdk.py"),
]

# Airflow reads its variables when it is imported, so that it is looked into in a process of its own.
LOOK = """
import json, pkgutil, sys
from pathlib import Path
from airflow.api_fastapi.auth.managers.simple import simple_auth_manager

missing = []
for name in sys.argv[1:]:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        missing.append(name)
print(json.dumps([missing, Path(simple_auth_manager.__file__).read_text()]))
"""


def last_word(name: str) -> str:
    return name.rpartition(":")[2].rpartition(".")[2]


@pytest.mark.parametrize(("name", "user"), NAMES, ids=[name for name, _ in NAMES])
def test_a_borrowed_name_is_still_there(name: str, user: str) -> None:
    pytest.importorskip(name.partition(":")[0].partition(".")[0])
    pkgutil.resolve_name(name)
    assert last_word(name) in (OURS / user).read_text()


def test_what_is_borrowed_of_airflow_is_still_there(tmp_path: Path) -> None:
    pytest.importorskip("airflow")
    names = [name for name, _ in AIRFLOW]
    ended = subprocess.run(
        [sys.executable, "-c", LOOK, *names],
        env=environment(tmp_path, os.environ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    missing, manager = json.loads(ended.stdout.splitlines()[-1])
    assert missing == []
    assert _PASSWORDS in manager
    assert all(last_word(name) in (OURS / user).read_text() for name, user in AIRFLOW)


def test_prefects_console_handler_is_known_by_its_module() -> None:
    handlers = pytest.importorskip("prefect.logging.handlers")
    assert issubclass(handlers.PrefectConsoleHandler, logging.StreamHandler)
    assert handlers.PrefectConsoleHandler.__module__.startswith("prefect.")


def test_names_that_prefect_makes_up_are_told_from_those_of_people() -> None:
    names = pytest.importorskip("prefect.utilities.names")
    assert all(_GENERATED.fullmatch(names.generate_slug(2)) for _ in range(200))
    assert not any(map(_GENERATED.fullmatch, ("nightly", "Retrain January", "retrain-2021-01", "a-b-c")))


def test_prefects_warning_of_threads_begins_as_before() -> None:
    engine = pytest.importorskip("prefect.task_engine")
    begins = "Timeout of %s seconds configured for this task"
    assert begins in inspect.getsource(engine)
    assert begins in inspect.getsource(_is_not_thread_warning)
