"""Small pipelines that show every behaviour required of an engine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from baton import (
    Dag,
    File,
    InputFolder,
    Json,
    Parameters,
    Period,
    Secret,
    Skip,
    TaskContext,
    TaskError,
    TrackingRun,
    parameter,
    task,
)


class Chosen(Parameters, frozen=True):
    """Parameters of the pipelines in this module."""

    start: Annotated[int, parameter("first number")] = 1
    step: Annotated[int, parameter("from one number to the next", ge=0)] = 1
    factor: Annotated[int, parameter("factor of the left branch")] = 2
    summand: Annotated[int, parameter("summand of the right branch")] = 10
    broken: Annotated[str, parameter("task that fails")] = ""
    failures: Annotated[int, parameter("attempts that fail before one succeeds", ge=0)] = 0
    killed: Annotated[bool, parameter("whether the process is killed once in mid-task")] = False
    notes: Annotated[InputFolder, parameter("folder of texts")] = Path("notes")
    nap_s: Annotated[float, parameter("seconds that a slow task takes", ge=0)] = 0.0
    token: Annotated[Secret, parameter("a secret")] = Secret("env:SUITE_TOKEN")


class Explained(Exception):
    """An exception with a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@task
def source(start: int, broken: str) -> Json:
    """Return the first number."""
    _break_if(broken, "source")
    return [start]


@task(group="branches")
def left(source: Json, factor: int, broken: str) -> Json:
    """Multiply."""
    _break_if(broken, "left")
    return [factor * number for number in source]


@task(group="branches")
def right(source: Json, summand: int, broken: str) -> Json:
    """Add."""
    _break_if(broken, "right")
    return [summand + number for number in source]


@task(outputs=("joined", "count"))
def join(left: Json, right: Json, context: TaskContext) -> tuple[Json, Json]:
    """Combine both branches."""
    context.log(f"joining {len(left)} and {len(right)} numbers")
    context.fact("joined", left + right)
    return left + right, len(left) + len(right)


def _is_wanted(start: int) -> bool:
    return start > 1


@task(when=_is_wanted)
def conditional(start: int) -> Json:
    """Run only for a start above 1."""
    return [start]


@task
def skipping(source: Json) -> Json:
    """Skip itself for a start below 3."""
    if source[0] < 3:
        raise Skip(f"{source[0]} is below 3")
    return source


@task
def after_skips(conditional: Json, skipping: Json) -> Json:
    """Need both."""
    return conditional + skipping


@task
def fit(factor: int, context: TaskContext) -> Json:
    """Get better with each step, and end worse for a greater factor."""
    for step in (1, 2, 3):
        context.intermediate(factor / step, step)
    return {"error": factor}


@task(outputs="letters")
def log_in(token: Secret, context: TaskContext) -> Json:
    """Say a secret wherever a task can say something."""
    word = token.reveal()
    context.log(f"logging in with {word}")
    context.progress(1, 2, f"with {word}")
    context.fact("logged in with", word)
    return len(word)


@task
def be_refused(letters: Json, token: Secret) -> Json:
    """Fail with a message that holds a secret."""
    raise ValueError(f"{token.reveal()} of {letters} letters is wrong")


def _two_from(start: int, step: int) -> list[int]:
    return [start, start + step]


@task(over={"number": _two_from})
def squared(number: int) -> Json:
    """Square one number."""
    return number**2


@task(over=squared)
def halved(squared: Json) -> Json:
    """Halve one square, if it is even."""
    if squared % 2:
        raise TaskError(f"{squared} is odd")
    return squared // 2


@task(over={"note": "notes"})
def words(note: File) -> Json:
    """Count the words of one file."""
    return len(note.read_text(encoding="utf-8").split())


@task
def gathered(halved: Mapping[str, Json], words: Mapping[str, Json]) -> Json:
    """Return what was made of all elements."""
    return [halved, words]


@task
def total(products: Mapping[str, Json]) -> Json:
    """Add up each of several results."""
    return {name: sum(numbers) for name, numbers in products.items()}


@task(effect=True)
def publish(joined: Json, context: TaskContext) -> None:
    """Write the result to the project's folder, one line per run."""
    with context.product(context.project / "published.txt").open("a", encoding="utf-8") as file:
        file.write(f"{joined}\n")


@task(effect=True, position="last")
def tidy(context: TaskContext) -> None:
    """Record that it ran last."""
    (context.project / "tidied.txt").touch()


@task(effect=True, position="first")
def prepare(context: TaskContext) -> None:
    """Record that it ran first."""
    (context.project / "prepared.txt").touch()


@task(retries=2, retry_delay_s=0.01)
def flaky(failures: int, context: TaskContext) -> Json:
    """Fail a number of times, then succeed."""
    attempts = _count(context.data_dir / "attempts.txt")
    context.log(f"attempt {attempts}")
    if attempts <= failures:
        raise ConnectionError(f"attempt {attempts} was refused")
    return attempts


@task(retries=2, retry_delay_s=0.01)
def mortal(killed: bool, context: TaskContext) -> Json:
    """Kill its own process in mid-task, the first time only."""
    if killed and _count(context.data_dir / "lives.txt") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


@task(timeout_s=0.2)
def slow(nap_s: float) -> Json:
    """Take some time."""
    time.sleep(nap_s)
    return nap_s


@task
def nap_one(nap_s: float) -> Json:
    """Take some time."""
    time.sleep(nap_s)
    return 1


@task
def nap_two(nap_s: float) -> Json:
    """Take some time, in parallel with the other."""
    time.sleep(nap_s)
    return 2


@task(effect=True)
def recorded_again(recorded_id: Json, tracking: TrackingRun) -> None:
    """Add to the same tracking run from another task."""
    tracking.set_tags({"first_seen_as": recorded_id, "seen_again_as": tracking.run_id})


@task(effect=True, outputs="recorded_id")
def recorded_first(joined: Json, tracking: TrackingRun, context: TaskContext) -> Json:
    """Record the execution and return the tracking run's id."""
    tracking.log_parameters(context.provenance.parameters)
    return tracking.run_id


def _break_if(broken: str, name: str) -> None:
    if broken == name:
        raise TaskError(f"{name} was told to fail", "choose another task to fail")
    if broken == f"{name}!":
        raise ZeroDivisionError(f"{name} divided by nothing")
    if broken == f"{name}?":
        raise Explained(f"{name} failed with an exception of its own", "nothing to be done")


def _count(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("x")
    return path.stat().st_size


_times = [left.bind(f"times_{factor}", factor=factor) for factor in (2, 5)]

chain = Dag("chain", [source, left], parameters=Chosen)
diamond = Dag("diamond", [source, left, right, join, publish], parameters=Chosen, default="publish")
periodic = Dag(
    "periodic",
    [source, left, right, join, publish],
    parameters=Chosen,
    default="publish",
    period=Period("year", ["start"]),
)
positioned = Dag("positioned", [tidy, prepare, source, left, right, join, publish], parameters=Chosen)
elements = Dag("elements", [squared, halved, words, gathered], parameters=Chosen)
swept = Dag("swept", [source, *_times, total.bind("total", products=_times)], parameters=Chosen)
skips = Dag("skips", [source, conditional, skipping, after_skips, left], parameters=Chosen)
retried = Dag("retried", [flaky], parameters=Chosen)
killable = Dag("killable", [mortal], parameters=Chosen)
naps = Dag("naps", [nap_one, nap_two], parameters=Chosen)
timed = Dag("timed", [slow], parameters=Chosen)
tracked = Dag("tracked", [source, left, right, join, recorded_first, recorded_again], parameters=Chosen)
fitting = Dag("fitting", [fit], parameters=Chosen)
secretive = Dag("secretive", [log_in, be_refused], parameters=Chosen)
