"""What the engine `prefect` adds to each task of an empty flow, beside Prefect alone."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from benchmarks.empty_pipelines import REFERENCE, Shape, write_pipeline
from benchmarks.measure import Command, CommandFailed, Measured, alternate, script
from benchmarks.overhead import ms_per_task
from benchmarks.report import Figure, Section

RUNS = 5
TASKS = 64
SHAPES: tuple[Shape, ...] = ("chain", "fan-out")
BUDGET_MS = 50.0
READY_WITHIN_S = 90
ALONE = Path(__file__).with_name("prefect_way.py")

EXPLANATION = f"""\
{TASKS} tasks that return an empty list, on one Prefect server of this machine: `baton run --engine prefect`
in a new empty project, and the same flow written for Prefect alone, in turn. What is added is the
difference between the two flows, each from its first line to its last, divided by the tasks: it contains
the wait for the worker process, cache keys, objects and the summary. Whole processes are shown beside."""


def measure_prefect_overhead(runs: int | None, tell: Callable[[str], None]) -> Section:
    """Measure milliseconds that baton adds to each task of an empty Prefect flow."""
    with prefect_server() as url:
        cases = {shape: (baton_run(shape, url), prefect_alone(shape, url)) for shape in SHAPES}
        measured = alternate([command for pair in cases.values() for command in pair], runs or RUNS, tell)
    figures: list[Figure] = []
    for shape, (own, alone) in cases.items():
        with_baton, without = measured[own.name], measured[alone.name]
        added = added_ms(with_baton, without)
        figures.append(Figure(f"added to each task, {shape} of {TASKS}", "ms", added, BUDGET_MS))
        for name, found in ((own.name, with_baton), (alone.name, without)):
            figures.append(Figure(f"for each task, {name}", "ms", ms_per_task(found, TASKS)))
            figures.append(Figure(f"whole process, {name}", "s", found.wall_s))
    return Section("Overhead of a task beside Prefect's own", EXPLANATION, tuple(figures))


def added_ms(with_baton: Measured, without: Measured) -> tuple[float, ...]:
    """Return, pair by pair, by how much a task takes longer with baton, in milliseconds."""
    pairs = zip(ms_per_task(with_baton, TASKS), ms_per_task(without, TASKS), strict=True)
    return tuple(own - alone for own, alone in pairs)


def baton_run(shape: Shape, url: str) -> Command:
    """Return the command that runs an empty pipeline on the engine."""
    words = (script("baton"), "run", "--json", "--pipeline", REFERENCE, "--engine", "prefect")
    return Command(
        f"baton, {shape} of {TASKS}",
        ("env", f"PREFECT_API_URL={url}", *words),
        partial(write_pipeline, shape=shape, tasks=TASKS),
    )


def prefect_alone(shape: Shape, url: str) -> Command:
    """Return the command that runs the same flow without baton."""
    environment = ("env", f"PREFECT_API_URL={url}", "PREFECT_HOME=prefect")
    words = (*environment, sys.executable, str(ALONE), shape, str(TASKS))
    return Command(f"Prefect alone, {shape} of {TASKS}", words)


@contextmanager
def prefect_server() -> Iterator[str]:
    """Start a Prefect server on 127.0.0.1, with a home of its own, and yield its API's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}/api"
    with tempfile.TemporaryDirectory(prefix="baton-benchmark-", ignore_cleanup_errors=True) as home:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port],
            env={
                **os.environ,
                "PREFECT_HOME": home,
                "PREFECT_SERVER_MEMO_STORE_PATH": str(Path(home, "memo_store.toml")),
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "DO_NOT_TRACK": "1",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until_ready(url, server)
            yield url
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(server.pid, number)
                    server.wait(10)


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < ends and server.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=2).is_success:
                return
        time.sleep(0.2)
    raise CommandFailed("the Prefect server did not start")
