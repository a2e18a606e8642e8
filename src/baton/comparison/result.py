"""The results of running one pipeline on several engines."""

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
        The command that was run, safe to show.
    exit_code : int
        Its exit code.
    wall_s : float
        Seconds from the start to the end of the process.
    record : RunRecord, optional
        The run's record; None if the command failed before the run started.
    longest_chain_s : float
        Seconds of the longest chain of dependent tasks.
    digests : mapping of str to str
        Digest of each output of a pure task, by artifact, in pipeline order.
    experiment : str
        The tracker's experiment; empty if the pipeline is not tracked.
    metrics : mapping of str to float
        Metrics of the tracking run in full precision; empty if there are none.
    store : str
        The separate store that was kept for inspection; empty if there is none.
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
        """Total seconds of all tasks."""
        return sum(task.duration_s for task in self.tasks)

    @property
    def overhead_s(self) -> float:
        """Wall time minus the longest chain: what would remain with perfect parallelism."""
        return max(self.wall_s - self.longest_chain_s, 0.0)

    def count(self, outcome: str) -> int:
        """Return the number of tasks with this outcome."""
        return sum(task.outcome == outcome for task in self.tasks)

    @property
    def facts(self) -> dict[str, str]:
        """Facts that the tasks reported, by label."""
        return dict(self.record.facts) if self.record is not None else {}

    @property
    def tracking_run_id(self) -> str:
        """The tracking run's id, or empty."""
        return self.record.tracking_run_id if self.record is not None else ""

    @property
    def failure(self) -> str:
        """Why the run failed, in one sentence; empty if it did not."""
        if self.is_good:
            return ""
        for task in self.tasks:
            if task.outcome == "failed":
                return f"task '{task.task}' failed: {task.message}"
        return f"the command ended with exit code {self.exit_code}"

    def figure(self, label: str) -> str:
        """Return the fact called `label`, in full precision if the tracker has a metric of that name."""
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
    """An artifact that differs between engines.

    Parameters
    ----------
    artifact, task : str
        The artifact and the task that produces it.
    digests : mapping of str to str
        Its digest by engine.
    """

    artifact: str
    task: str
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and when the figures were measured; `load` is the mean number of busy programs before."""

    date: str
    system: str
    cores: int
    load: float
    python: str
    packages: Mapping[str, str]

    @classmethod
    def here(cls) -> Machine:
        """Describe this machine now."""
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
    """The result of running one pipeline on several engines.

    Parameters
    ----------
    dag : Dag
        The part of the pipeline that was run.
    targets : tuple of str
        The requested targets.
    shared : bool
        Whether the engines shared the project's store and cache.
    runs : tuple of EngineRun
        One per engine, in the order in which they ran.
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
        """The first artifact, in pipeline order, whose digests differ."""
        for name, task in pure_outputs(self.dag):
            digests = {run.engine: run.digests[name] for run in self.runs if name in run.digests}
            if len(set(digests.values())) > 1:
                return Difference(name, task, digests)
        return None

    @property
    def is_good(self) -> bool:
        """Whether every engine succeeded and no artifact differs."""
        return not self.failed and self.first_difference is None

    @property
    def is_identical(self) -> bool:
        """Whether several engines succeeded with identical artifacts."""
        return len(self.runs) - len(self.failed) > 1 and self.first_difference is None

    @property
    def verdict(self) -> str:
        """The result in one line."""
        if (found := self.first_difference) is not None:
            shown = ", ".join(f"{digest[:12]} on {engine}" for engine, digest in found.digests.items())
            return f"different: first '{found.artifact}', made by task '{found.task}': {shown}"
        good = [run for run in self.runs if run.is_good]
        if self.is_identical:
            count = len(good[0].digests)
            names = ", ".join(run.engine for run in good)
            return f"identical: {count} artifact{'s' if count != 1 else ''} on {names}"
        return f"nothing to compare: {f'only {good[0].engine}' if good else 'no engine'} finished"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all facts, in the order reported, the headline first."""
        found = dict.fromkeys(label for run in self.runs for label in run.facts)
        headline = [self.dag.headline] if self.dag.headline in found else []
        return tuple(dict.fromkeys([*(label for label in headline if label), *found]))


def pure_outputs(dag: Dag) -> Iterator[tuple[str, str]]:
    """Yield each output of a pure task with the task's name, in pipeline order."""
    for task in dag.order:
        if not task.effect:
            yield from ((name, task.name) for name in task.outputs)


def longest_chain_s(dag: Dag, durations_s: Mapping[str, float]) -> float:
    """Return the time of the longest chain of dependent tasks.

    Tasks that come ``first`` or ``last`` block all others.
    """
    rank = {"first": 0, None: 1, "last": 2}
    ends: dict[str, float] = {}
    for task in dag.order:
        before = [up.name for up in dag.upstream_of(task)]
        before += [other.name for other in dag.tasks if rank[other.position] < rank[task.position]]
        begins = max((ends.get(name, 0.0) for name in before), default=0.0)
        ends[task.name] = begins + durations_s.get(task.name, 0.0)
    return max(ends.values(), default=0.0)
