"""The engine ``airflow``: a local run with Airflow's test runner, without setup."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from baton.core.outcome import RunReport
from baton.engines.airflow.environment import (
    airflow_folder,
    environment,
    require_airflow,
    write_dag_file,
)
from baton.engines.engine import EngineOptions
from baton.engines.peer import Peer
from baton.engines.protocol import RunEnded, RunInAirflow
from baton.processes.children import stop_group
from baton.runs.execution import Execution
from baton.runs.records import has_ended

_STOP_WITHIN_S = 5.0

LOCAL_FILE = '''\
"""Written by baton for Airflow's test runner."""

from pathlib import Path

from baton.engines.airflow.dag import local_dag

dag = local_dag(Path({folder!r}), {pipeline!r}, {targets!r}, {elements!r})
'''


class AirflowEngine:
    """Runs a DAG with Airflow's test runner; `baton.engines.airflow.dag` is for its scheduler."""

    name = "airflow"
    description = "Airflow: its test runner here, its scheduler with the file in dags"
    uses_cache = True
    effects_once = False

    def check(self) -> None:
        """Raise unless a supported Airflow is installed."""
        require_airflow()

    def run(self, execution: Execution, options: EngineOptions) -> RunReport:
        """Run the tasks in one separate process, one after the other."""
        began = time.perf_counter()
        kept = airflow_folder(execution.project.home) / "local"
        home = kept / execution.run_id
        home.mkdir(parents=True)
        _remove_abandoned(kept, execution.project.home)
        text = LOCAL_FILE.format(
            folder=str(execution.project.folder),
            pipeline=execution.project.configuration.settings.baton.pipeline,
            targets=execution.targets,
            elements=execution.spec()["elements"],
        )
        write_dag_file(home, execution.dag.name, text)
        request = RunInAirflow(
            spec=execution.spec(),
            keep_going=options.keep_going,
            home=str(home),
            kept=str(kept),
            log=str(home / "airflow.log"),
        )
        ended = _ask(request, execution)
        shutil.rmtree(home, ignore_errors=True)
        duration_s = time.perf_counter() - began
        return RunReport(execution.run_id, ended.tasks, duration_s, ended.tracking_run_id)


def _remove_abandoned(kept: Path, project_home: Path) -> None:
    """Delete the folders of killed runs."""
    for home in kept.iterdir():
        if home.is_dir() and has_ended(project_home, home.name):
            shutil.rmtree(home, ignore_errors=True)


def _ask(request: RunInAirflow, execution: Execution) -> RunEnded:
    """Run the DAG in a separate process, and return how it ended."""
    quiet = {"LOGGING__LOGGING_LEVEL": "WARNING", "LOGGING__COLORED_CONSOLE_LOG": "False"}
    runner = Peer(
        "baton.engines.airflow.local",
        execution.report,
        name="Airflow's test runner",
        hint=f"see its log: {request.log}",
        environ=environment(Path(request.home), os.environ, quiet),
        leads=True,  # Ctrl-C reaches only this process, which stops the other
    )
    try:
        ended = runner.ask(request, RunEnded)
        runner.process.wait()
        return ended
    finally:
        if runner.process.poll() is None:
            stop_group(runner.process, within_s=_STOP_WITHIN_S, asking=(signal.SIGINT,))
        runner.close()
