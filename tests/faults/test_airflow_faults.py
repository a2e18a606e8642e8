"""Local runs of the engine ``airflow`` that are killed: Airflow's test runner must not live on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.conftest import BATON, free_port
from tests.faults.killed_runs import kill_runs, left_after


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.fault(
    "kill -9 on a local run of the engine `airflow`, the command alone and its whole group, 10 times",
    "no process is left; status says interrupted; the next run gives the same digests, nothing torn is taken",
)
def test_a_local_airflow_run_killed_ten_times(tmp_path: Path, environment: None) -> None:
    kill_runs(tmp_path, "airflow", 10)
    assert folders_of_runs(tmp_path) == []


@pytest.mark.long
@pytest.mark.fault("kill -9 on `baton airflow up`", "all parts of Airflow end too")
def test_airflow_ends_with_the_command_that_was_killed(tmp_path: Path, environment: None) -> None:
    port = free_port()
    up = subprocess.Popen(
        [*BATON, "airflow", "up", "--port", str(port)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert up.stderr is not None
    assert any(line.startswith("serving ") for line in up.stderr)
    assert len(left_after(0, tmp_path)) > 4
    up.kill()
    up.communicate(timeout=20)
    assert left_after(20, tmp_path) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/api/v2/version")


def folders_of_runs(project: Path) -> list[Path]:
    """Return what runs of Airflow's test runner left behind."""
    return [one for one in (project / ".baton" / "airflow" / "local").iterdir() if one.is_dir()]
