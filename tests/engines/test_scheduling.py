"""One rule for what runs again and what comes to its end, whichever engine decides when."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from baton import api
from baton.core.artifact import Artifact
from baton.core.events import TaskLogged, TaskProgressed, TaskRetried, TaskStarted
from baton.core.outcome import Failure, Outcome, RunReport, TaskReport
from baton.core.task import AnyTask
from baton.engines import protocol
from baton.engines.pool import Pool
from baton.engines.protocol import Attempt, decode_answer, decode_request, encode
from baton.engines.scheduling import Schedule
from baton.runs.execution import Execution
from baton.testing import RecordingReporter

PIPELINES = """
import os
import signal
import subprocess
from baton import Dag, Json, TaskContext, TrackingRun, task

@task
def source() -> Json:
    return [1]

@task
def other() -> Json:
    return [2]

@task
def user(source: Json) -> Json:
    return source

several = Dag("several", [source, other, user])

@task(effect=True, retries=1, retry_delay_s=0)
def mortal(tracking: TrackingRun, context: TaskContext) -> Json:
    trace = context.project / "died.txt"
    if not trace.exists():
        trace.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return tracking.run_id

deadly = Dag("deadly", [mortal])

@task
def asked() -> Json:
    return subprocess.run(["cat"], capture_output=True, text=True, timeout=20, check=True).stdout

asking = Dag("asking", [asked])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project's folder with the pipelines above."""
    (tmp_path / "written.py").write_text(PIPELINES)
    return tmp_path


def run(
    folder: Path, pipeline: str, *, engine: str, jobs: int | None = None, **parameters: object
) -> tuple[RunReport, RecordingReporter]:
    options = {"pipeline": f"written:{pipeline}", **parameters}
    project = api.open_project(folder=folder, options=options, environ={})
    reporter = RecordingReporter()
    return api.run(project, engine=engine, jobs=jobs, use_cache=True, report=reporter), reporter


def test_a_task_that_has_begun_comes_to_its_end_with_what_it_needs_whatever_fails_meanwhile(
    folder: Path,
) -> None:
    """Another task fails while one runs, which then finds that its input is gone."""
    project = api.open_project(folder=folder, options={"pipeline": "written:several"}, environ={})
    good = {report.task: report for report in api.run(project, engine="simple").tasks}
    project.store.objects.remove(good["source"].outputs["source"].digest)
    begun: list[str] = []
    ends = iter(
        [
            TaskReport("other", Outcome.FAILED, failure=Failure("no")),
            TaskReport("user", Outcome.FAILED, failure=Failure("gone", is_final=True, has_lost_input=True)),
            good["user"],
        ]
    )

    def start(task: AnyTask, refused: TaskReport | None) -> TaskReport | None:
        assert refused is None
        begun.append(task.name)
        return good["source"] if task.name == "source" else None

    schedule = Schedule(Execution.begin(project, (), "make"))
    schedule.run(project.dag.order, start, lambda: next(ends), jobs=2)
    assert begun == ["source", "other", "user", "source", "user"]
    assert [end.outcome.value for end in schedule.report().tasks] == ["succeeded", "failed", "succeeded"]


def test_on_the_simple_engine_too_a_killed_worker_is_a_failed_attempt(folder: Path) -> None:
    report, reporter = run(folder, "deadly", engine="simple")
    assert report.is_good
    assert report.of("mortal").attempts == 2
    assert report.tracking_run_id
    (retried,) = [event for event in reporter.events if isinstance(event, TaskRetried)]
    assert retried.message == "a worker process ended with code -9"


def test_a_task_in_a_worker_finds_nothing_to_read_on_stdin(folder: Path) -> None:
    report, _ = run(folder, "asking", engine="make", jobs=2)
    assert report.is_good, report.of("asked").failure


def test_a_pool_that_is_closed_starts_nothing_and_has_nothing_tried_again(folder: Path) -> None:
    project = api.open_project(folder=folder, options={"pipeline": "written:asking"}, environ={})
    with Pool(Execution.begin(project, (), "make")) as pool:
        pass
    ended = pool.attempt(Attempt(task="asked", inputs=(), number=1), is_tracked=False)
    assert ended.failure == Failure("the run has ended", is_final=True)
    assert not pool.may_retry(TaskRetried("asked", 1, 2, 0.0, "no"))


MADE = Artifact("made", "json", "a" * 64, 3)
REPORT = TaskReport(
    "one", Outcome.FAILED, {"made": MADE}, "why", 1.5, (("Label", "value"),), Failure("no", "hint"), 2
)


@pytest.mark.parametrize(
    "request_",
    [
        protocol.Join(spec={"folder": "/srv", "targets": ["one"]}, modules=("json",), low_priority=True),
        Attempt(task="one", inputs=(MADE,), number=2, is_timed=True, forced="forced", tracking_run_id="0"),
        protocol.BeginTracking(),
        protocol.FinishTracking(tracking_run_id="0", good=False),
        protocol.LookFor(note="note", text="text"),
        protocol.RunInAirflow(spec={}, keep_going=True, home="home", kept="kept", log="log"),
    ],
    ids=lambda request_: type(request_).__name__,
)
def test_a_request_arrives_as_it_was_sent(request_: protocol.Request) -> None:
    assert decode_request(encode(request_)) == request_


@pytest.mark.parametrize(
    "answer",
    [
        TaskStarted("one", "it is new"),
        TaskLogged("one", "a name that is no text: \udcff"),
        TaskProgressed("one", math.inf, None, "done"),
        protocol.Ended(report=REPORT),
        protocol.Tracked(run_id="0", page="baton ui"),
        protocol.Seen(in_store=True, in_home=False),
        protocol.RunEnded(tasks=(REPORT, REPORT), tracking_run_id="0"),
        protocol.Refused(message="no", hint="yes"),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_an_answer_arrives_as_it_was_sent(answer: protocol.Answer) -> None:
    line = encode(answer)
    assert line.count(b"\n") == 1
    assert decode_answer(line) == answer
