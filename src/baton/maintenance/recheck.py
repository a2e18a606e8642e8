"""Compute cached results again in a scratch store and compare, to check that the cache is right.

As in `baton.api`, nothing here prints or exits.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from baton.core.artifact import Artifact
from baton.core.events import ignore_events
from baton.core.outcome import Outcome, TaskReport
from baton.core.task import AnyTask
from baton.engines.pool import Pool
from baton.engines.protocol import Attempt
from baton.engines.scheduling import run_with_retries
from baton.errors import StoreError
from baton.maintenance.survey import digests_of
from baton.runs.execution import Execution
from baton.runs.planning import Forecast, forecast
from baton.runs.project import Project
from baton.store.first_difference import first_difference
from baton.store.index import Entry, entry_name
from baton.store.objects import name_of
from baton.store.store import Store


class Verdict(Enum):
    """What a recheck found about a cached result."""

    RIGHT = "right"
    STALE = "stale"
    NOT_DETERMINISTIC = "not deterministic"
    FAILED = "cannot be computed"
    NOT_COMPARED = "not compared"

    @property
    def is_good(self) -> bool:
        """Whether nothing wrong is known about it."""
        return self in (Verdict.RIGHT, Verdict.NOT_COMPARED)


@dataclass(frozen=True, slots=True)
class Rechecked:
    """One cached result that was computed again.

    Parameters
    ----------
    task : str
        Name of the task.
    verdict : Verdict
        What was found.
    key, run_id : str
        The result's cache key, and the run that computed it.
    duration_s : float
        How long the new computation took, in seconds.
    differences : dict of str to str
        The first difference in each output that differs: from the cached result if that is stale,
        between the two new computations if the task is not deterministic.
    message : str
        Why it could not be computed or compared; empty otherwise.
    forgotten : bool
        Whether it was deleted from the cache.
    """

    task: str
    verdict: Verdict
    key: str
    run_id: str
    duration_s: float
    differences: dict[str, str]
    message: str = ""
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Recheck:
    """The result of a recheck.

    Parameters
    ----------
    tasks : tuple of Rechecked
        The chosen tasks, in run order.
    left_out : tuple of str
        Chosen tasks that did not fit the budget.
    remembered : int
        Number of cached tasks from which they were chosen.
    seed : int
        Seed of the random choice.
    """

    tasks: tuple[Rechecked, ...]
    left_out: tuple[str, ...]
    remembered: int
    seed: int

    @property
    def is_good(self) -> bool:
        """Whether nothing wrong was found."""
        return all(one.verdict.is_good for one in self.tasks)


def recheck(
    project: Project,
    targets: Sequence[str] = (),
    *,
    share: float = 1.0,
    budget_s: float | None = None,
    seed: int | None = None,
    forget: bool = False,
    on_result: Callable[[Rechecked], None] = lambda _one: None,
) -> Recheck:
    """Compute cached results of pure tasks again, with the current code, and compare.

    They are computed in a temporary scratch store; the store itself is only read.  Results that differ are
    computed once more, in another process with another hash seed, to tell a stale result from a task that
    is not deterministic.

    Parameters
    ----------
    project : Project
        As returned by `baton.api.open_project`.
    targets : sequence of str
        Groups or tasks; if there are none, the pipeline's default target with everything it needs.
    share : float
        Share of the cached results, 0 to 1, to choose at random, at least one.
    budget_s : float, optional
        Skip tasks whose recorded duration would exceed this total of seconds.
    seed : int, optional
        Repeats an earlier random choice.
    forget : bool
        Whether to delete stale results from the cache.
    on_result : callable
        Receives each task's result as soon as it is done.

    Raises
    ------
    UsageError
        If a target does not exist.
    StoreError
        If the store cannot be read.
    """
    began = time.perf_counter()
    execution = Execution.begin(project, targets, "simple", use_cache=True, effects_once=True)
    store = project.store
    named = {task.name for target in targets for task in project.dag.members(target)}
    forecasts = forecast(execution, execution.dag.order)
    found = [
        (task, one, entry)
        for task in execution.dag.order
        if (not named or task.name in named) and (entry := _remembered(task, forecasts[task.name], store))
        for one in (forecasts[task.name],)
    ]
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    count = min(len(found), math.ceil(share * len(found)))
    chosen = sorted(random.Random(seed).sample(range(len(found)), count))  # noqa: S311 - no secret
    tasks: list[Rechecked] = []
    left_out: list[str] = []
    for task, one, entry in (found[number] for number in chosen):
        spent_s = time.perf_counter() - began
        if budget_s is not None and spent_s + entry.duration_s > budget_s:
            left_out.append(task.name)
            continue
        done = _recheck(execution, task, one.inputs, entry)
        if forget and done.verdict is Verdict.STALE:
            store.index.remove([entry_name(entry.key)])
            done = replace(done, forgotten=True)
        tasks.append(done)
        on_result(done)
    return Recheck(tuple(tasks), tuple(left_out), len(found), seed)


def _remembered(task: AnyTask, expected: Forecast, store: Store) -> Entry | None:
    if task.effect or expected.planned.would_run or expected.work is None:
        return None
    return store.entry_of(task, expected.work)


def _recheck(execution: Execution, task: AnyTask, inputs: Mapping[str, Artifact], entry: Entry) -> Rechecked:
    store = execution.project.store
    remembered = {name: Artifact.from_dict(fields) for name, fields in entry.outputs.items()}
    began = time.perf_counter()

    def end(verdict: Verdict, differences: dict[str, str] | None = None, message: str = "") -> Rechecked:
        took_s = time.perf_counter() - began
        return Rechecked(task.name, verdict, entry.key, entry.run_id, took_s, differences or {}, message)

    with _scratch(execution, inputs) as one:
        first = run_with_retries(task, inputs, one.task_run)
        if first.outcome is not Outcome.SUCCEEDED:
            return end(Verdict.FAILED, message=first.failure.message if first.failure else "")
        if first.unremembered:
            return end(Verdict.NOT_COMPARED, message=first.unremembered)
        if _is_same(first.outputs, remembered):
            return end(Verdict.RIGHT)
        with _scratch(execution, inputs) as other:
            second = _in_another_process(other, task, inputs)
            if second.outcome is not Outcome.SUCCEEDED:
                return end(Verdict.FAILED, message=second.failure.message if second.failure else "")
            stores = one.project.store, other.project.store
            if not _is_same(first.outputs, second.outputs):
                return end(
                    Verdict.NOT_DETERMINISTIC, _differences(task, first.outputs, second.outputs, stores)
                )
        return end(Verdict.STALE, _differences(task, remembered, first.outputs, (store, one.project.store)))


@contextmanager
def _scratch(execution: Execution, inputs: Mapping[str, Artifact]) -> Iterator[Execution]:
    """Yield the execution with a temporary store that holds the inputs."""
    project = execution.project
    parent = project.folders.scratch
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="recheck-", dir=parent))
    try:
        spec = execution.spec()
        places = {
            "home": str(folder),
            "store": str(folder / "store"),
            "data_dir": str(project.data_dir),
            "models_dir": str(project.models_dir),
        }
        options = {**spec["options"], **places}
        made = Execution.join({**spec, "options": options, "use_cache": False}, ignore_events)
        _link_inputs(project.store, made.project.store, inputs)
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _link_inputs(store: Store, scratch: Store, inputs: Mapping[str, Artifact]) -> None:
    """Put the objects of inputs into a scratch store, as links if possible."""
    listed = {"inputs": {name: artifact.as_dict() for name, artifact in inputs.items()}}
    root = scratch.objects.local_folder("")
    assert root is not None
    for digest in digests_of(listed, store.objects.place)["inputs"]:
        path = store.objects.path_of(digest)
        place = root / name_of(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.hardlink_to(path)
        except OSError:  # another file system
            shutil.copyfile(path, place)


def _in_another_process(execution: Execution, task: AnyTask, inputs: Mapping[str, Artifact]) -> TaskReport:
    """Compute a task in a process with another hash seed, so that sets have another order."""
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    attempt = Attempt(task=task.name, inputs=tuple(inputs.values()), number=1, is_timed=True)
    with Pool(execution, environ={**os.environ, "PYTHONHASHSEED": other}) as pool:
        return pool.attempt(attempt, is_tracked=False)


def _is_same(one: Mapping[str, Artifact], other: Mapping[str, Artifact]) -> bool:
    return {name: made.identity for name, made in one.items()} == {
        name: made.identity for name, made in other.items()
    }


def _differences(
    task: AnyTask,
    one: Mapping[str, Artifact],
    other: Mapping[str, Artifact],
    stores: tuple[Store, Store],
) -> dict[str, str]:
    found = {}
    for name, kind in task.outputs.items():
        if one[name].identity == other[name].identity:
            continue
        if one[name].digest == other[name].digest:
            found[name] = "the code that it refers to"
            continue
        try:
            paths = [
                store.objects.path_of(made[name].digest)
                for store, made in zip(stores, (one, other), strict=True)
            ]
        except StoreError as error:
            found[name] = error.message
            continue
        found[name] = first_difference(kind, paths[0], paths[1])
    return found
