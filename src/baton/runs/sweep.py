"""A sweep: trials of one pipeline with different parameters, and the best of them.

A trial is its parameters, and so its cache keys: a sweep keeps no state.  Called again, it suggests the same
trials in the same order, takes those that are done from the cache, and continues.
"""

from __future__ import annotations

import hashlib
import json
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from baton.core.artifact import Artifact
from baton.core.dag import Dag
from baton.core.outcome import RunReport
from baton.core.parameters import leaves
from baton.core.pruning import Bar, Curve, is_pruned
from baton.core.task import AnyTask
from baton.core.values import as_plain, as_text
from baton.errors import ExtraMissing, SettingsError, TaskError, UsageError, nearest
from baton.runs.backfill import done_before
from baton.runs.execution import Execution, record_run
from baton.runs.project import Project
from baton.runs.space import Space, combinations
from baton.runs.turns import Turns

if TYPE_CHECKING:
    import optuna

    from baton.store.store import Store
    from baton.tracking.mlflow import MlflowRun, MlflowTracker

Sampler = Literal["grid", "random", "optuna"]
SAMPLERS: tuple[Sampler, ...] = ("grid", "random", "optuna")
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Objective:
    """What the trials are compared by: a number in a Json artifact.

    Parameters
    ----------
    artifact : str
        Name of the artifact.
    path : tuple of str
        The keys that lead to the number.
    minimise : bool
        Whether less is better.
    """

    artifact: str
    path: tuple[str, ...]
    minimise: bool

    def __str__(self) -> str:
        """Return the objective as it is written."""
        return ".".join((self.artifact, *self.path))

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """What Optuna calls the direction."""
        return "minimize" if self.minimise else "maximize"

    @property
    def metric(self) -> str:
        """The number's name for a table."""
        return (self.path or (self.artifact,))[-1]

    def maker(self, dag: Dag) -> AnyTask:
        """Return the task that makes the artifact.

        Raises
        ------
        UsageError
            If there is none, or the artifact is not of the kind Json.
        """
        found = dag.producers.get(self.artifact)
        if found is None:
            raise UsageError(
                f"pipeline '{dag.name}' has no artifact '{self.artifact}'"
                f"{nearest(self.artifact, dag.producers)}",
                "name a number in an artifact of the kind Json, such as evaluation.metrics.rmse",
            )
        kind = found.outputs[self.artifact].name
        if kind != "json":
            raise UsageError(
                f"artifact '{self.artifact}' is a {kind}, which holds no number by name",
                "name a number in an artifact of the kind Json",
            )
        return found

    def require_in(self, dag: Dag) -> None:
        """Check that a DAG makes the artifact, and has no effect.

        Raises
        ------
        UsageError
            If it does not, or has one.
        """
        if self.artifact not in dag.producers:
            raise UsageError(
                f"the target does not make '{self.artifact}'", "leave it out, or name a later one"
            )
        effects = [task.name for task in dag.order if task.effect]
        if effects:
            raise UsageError(
                f"a sweep runs no effects, but its target needs '{effects[0]}'",
                f"leave the target out: the trials end with {self.maker(dag).name}",
            )

    def trial(self, number: int, parameters: Mapping[str, Any], ended: RunReport, store: Store) -> Trial:
        """Return the trial of a run that ended."""
        artifact = ended.artifacts.get(self.artifact)
        if artifact is None:
            failed = next((task for task in ended.tasks if task.failure is not None), None)
            pruned = next((task.reason for task in ended.tasks if is_pruned(task.reason)), "")
            problem = f"{failed.task}: {failed.failure.message}" if failed and failed.failure else "skipped"
            return Trial(number, parameters, ended, {}, pruned or problem, is_pruned=bool(pruned))
        value = json.loads(store.objects.path_of(artifact.digest).read_bytes())
        try:
            return Trial(number, parameters, ended, self.numbers(value), artifact=artifact)
        except TaskError as error:
            return Trial(number, parameters, ended, {}, error.message, artifact)

    def numbers(self, value: Any) -> dict[str, float]:
        """Return the number by its name, first, and the other numbers beside it.

        Raises
        ------
        UsageError
            If it does not exist.
        TaskError
            If it is no finite number.
        """
        where, beside = value, {}
        for depth, key in enumerate(self.path):
            if not isinstance(where, dict) or key not in where:
                place = ".".join((self.artifact, *self.path[:depth]))
                known = [str(one) for one in where] if isinstance(where, dict) else []
                raise UsageError(
                    f"{place} has no '{key}'{nearest(key, known)}",
                    f"it has {', '.join(known)}" if known else f"it is {as_text(where)[:60]}",
                )
            beside = where
            where = where[key]
        if isinstance(where, bool) or not isinstance(where, int | float) or not math.isfinite(where):
            raise TaskError(f"{self} is {as_text(where)[:60]!r}, no finite number", "name a number")
        others = {name: float(one) for name, one in beside.items() if type(one) in (int, float)}
        return {self.metric: float(where), **others}


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of a sweep.

    Parameters
    ----------
    number : int
        Its place in the sweep, from 1.
    parameters : mapping of str to Any
        The values of the parameters that the sweep varies.
    run : RunReport
        How its tasks ended; without a run's id if all were done before.
    numbers : mapping of str to float
        The objective by its name, and the numbers beside it; empty if the trial failed.
    problem : str
        Why the trial failed or was pruned; empty if it succeeded.
    artifact : Artifact, optional
        The artifact with the objective.
    is_pruned : bool
        Whether it was ended because it was hopeless.
    curve : Curve
        What it reported after each step of training, if the sweep prunes.
    """

    number: int
    parameters: Mapping[str, Any]
    run: RunReport
    numbers: Mapping[str, float]
    problem: str = ""
    artifact: Artifact | None = None
    is_pruned: bool = False
    curve: Curve = ()

    @property
    def has_failed(self) -> bool:
        """Whether something went wrong."""
        return bool(self.problem) and not self.is_pruned

    @property
    def failed_tasks(self) -> set[str]:
        """The names of the tasks that failed."""
        return {task.task for task in self.run.tasks if task.failure is not None}

    @property
    def did_run(self) -> bool:
        """Whether there was anything to run."""
        return bool(self.run.run_id)

    def value(self, objective: Objective) -> float | None:
        """Return the objective; None if the trial failed."""
        return self.numbers.get(objective.metric)


def best_of(trials: Sequence[Trial], objective: Objective) -> Trial | None:
    """Return the best trial, the first of equally good ones; None if all failed."""
    good = [trial for trial in trials if not trial.problem]
    sign = 1 if objective.minimise else -1
    return min(good, key=lambda trial: (sign * trial.numbers[objective.metric], trial.number), default=None)


class Suggestions:
    """Suggests the parameters of trials: the same ones in each process, given the same results.

    Parameters
    ----------
    spaces : sequence of Space
        What is varied.
    objective : Objective
        What is compared.
    sampler : str
        ``"grid"``, or a sampler of Optuna: ``"random"``, or ``"optuna"`` for TPE.
    trials : int, optional
        The number of trials; all combinations for the grid unless given.
    seed : int
        Seed of the random numbers.

    Raises
    ------
    UsageError
        If the number of trials is needed but not given, or the grid has a range.
    ExtraMissing
        If Optuna is needed but not installed.
    """

    def __init__(
        self,
        spaces: Sequence[Space],
        objective: Objective,
        sampler: Sampler,
        trials: int | None,
        seed: int,
    ) -> None:
        self._spaces = spaces
        self._grid = combinations(spaces) if sampler == "grid" else []
        if sampler != "grid" and trials is None:
            raise UsageError(f"the sampler '{sampler}' needs a number of trials", "set it: --trials 30")
        self.count = min(trials or len(self._grid), len(self._grid)) if sampler == "grid" else trials or 0
        self.learns = sampler == "optuna"
        """Whether a suggestion depends on the results of earlier trials."""
        self._study = _new_study(objective, sampler, seed) if sampler != "grid" else None
        self._asked: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> dict[str, Any]:
        """Return the parameters of a trial, from 1."""
        if self._study is None:
            return self._grid[number - 1]
        if number not in self._asked:  # it may have been suggested, and not run
            distributions = {space.leaf.name: distribution_of(space) for space in self._spaces}
            self._asked[number] = self._study.ask(distributions)
        chosen = self._asked[number].params
        return {
            space.leaf.name: space.values[chosen[space.leaf.name]]
            if space.values
            else chosen[space.leaf.name]
            for space in self._spaces
        }

    def tell(self, trial: Trial, objective: Objective) -> None:
        """Take the result of a trial into account."""
        if self._study is None:
            return
        import optuna

        value = trial.value(objective)
        states = optuna.trial.TrialState
        state = states.PRUNED if trial.is_pruned else states.FAIL
        self._study.tell(self._asked[trial.number], value, state=state if value is None else None)


def distribution_of(space: Space) -> optuna.distributions.BaseDistribution:
    """Return Optuna's distribution; values of a list are given by their place in it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if space.values:
        return CategoricalDistribution(range(len(space.values)))
    if isinstance(space.low, int) and isinstance(space.high, int):
        return IntDistribution(space.low, space.high, log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)


def _new_study(objective: Objective, sampler: Sampler, seed: int) -> optuna.Study:
    try:
        import optuna
    except ImportError:
        raise ExtraMissing(f"the sampler '{sampler}'", "sweep") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kind = optuna.samplers.RandomSampler if sampler == "random" else optuna.samplers.TPESampler
    return optuna.create_study(sampler=kind(seed=seed), direction=objective.direction)


def refuse_contradictions(project: Project, texts: Mapping[str, str], spaces: Mapping[str, Space]) -> None:
    """Refuse a sweep of parameters that do not exist, have one value, or are set for all trials.

    Raises
    ------
    UsageError
        If there are some, or nothing is varied.
    """
    configuration = project.configuration
    known = {leaf.name: leaf for leaf in leaves(project.declared.parameters)}
    for name, text in texts.items():
        if name not in known:
            raise UsageError(
                f"pipeline '{project.declared.name}' has no parameter '{name}'{nearest(name, known)}"
            )
        if name not in spaces:
            raise UsageError(f"'{name}' has one value, {text}", "give several, or set it for the project")
        if configuration.origins[known[name].key].source == "command line":
            raise UsageError(f"'{name}' is varied and set for all trials, too", "leave one of them out")
    if not spaces:
        raise UsageError("nothing is varied", "give a parameter several values, such as --max-depth 4,8,16")


def new_record(
    project: Project, engine: str, objective: Objective, spaces: Sequence[Space], how: object
) -> SweepRecord:
    """Return what records a sweep: the same sweep has the same tracking run."""
    fixed = {
        leaf.key: as_plain(project.configuration.value(leaf)) for leaf in leaves(project.declared.parameters)
    }
    varied = {space.leaf.key: str(space) for space in spaces}
    what = (project.declared.name, {**fixed, **varied}, str(objective), objective.minimise, how)
    tags = {
        SWEEP_TAG: hashlib.sha256(repr(what).encode()).hexdigest()[:16],
        "baton.pipeline": project.declared.name,
        "baton.engine": engine,
        "baton.objective": str(objective),
    }
    name = f"sweep of {', '.join(space.leaf.name for space in spaces)}"
    return SweepRecord(project.tracker(engine), name, tags, objective)


class Sweep:
    """A sweep in progress: iterate over it to run its trials, each of which is yielded as it ends.

    Parameters
    ----------
    suggestions : Suggestions
        Suggests the trials.
    objective : Objective
        What the trials are compared by.
    spaces : mapping of str to Space
        What is varied, by parameter.
    runner : TrialRunner
        Runs a trial.
    jobs : int
        Number of trials to run at once.
    record : SweepRecord, optional
        Records the trials with the tracker.
    prune_after : int, optional
        End hopeless trials, after this many steps or later.

    Attributes
    ----------
    trials : list of Trial
        The trials so far, in the order in which they ended.
    stopped_by : str
        The task that failed and is the same in all trials, so that no other trial runs; empty if none.
    """

    def __init__(
        self,
        suggestions: Suggestions,
        objective: Objective,
        spaces: Mapping[str, Space],
        runner: TrialRunner,
        jobs: int,
        record: SweepRecord | None,
        prune_after: int | None = None,
    ) -> None:
        self.objective = objective
        self.spaces = spaces
        self.trials: list[Trial] = []
        self.stopped_by = ""
        self._suggestions = suggestions
        self._runner = runner
        self._jobs = jobs
        self._record = record
        self._prune_after = prune_after

    @property
    def count(self) -> int:
        """The number of trials."""
        return self._suggestions.count

    @property
    def best(self) -> Trial | None:
        """The best trial so far; None if there is none."""
        return best_of(self.trials, self.objective)

    @property
    def tracking_run_id(self) -> str:
        """The id of the tracking run that holds the trials; empty if nothing is recorded."""
        return self._record.run_id if self._record is not None else ""

    def __iter__(self) -> Iterator[Trial]:
        """Run the trials that are left."""
        if len(self.trials) >= self.count:
            return
        with self._record or nullcontext(), self._runner.turns:
            while len(self.trials) < self.count and not self.stopped_by:
                ended = {trial.number for trial in self.trials}
                left = [number for number in range(1, self.count + 1) if number not in ended]
                at_once = left[: self._jobs] if self._suggestions.learns else left
                yield from self._learning_from({number: self._suggestions.ask(number) for number in at_once})

    def _learning_from(self, pending: dict[int, dict[str, Any]]) -> Iterator[Trial]:
        """Run trials, and take them into account in the order of their numbers."""
        ended = []
        try:
            for trial in self._run(pending):
                ended.append(trial)
                self.trials.append(trial)
                if self._record is not None:
                    self._record.add(trial)
                yield trial
                self.stopped_by = min(
                    trial.failed_tasks & self._runner.shared_by(self.spaces.values()), default=""
                )
                if self.stopped_by:
                    break
        finally:
            for trial in sorted(ended, key=lambda one: one.number):
                self._suggestions.tell(trial, self.objective)

    def _run(self, pending: dict[int, dict[str, Any]]) -> Iterator[Trial]:
        """Run trials, those last that another process runs now."""
        running: set[Future[Trial]] = set()
        with ThreadPoolExecutor(self._jobs) as threads:
            while pending or running:
                for number, parameters in list(pending.items()):
                    if len(running) == self._jobs:
                        break
                    prepared = self._runner.prepare(number, parameters, self._bar(), is_alone=self._jobs == 1)
                    if isinstance(prepared, Trial):
                        del pending[number]
                        yield prepared
                    elif self._runner.turns.take(prepared.identity):
                        del pending[number]
                        if self._jobs == 1:
                            yield self._runner.run(prepared)
                        else:
                            running.add(threads.submit(self._runner.run, prepared))
                if running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from sorted((one.result() for one in done), key=lambda trial: trial.number)
                elif pending:
                    time.sleep(_LOOK_EVERY_S)

    def _bar(self) -> Bar | None:
        if self._prune_after is None:
            return None
        return Bar.of((trial.curve for trial in self.trials if not trial.problem), self._prune_after)


@dataclass(frozen=True, slots=True)
class PreparedTrial:
    """A trial that can start.

    Parameters
    ----------
    number, parameters
        As in `Trial`.
    execution : Execution
        Its execution.
    """

    number: int
    parameters: Mapping[str, Any]
    execution: Execution

    @property
    def identity(self) -> str:
        """What identifies the trial in the store: the pipeline, its targets and all parameters."""
        project = self.execution.project
        fixed = {
            leaf.key: as_plain(project.configuration.value(leaf))
            for leaf in leaves(project.declared.parameters)
        }
        what = (self.execution.dag.name, self.execution.targets, fixed)
        return hashlib.sha256(repr(what).encode()).hexdigest()[:32]


class TrialRunner:
    """Runs the trials of a sweep, each as a run of the pipeline.

    Parameters
    ----------
    execution : Execution
        The execution of which each trial's is a copy with other parameters.
    run : callable
        Runs an execution on the engine.
    objective : Objective
        What the trials are compared by.
    """

    def __init__(
        self, execution: Execution, run: Callable[[Execution], RunReport], objective: Objective
    ) -> None:
        self.turns = Turns(execution.project.store.objects, execution.project.home / "turns")
        self._execution = replace(execution, joined_from=execution.started_from)
        self._run = run
        self._objective = objective

    def prepare(
        self, number: int, parameters: dict[str, Any], bar: Bar | None, *, is_alone: bool
    ) -> Trial | PreparedTrial:
        """Return a trial that was done before or cannot be, or else what `run` takes.

        Parameters
        ----------
        number, parameters
            As in `Trial`.
        bar : Bar, optional
            As in `baton.runs.execution.Execution`.
        is_alone : bool
            Whether no other trial runs at the same time.
        """
        try:
            changed = self._execution.project.with_parameters(parameters, f"the parameters of trial {number}")
            if not is_alone:
                changed = replace(changed)  # shares nothing with another thread's
            execution = replace(self._execution.for_project(changed), bar=bar)
            ended = done_before(execution)
        except SettingsError as error:
            return Trial(number, parameters, RunReport("", ()), {}, error.message)
        prepared = PreparedTrial(number, parameters, execution)
        return self._ended(prepared, ended) if ended is not None else prepared

    def shared_by(self, spaces: Iterable[Space]) -> set[str]:
        """Return the names of the tasks that are the same in all trials, whatever the spaces vary."""
        dag = self._execution.dag
        varied = {name for space in spaces for name in space.leaf.path}
        shared: set[str] = set()
        for task in dag.order:
            upstream = {one.name for one in dag.upstream_of(task)}
            if upstream <= shared and not varied & set(task.parameters):
                shared.add(task.name)
        return shared

    def run(self, prepared: PreparedTrial) -> Trial:
        """Run a trial whose turn this process has, and give the turn back."""
        execution = prepared.execution
        try:
            return self._ended(prepared, record_run(execution, self._run))
        finally:
            self.turns.give_back(prepared.identity)

    def _ended(self, prepared: PreparedTrial, report: RunReport) -> Trial:
        store = prepared.execution.project.store
        trial = self._objective.trial(prepared.number, prepared.parameters, report, store)
        if prepared.execution.bar is None:
            return trial
        entries = (store.index.get(task.key) for task in report.tasks if task.key)
        return replace(trial, curve=next((one.curve for one in entries if one and one.curve), ()))


class SweepRecord:
    """Records the trials of a sweep as runs inside one tracking run, in a thread of its own.

    A sweep that is called again continues its tracking run, and records no trial twice.

    Parameters
    ----------
    tracker : MlflowTracker
        The tracker.
    name : str
        Name of the tracking run.
    tags : mapping of str to str
        Its tags; `_SWEEP` identifies the sweep.
    objective : Objective
        What the trials are compared by.
    """

    def __init__(
        self, tracker: MlflowTracker, name: str, tags: Mapping[str, str], objective: Objective
    ) -> None:
        self._tracker = tracker
        self._name = name
        self._tags = dict(tags)
        self._objective = objective
        self._trials: queue.SimpleQueue[Trial | None] = queue.SimpleQueue()
        self._is_whole = True
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self.run_id = ""

    def check(self) -> None:
        """Check that the tracker can be used; see `baton.tracking.mlflow.MlflowTracker.check`."""
        self._tracker.check()

    def __enter__(self) -> SweepRecord:
        """Start the thread."""
        self._thread = threading.Thread(target=self._work, name="sweep record", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until all is recorded; raise what went wrong there, unless something else did."""
        self._is_whole = kind is None
        self._trials.put(None)
        if self._thread is not None:
            self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def add(self, trial: Trial) -> None:
        """Record a trial."""
        self._trials.put(trial)

    def _work(self) -> None:
        try:
            found = self._tracker.find(SWEEP_TAG, self._tags[SWEEP_TAG])
            parent = (
                self._tracker.resume(found)
                if found
                else self._tracker.start(name=self._name, tags=self._tags)
            )
            self.run_id = parent.run_id
            known = self._tracker.children(self.run_id, TRIAL_TAG)
            ended: list[Trial] = []
            while (trial := self._trials.get()) is not None:
                ended.append(trial)
                name, mark = _name_of(trial), _mark_of(trial)
                if known.get(name) != mark and not trial.did_run:
                    known = self._tracker.children(self.run_id, TRIAL_TAG)  # of another machine
                if known.get(name) != mark:
                    with parent.child(name) as child:
                        _record_trial(child, trial, mark)
                    known[name] = mark
            best = best_of(ended, self._objective)
            if best is not None:
                parent.log_metrics(dict(best.numbers), {})
                parent.set_tags({"baton.best_trial": _name_of(best)})
            parent.finish(good=self._is_whole and not any(trial.has_failed for trial in ended))
        except Exception as error:  # raised again in the sweep's own thread
            self._error = error


SWEEP_TAG = "baton.sweep"
TRIAL_TAG = "baton.trial"
_LONGEST_NAME = 200


def _name_of(trial: Trial) -> str:
    """Return the name of a trial's run: its parameters, since another sampler may number it otherwise."""
    name = ", ".join(f"{name} {as_text(value)}" for name, value in trial.parameters.items())
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}... {hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _mark_of(trial: Trial) -> str:
    """Return what identifies a trial with its result."""
    if trial.artifact is not None:
        return trial.artifact.digest
    return "pruned" if trial.is_pruned else "failed"


def _record_trial(run: MlflowRun, trial: Trial, mark: str) -> None:
    run.log_parameters(trial.parameters)
    if trial.numbers:
        run.log_metrics(dict(trial.numbers), {})
    run.set_tags({TRIAL_TAG: mark, **({"baton.problem": trial.problem} if trial.problem else {})})
