"""Kill runs of the real command at random moments, and look at what the next run finds."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.conftest import BATON
from tests.faults.test_make_faults import PIPELINE, digests, ended, torn_objects

SLOWER = PIPELINE.replace("time.sleep(0.01)", "time.sleep(0.1)")
"""Tasks that take part of a second, so that moments spread over a run fall into them too."""

GONE_WITHIN_S = 10


def start(
    folder: Path, engine: str, environ: Mapping[str, str], *options: str, pipeline: str = "faults:dag"
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*BATON, "run", "--pipeline", pipeline, "--engine", engine, "--json", *options],
        cwd=folder,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def kill_runs(folder: Path, engine: str, kills: int, **environ: str) -> None:
    """Kill runs, by turns the command alone and its whole group, and check all that must hold."""
    (folder / "faults.py").write_text(SLOWER)
    expected = digests(ended(start(folder, engine, environ)))  # what is made once only, is made here
    began = time.monotonic()
    assert digests(ended(start(folder, engine, environ, "--no-cache"))) == expected
    whole_s = time.monotonic() - began  # of this machine now, so that the kills fall into the runs
    chance = random.Random(20261125)
    moments = [0.15 + 0.8 * (number + chance.random()) / kills for number in range(kills)]
    chance.shuffle(moments)
    hit = 0
    for number, moment in enumerate(moments):
        for entry in (folder / ".baton" / "store").glob("index/*/*.json"):
            entry.unlink()  # begin from nothing, so that every task can be hit
        before = states(folder)
        run = start(folder, engine, environ)
        time.sleep(moment * whole_s)
        if number % 2:
            os.killpg(run.pid, signal.SIGKILL)
        else:
            run.kill()
        run.communicate(timeout=GONE_WITHIN_S)  # nobody holds its streams any more
        hit += run.returncode == -signal.SIGKILL
        assert left_after(GONE_WITHIN_S, folder) == [], (number, moment)
        after = {name: state for name, state in states(folder).items() if name not in before}
        told = "interrupted" if run.returncode == -signal.SIGKILL else "succeeded"
        # A kill as soon as this may come before the run has a record, or just after its record was done.
        assert set(after.values()) <= {told, "succeeded"}, (number, moment, after)
        assert digests(ended(start(folder, engine, environ))) == expected, (number, moment)
        assert (folder / "told.txt").read_text() == str(4 * 150_000 * 6)
        assert torn_objects(folder) == []
        assert not list((folder / ".baton" / "store").glob("locks/*"))
    assert hit > kills / 2, "hardly any run was hit"


def states(folder: Path) -> dict[str, str]:
    """Return the state of each run as ``baton status`` tells it."""
    told = subprocess.run(
        [*BATON, "status", "--pipeline", "faults:dag", "--json", "-n", "1000"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert told.returncode == 0, told.stderr
    return {run["run_id"]: run["state"] for run in json.loads(told.stdout)}


def left_after(within_s: float, folder: Path) -> list[str]:
    """Return what still runs in a folder after some seconds."""
    ends = time.monotonic() + within_s
    while (alive := processes_in(folder)) and time.monotonic() < ends:
        time.sleep(0.1)
    return alive


def processes_in(folder: Path) -> list[str]:
    return [
        f"{one.pid} {one.info['cmdline']}"
        for one in psutil.process_iter(["cwd", "cmdline", "status"])
        if one.info["cwd"] == str(folder) and one.info["status"] != psutil.STATUS_ZOMBIE
    ]
