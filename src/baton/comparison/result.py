"""What came of running one pipeline on several engines, as values."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from baton.core.dag import Dag
from baton.core.installed import wanted_packages
from baton.runs.records import RunRecord, TaskRecord


@dataclass(frozen=True, slots=True)
class EngineRun:
    """One engine's run of the pipeline.

    Parameters
    ----------
    engine : str
        Name of the engine.
    command : tuple of str
        The command that was run, fit to be shown.
    exit_code : int
        How it ended.
    wall_s : float
        Seconds from the start of the command's process to its end.
    record : RunRecord, optional
        The run's record; missing where the command ended before it began to run tasks.
    longest_chain_s : float
        Seconds of the most expensive chain of tasks that had to wait for each other.
    digests : mapping of str to str
        Digest of each output of a pure task, by artifact, in the order of the pipeline.
    experiment : str
        The tracker's experiment; empty where the pipeline is not tracked.
    metrics : mapping of str to float
        What the tracking run holds, with all digits; empty where there is none.
    store : str
        The store of its own that was kept to be looked into; empty where there is none.
    """

    engine: str
    command: tuple[str, ...]
    exit_code: int
    wall_s: float
    record: RunRecord | None
    longest_chain_s: float
    digests: Mapping[str, str]
    experiment: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    store: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the run succeeded."""
        return self.exit_code == 0

    @property
    def tasks(self) -> tuple[TaskRecord, ...]:
        """How each task ended."""
        return tuple(self.record.tasks) if self.record is not None else ()

    @property
    def in_tasks_s(self) -> float:
        """Seconds that all tasks took together."""
        return sum(task.duration_s for task in self.tasks)

    @property
    def overhead_s(self) -> float:
        """Wall time without the longest chain: what would be left if tasks ran side by side at best."""
        return max(self.wall_s - self.longest_chain_s, 0.0)

    def count(self, outcome: str) -> int:
        """Return how many tasks ended so."""
        return sum(task.outcome == outcome for task in self.tasks)

    @property
    def facts(self) -> dict[str, str]:
        """What the tasks reported for people, by label."""
        return dict(self.record.facts) if self.record is not None else {}

    @property
    def tracking_run_id(self) -> str:
        """The tracking run's id; empty where there is none."""
        return self.record.tracking_run_id if self.record is not None else ""

    @property
    def failure(self) -> str:
        """Why the run failed, in one sentence; empty where it did not."""
        if self.is_good:
            return ""
        for task in self.tasks:
            if task.outcome == "failed":
                return f"task '{task.task}' failed: {task.message}"
        return f"the command ended with exit code {self.exit_code}"

    def figure(self, label: str) -> str:
        """Return the fact called `label`, with all its digits where the tracker has a metric of that name."""
        fact = self.facts.get(label, "")
        exact = {name.casefold(): value for name, value in self.metrics.items()}.get(label.casefold())
        return fact if exact is None or not fact else repr(exact)


@dataclass(frozen=True, slots=True)
class Unusable:
    """An engine that was not run, and why."""

    engine: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Difference:
    """An artifact that is not the same on every engine.

    Parameters
    ----------
    artifact, task : str
        The artifact and the task that makes it.
    digests : mapping of str to str
        Its digest by engine.
    """

    artifact: str
    task: str
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and when the figures were taken; `load` is the mean number of busy programs before the start."""

    date: str
    system: str
    cores: int
    load: float
    python: str
    packages: Mapping[str, str]

    @classmethod
    def here(cls) -> Machine:
        """Describe this machine, now."""
        wanted = [package for package in wanted_packages() if package.version]
        return cls(
            date=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
            system=f"{platform.system()} {platform.machine()}",
            cores=os.cpu_count() or 1,
            load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
            python=platform.python_version(),
            packages={package.name: package.version for package in wanted},
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of running one pipeline on several engines.

    Parameters
    ----------
    dag : Dag
        The part of the pipeline that was run.
    targets : tuple of str
        What was asked for.
    shared : bool
        Whether the engines shared the project's store and cache.
    runs : tuple of EngineRun
        One for each engine, in the order in which they ran.
    unusable : tuple of Unusable
        Engines that were left out.
    machine : Machine
        Where it ran.
    """

    dag: Dag
    targets: tuple[str, ...]
    shared: bool
    runs: tuple[EngineRun, ...]
    unusable: tuple[Unusable, ...]
    machine: Machine

    @property
    def failed(self) -> tuple[EngineRun, ...]:
        """The runs that did not succeed."""
        return tuple(run for run in self.runs if not run.is_good)

    @property
    def first_difference(self) -> Difference | None:
        """The first artifact, in the order of the pipeline, whose digest is not the same everywhere."""
        for name, task in pure_outputs(self.dag):
            digests = {run.engine: run.digests[name] for run in self.runs if name in run.digests}
            if len(set(digests.values())) > 1:
                return Difference(name, task, digests)
        return None

    @property
    def is_good(self) -> bool:
        """Whether every engine succeeded, and none made something else."""
        return not self.failed and self.first_difference is None

    @property
    def is_identical(self) -> bool:
        """Whether several engines succeeded and all made the same."""
        return len(self.runs) - len(self.failed) > 1 and self.first_difference is None

    @property
    def verdict(self) -> str:
        """What was found, in one line."""
        if (found := self.first_difference) is not None:
            told = ", ".join(f"{digest[:12]} on {engine}" for engine, digest in found.digests.items())
            return f"different: first '{found.artifact}', made by task '{found.task}': {told}"
        good = [run for run in self.runs if run.is_good]
        if self.is_identical:
            count = len(good[0].digests)
            names = ", ".join(run.engine for run in good)
            return f"identical: {count} artifact{'s' if count != 1 else ''} on {names}"
        return f"nothing to compare: {f'only {good[0].engine}' if good else 'no engine'} came to its end"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all facts, in the order reported, the headline first."""
        found = dict.fromkeys(label for run in self.runs for label in run.facts)
        headline = [self.dag.headline] if self.dag.headline in found else []
        return tuple(dict.fromkeys([*(label for label in headline if label), *found]))


def pure_outputs(dag: Dag) -> Iterator[tuple[str, str]]:
    """Yield each output of a pure task with the task's name, in the order of the pipeline."""
    for task in dag.order:
        if not task.effect:
            yield from ((name, task.name) for name in task.outputs)


def longest_chain_s(dag: Dag, durations_s: Mapping[str, float]) -> float:
    """Return the time of the most expensive chain of tasks of which each waits for the one before.

    Tasks that come ``first`` or ``last`` wait for, or hold up, all others.
    """
    rank = {"first": 0, None: 1, "last": 2}
    ends: dict[str, float] = {}
    for task in dag.order:
        before = [up.name for up in dag.upstream_of(task)]
        before += [other.name for other in dag.tasks if rank[other.position] < rank[task.position]]
        begins = max((ends.get(name, 0.0) for name in before), default=0.0)
        ends[task.name] = begins + durations_s.get(task.name, 0.0)
    return max(ends.values(), default=0.0)
