"""Run one task: the only place where a task's function is called.

Engines decide when and where; what a task run *is* stands here, once.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from baton.core.artifact import Artifact, Kind
from baton.core.context import Provenance, TaskContext
from baton.core.events import Reporter, TaskFinished, TaskStarted, ignore_events
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.core.parameters import value_of
from baton.core.task import Task
from baton.core.tracker import TrackingRun
from baton.errors import BatonError, StoreError, TaskError, Unavailable

AnyTask = Task[..., Any]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What is remembered of a finished pure task: its outputs and its facts."""

    outputs: Mapping[str, Artifact]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CacheDecision:
    """The cache's answer for one task run.

    Parameters
    ----------
    key : str
        The cache key; empty for an effect.
    entry : CacheEntry or None
        What can be used instead of running; None where the task must run.
    reason : str
        Why it must run, or why it need not.
    """

    key: str
    entry: CacheEntry | None
    reason: str


class ArtifactStore(Protocol):
    """Where artifacts and the memory of finished tasks are kept."""

    def save(self, name: str, kind: type[Kind], value: Any) -> Artifact:
        """Store a value and return the reference; raise TypeError if it is not of the kind."""

    def load(self, artifact: Artifact, kind: type[Kind]) -> Any:
        """Return the value; raise `baton.errors.CorruptObject` if its bytes are not its digest's."""

    def decide(
        self, task: AnyTask, inputs: Mapping[str, Artifact], parameters: Mapping[str, Any], *, use: bool
    ) -> CacheDecision:
        """Say whether a remembered result can be used; with `use` false only the key is made."""

    def remember(self, task: AnyTask, decision: CacheDecision, report: TaskReport, run: TaskRun) -> None:
        """Remember a finished pure task under its key."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a run may write.

    Parameters
    ----------
    project : Path
        The project's folder.
    scratch : Path
        Parent of the folders that task runs get for themselves.
    data_dir, models_dir : Path
        As in `baton.core.context.TaskContext`.
    """

    project: Path
    scratch: Path
    data_dir: Path
    models_dir: Path


def no_tracking() -> TrackingRun:
    """Refuse: the run has no tracker."""
    raise Unavailable("this run has no tracker", "set a tracking URI: baton config set tracking_uri URI")


@dataclass(frozen=True, slots=True)
class TaskRun:
    """Everything but the task and its inputs that one task run needs.

    Parameters
    ----------
    run_id, pipeline, engine : str
        The run, the pipeline's name, the engine's name.
    parameters : msgspec.Struct
        The run's parameters; a task sees those in its signature.
    store : ArtifactStore
        Where artifacts are kept.
    folders : Folders
        Where a run may write.
    use_cache : bool
        Whether a remembered result may be used instead of running.
    forced : frozenset of str
        Tasks that run whatever the cache remembers.
    tracking : callable
        Returns the tracking run; called for effects that ask for it.
    report : callable
        Takes events as they happen.
    code_digest : callable
        Returns the digest of the pipeline's code; called for effects only.
    parameters_by_name : mapping of str to object
        Every parameter by its bare name, without secrets in addresses: effects tell the world.
    """

    run_id: str
    pipeline: str
    engine: str
    parameters: msgspec.Struct
    store: ArtifactStore
    folders: Folders
    use_cache: bool = False
    forced: frozenset[str] = frozenset()
    tracking: Callable[[], TrackingRun] = no_tracking
    report: Reporter = ignore_events
    code_digest: Callable[[], str] = lambda: ""
    parameters_by_name: Mapping[str, object] = field(default_factory=dict)

    def seen_by(self, task: AnyTask) -> dict[str, Any]:
        """Return the parameters in the task's signature, by name."""
        return {name: value_of(self.parameters, name) for name in task.parameters}


def execute_task(
    task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun, *, attempt: int = 1
) -> TaskReport:
    """Make one attempt at a task: look in the cache, load, call, store, report.

    Parameters
    ----------
    task : Task
        What to run.
    inputs : mapping of str to Artifact
        Every artifact made so far, by name; the task's own are taken from it.
    run : TaskRun
        What the run provides.
    attempt : int
        1 for the first attempt.

    Returns
    -------
    TaskReport
        The end of this attempt.  Whatever the task raised is in it; only an interrupt passes.
    """
    began = time.perf_counter()
    try:
        report = _attempt(task, inputs, run)
    except (Exception, SystemExit) as error:  # the task boundary: it becomes an outcome
        report = TaskReport(task.name, Outcome.FAILED, failure=describe(error))
    return replace(report, duration_s=time.perf_counter() - began, attempts=attempt)


def describe(error: Exception | SystemExit) -> Failure:
    """Turn what a task raised into what the user reads.

    An exception with a string attribute ``hint`` explains itself; any other keeps its traceback.
    """
    hint = getattr(error, "hint", None)
    if isinstance(hint, str):
        return Failure(
            str(getattr(error, "message", "") or error), hint, is_final=isinstance(error, TaskError)
        )
    name = type(error).__name__
    text = str(error).strip()
    trace = "".join(traceback.format_exception(error))
    return Failure(f"{name}: {text}" if text else name, "", trace)


def finish(report: TaskReport, run: TaskRun) -> TaskReport:
    """Announce the end of a task run and return its report."""
    run.report(TaskFinished(report))
    return report


def _attempt(task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun) -> TaskReport:
    own = {name: inputs[name] for name in task.inputs}
    seen = run.seen_by(task)
    usable = run.use_cache and task.name not in run.forced
    decision = run.store.decide(task, own, seen, use=usable)
    if decision.entry is not None:
        entry = decision.entry
        return TaskReport(
            task.name, Outcome.CACHED, entry.outputs, decision.reason, facts=entry.facts, key=decision.key
        )
    reason = "forced" if task.name in run.forced else decision.reason
    run.report(TaskStarted(task.name, reason))
    run.folders.scratch.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{task.name}-", dir=run.folders.scratch))
    try:
        context = _context(task, inputs, run, scratch)
        values = _call(task, own, seen, context, run)
        outputs = _save(task, values, run.store)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report = TaskReport(
        task.name, Outcome.SUCCEEDED, outputs, reason, facts=tuple(context.facts), key=decision.key
    )
    if not task.effect and not context.unremembered:
        run.store.remember(task, decision, report, run)
    return report


def _context(task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun, scratch: Path) -> TaskContext:
    context = TaskContext(
        task=task.name,
        scratch=scratch,
        data_dir=run.folders.data_dir,
        models_dir=run.folders.models_dir,
        project=run.folders.project,
        report=run.report,
    )
    if not task.effect or task.context is None:
        return context
    provenance = Provenance(
        run_id=run.run_id,
        pipeline=run.pipeline,
        engine=run.engine,
        parameters=dict(run.parameters_by_name),
        digests={name: artifact.digest for name, artifact in inputs.items()},
        code_digest=run.code_digest(),
    )
    return replace(context, provenance=provenance)


def _call(
    task: AnyTask,
    inputs: Mapping[str, Artifact],
    parameters: Mapping[str, Any],
    context: TaskContext,
    run: TaskRun,
) -> tuple[Any, ...]:
    arguments: dict[str, Any] = dict(parameters)
    for name, artifact in inputs.items():
        arguments[name] = run.store.load(artifact, task.inputs[name])
    if task.context is not None:
        arguments[task.context] = context
    if task.tracking is not None:
        arguments[task.tracking] = run.tracking()
    returned = task.function(**arguments)
    if not task.outputs:
        return ()
    values = returned if isinstance(returned, tuple) and len(task.outputs) > 1 else (returned,)
    if len(values) != len(task.outputs):
        wanted = ", ".join(task.outputs)
        raise BatonError(f"task '{task.name}' must return ({wanted}), it returned {len(values)} value(s)")
    return values


def _save(task: AnyTask, values: tuple[Any, ...], store: ArtifactStore) -> dict[str, Artifact]:
    outputs: dict[str, Artifact] = {}
    for (name, kind), value in zip(task.outputs.items(), values, strict=True):
        try:
            outputs[name] = store.save(name, kind, value)
        except TypeError as error:
            raise BatonError(f"task '{task.name}' cannot store '{name}': {error}") from error
        except OSError as error:
            raise StoreError(
                f"cannot store '{name}': {error.strerror or error}",
                "free space or check the folder's permissions",
            ) from error
    return outputs
