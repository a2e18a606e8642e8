"""Run one task: the only place that calls a task's function.

Engines decide when and where; what a task run *is* is defined here, once.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from baton.core.addresses import without_secrets_in_addresses
from baton.core.argument import Argument
from baton.core.artifact import Artifact, Kind
from baton.core.context import Provenance, TaskContext
from baton.core.effect_scope import EffectScope
from baton.core.events import (
    Event,
    Reporter,
    TaskFinished,
    TaskLogged,
    TaskProgressed,
    TaskStarted,
    ignore_events,
)
from baton.core.outcome import Failure, Outcome, TaskReport
from baton.core.parameters import value_of
from baton.core.pruning import Bar, Curve
from baton.core.reasons import Cause
from baton.core.secret import hide
from baton.core.task import AnyTask
from baton.core.tracebacks import formatted, place_of, summary_of, text_of
from baton.core.tracker import TrackingRun
from baton.errors import BatonError, CorruptObject, MissingObject, Skip, StoreError, TaskError, Unavailable

_PANIC = "PanicException"
"""Rust libraries raise this for their own bugs; not an `Exception`, but no reason to end a run."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What the cache holds about a finished task.

    Parameters
    ----------
    outputs : mapping of str to Artifact
        Its outputs by name.
    facts : tuple of (str, str)
        The facts that it reported.
    tracking_run_id : str
        The tracking run that an effect added to; empty if none.
    """

    outputs: Mapping[str, Artifact]
    facts: tuple[tuple[str, str], ...]
    tracking_run_id: str = ""


@dataclass(frozen=True, slots=True)
class CacheDecision:
    """The cache's answer for one task run.

    Parameters
    ----------
    key : str
        The cache key; empty for an effect that runs every time.
    entry : CacheEntry or None
        The cached result to use instead of running; None if the task must run.
    reason : str
        Why it must or need not run, in one line.
    causes : tuple of Cause
        The separate causes for running; empty if a cached result can be used.
    """

    key: str
    entry: CacheEntry | None
    reason: str
    causes: tuple[Cause, ...] = ()


@dataclass(slots=True)
class Observed:
    """What was observed during a task run; complete once it has ended.

    Parameters
    ----------
    warnings : list of str
        What makes the result unreliable, each with the line and possible fixes.
    unremembered : list of str
        Why the result cannot be cached; empty if it can.
    """

    warnings: list[str] = field(default_factory=list)
    unremembered: list[str] = field(default_factory=list)


class ArtifactStore(Protocol):
    """Stores artifacts and the results of finished tasks."""

    def save(self, name: str, kind: type[Kind], value: Any, scratch: Path | None = None) -> Artifact:
        """Store a value and return the reference; raise TypeError if it is not of the kind.

        Files in the folder `scratch` belong to the store from now on: it need not copy them.
        """

    def load(self, artifact: Artifact, kind: type[Kind]) -> Any:
        """Return the value; raise `baton.errors.CorruptObject` if the bytes do not match the digest."""

    def has(self, artifact: Artifact) -> bool:
        """Whether every object of an artifact exists, without reading the large ones."""

    def decide(
        self,
        task: AnyTask,
        inputs: Mapping[str, Artifact],
        parameters: Mapping[str, Any],
        *,
        use: bool,
        scope: EffectScope | None = None,
    ) -> CacheDecision:
        """Decide whether a cached result can be used; if `use` is false, only build the key.

        With a `scope`, effects are recorded too, and reused if the scope says so.
        """

    def difference(self, one: Artifact, other: Artifact, kind: type[Kind]) -> str:
        """Describe the first difference between two values of a kind."""

    def begin_effect(self, task: AnyTask, run: TaskRun) -> None:
        """Record that an effect starts, so that its earlier state no longer counts as current."""

    def claim(self, decision: CacheDecision, on_wait: Callable[[], None]) -> AbstractContextManager[bool]:
        """Keep others from doing the same work meanwhile; call `on_wait` if others are doing it now.

        The context's value is true if others finished it first, so that the cache is worth another look.
        """

    def fetch(self, task: AnyTask, parameters: Mapping[str, Any], scratch: Path) -> Path:
        """Return the content of the external input that a task reads, as a path on this machine."""

    def require_unchanged(
        self, task: AnyTask, parameters: Mapping[str, Any], decision: CacheDecision, stored: Artifact
    ) -> None:
        """Raise `baton.errors.TaskError` if an external input changed while it was stored."""

    def observing(
        self, task: AnyTask, decision: CacheDecision, folders: Folders
    ) -> AbstractContextManager[Observed]:
        """Watch what a task reads while it runs: its result is valid only while that stays the same."""

    def remember(
        self, task: AnyTask, decision: CacheDecision, report: TaskReport, run: TaskRun, curve: Curve
    ) -> None:
        """Record a finished task under its key, with what it reported after each step."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a run may write.

    Parameters
    ----------
    project : Path
        The project's folder.
    scratch : Path
        Parent of the task runs' scratch folders.
    data_dir, models_dir : Path
        As in `baton.core.context.TaskContext`.
    """

    project: Path
    scratch: Path
    data_dir: Path
    models_dir: Path


def no_tracking() -> TrackingRun:
    """Raise an error, because the run has no tracker."""
    raise Unavailable("this run has no tracker", "set a tracking URI: baton config set tracking_uri URI")


@dataclass(frozen=True, slots=True)
class TaskRun:
    """Everything that one task run needs besides the task and its inputs.

    Parameters
    ----------
    run_id, pipeline, engine : str
        The run, the pipeline's name, the engine's name.
    parameters : msgspec.Struct
        The run's parameters; a task sees only those in its signature.
    store : ArtifactStore
        Where artifacts are kept.
    folders : Folders
        Where a run may write.
    use_cache : bool
        Whether to use cached results.
    forced : mapping of str to str
        Tasks that run even if cached, with the reason.
    recheck_share : float
        Share of the cached pure tasks, 0 to 1, to compute again and compare with the cached result.
    effect_scope : EffectScope, optional
        What the effects of this run act on, and whether to skip those up to date.  Without it every
        effect runs and none is recorded.
    tracking : callable
        Returns the tracking run; called for effects that ask for it.
    report : callable
        Receives events as they happen.
    code_digest : callable
        Returns the digest of the pipeline's code; called for effects only.
    parameters_by_name : mapping of str to object
        Every parameter by its short name, without secrets in addresses: effects publish them.
    bar : Bar, optional
        What hopeless trials do not reach, in a sweep that prunes.
    """

    run_id: str
    pipeline: str
    engine: str
    parameters: msgspec.Struct
    store: ArtifactStore
    folders: Folders
    use_cache: bool = False
    forced: Mapping[str, str] = field(default_factory=dict)
    recheck_share: float = 0.0
    effect_scope: EffectScope | None = None
    tracking: Callable[[], TrackingRun] = no_tracking
    report: Reporter = ignore_events
    code_digest: Callable[[], str] = lambda: ""
    parameters_by_name: Mapping[str, object] = field(default_factory=dict)
    bar: Bar | None = None

    def rechecks(self, task: AnyTask) -> bool:
        """Whether to compute a cached result of the task again and compare."""
        return not task.effect and _is_sampled(self.run_id, task.name, self.recheck_share)

    def seen_by(self, task: AnyTask) -> dict[str, Any]:
        """Return the parameters in the task's signature, by name, and the values fixed in their place."""
        return {name: value_of(self.parameters, name) for name in task.parameters} | dict(task.fixed)


def execute_task(
    task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun, *, attempt: int = 1
) -> TaskReport:
    """Make one attempt at a task: check the cache, load, call, store, report.

    Parameters
    ----------
    task : Task
        What to run.
    inputs : mapping of str to Artifact
        Every artifact made so far, by name; the task uses its own.
    run : TaskRun
        What the run provides.
    attempt : int
        1 for the first attempt.

    Returns
    -------
    TaskReport
        The end of this attempt, including anything the task raised; only an interrupt propagates.
    """
    began = time.perf_counter()
    run = replace(run, report=_without_secrets(run.report))
    if attempt > 1:
        run = replace(run, report=_in_attempt(attempt, run.report))
    try:
        report = unmet(task, inputs, run) or _attempt(task, inputs, run)
    except Skip as skip:
        report = TaskReport(task.name, Outcome.SKIPPED, reason=skip.reason)
    except (Exception, SystemExit) as error:  # the task boundary: becomes an outcome
        report = TaskReport(task.name, Outcome.FAILED, failure=describe(error))
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        report = TaskReport(task.name, Outcome.FAILED, failure=describe(error))
    return replace(_hidden(report), duration_s=time.perf_counter() - began, attempts=attempt)


def _without_secrets(report: Reporter) -> Reporter:
    """Return a reporter that hides the secrets that tasks have read in what they say."""

    def emit(event: Event) -> None:
        if isinstance(event, TaskLogged | TaskProgressed):
            event = msgspec.structs.replace(event, message=hide(event.message))
        report(event)

    return emit


def _hidden(report: TaskReport) -> TaskReport:
    """Return a report without the secrets that tasks have read."""
    failure = report.failure
    if failure is not None:
        failure = replace(
            failure,
            message=hide(failure.message),
            hint=hide(failure.hint),
            traceback=hide(failure.traceback),
        )
    return replace(report, failure=failure, reason=hide(report.reason))


def _in_attempt(number: int, report: Reporter) -> Reporter:
    """Return a reporter that adds the attempt's number to the lines that the task logs."""

    def emit(event: Event) -> None:
        report(msgspec.structs.replace(event, attempt=number) if isinstance(event, TaskLogged) else event)

    return emit


def describe(error: BaseException) -> Failure:
    """Turn an exception of a task into what the user reads.

    An exception with a string attribute ``hint`` explains itself; any other keeps its traceback, and its
    message begins with the place in the user's code.
    """
    hint = getattr(error, "hint", None)
    if isinstance(hint, str):
        is_lost = isinstance(error, CorruptObject | MissingObject)
        return Failure(
            without_secrets_in_addresses(str(getattr(error, "message", "") or text_of(error))),
            without_secrets_in_addresses(hint),
            is_final=is_lost or isinstance(error, TaskError),
            has_lost_input=is_lost,
        )
    place = place_of(error)
    return Failure(f"{place}: {summary_of(error)}" if place else summary_of(error), "", formatted(error))


def unmet(task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun) -> TaskReport | None:
    """Return the report of a task whose ``when`` says no, or None if the task may run."""
    if task.when is None:
        return None
    seen = run.seen_by(task)
    given = {
        name: _loaded(task.arguments[name], inputs, run.store) if name in task.arguments else seen[name]
        for name in task.when_arguments
    }
    if task.when(**given):
        return None
    values = ", ".join(f"{name}={value!r:.40}" for name, value in given.items())
    return TaskReport(task.name, Outcome.SKIPPED, reason=f"{task.when.__name__}({values}) is false")


def _loaded(argument: Argument, inputs: Mapping[str, Artifact], store: ArtifactStore) -> Any:
    if argument.elements is None:
        return store.load(inputs[argument.artifact], argument.kind)
    return {key: store.load(inputs[name], argument.kind) for key, name in argument.elements.items()}


def finish(report: TaskReport, run: TaskRun) -> TaskReport:
    """Announce the end of a task run and return its report."""
    run.report(TaskFinished(report))
    return report


def look_up(task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun) -> tuple[TaskReport | None, str]:
    """Return the cache's answer for a task, for engines that hand tasks to other processes.

    Returns
    -------
    report : TaskReport or None
        The end of a task whose cached result can be used or that is skipped; None if it must run.
    reason : str
        Why.  An error here happens again in `execute_task`, which reports it.
    """
    began = time.perf_counter()
    try:
        skipped = unmet(task, inputs, run)
        if skipped is not None:
            return skipped, skipped.reason
        decision = _decide(task, inputs, run)
    except (Exception, SystemExit):  # the task boundary, as in execute_task
        return None, ""
    if decision.entry is not None and run.rechecks(task):
        return None, ""  # the process that executes it compares
    report = _remembered(task, decision)
    reason = run.forced.get(task.name, decision.reason)
    return report and replace(report, duration_s=time.perf_counter() - began), reason


def _decide(task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun) -> CacheDecision:
    own = {name: inputs[name] for name in task.inputs}
    usable = run.use_cache and task.name not in run.forced
    return run.store.decide(task, own, run.seen_by(task), use=usable, scope=run.effect_scope)


def _remembered(task: AnyTask, decision: CacheDecision) -> TaskReport | None:
    entry = decision.entry
    if entry is None:
        return None
    return TaskReport(
        task.name,
        Outcome.CACHED,
        entry.outputs,
        decision.reason,
        facts=entry.facts,
        key=decision.key,
        tracking_run_id=entry.tracking_run_id,
    )


def _recheck(task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun) -> TaskReport | None:
    """Compute a cached result again and compare; None if nothing is cached."""
    own = {name: inputs[name] for name in task.inputs}
    decision = run.store.decide(task, own, run.seen_by(task), use=True)
    entry = decision.entry
    if entry is None:
        return None
    report = _compute(task, inputs, run, replace(decision, entry=None, reason="computed again to check"))
    wrong = "; ".join(_differences(task, report, entry, run.store))
    if wrong:
        return replace(report, reason=f"not as {decision.reason}: {wrong}", wrongly_remembered=wrong)
    return replace(report, reason=f"computed again to check: the same as {decision.reason}")


def _attempt(task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun) -> TaskReport:
    rechecked = _recheck(task, inputs, run) if run.rechecks(task) else None
    if rechecked is not None:
        return rechecked
    decision = _decide(task, inputs, run)
    remembered = _remembered(task, decision)
    if remembered is not None:
        return remembered
    if task.effect or not run.use_cache:
        return _compute(task, inputs, run, decision)

    def waiting() -> None:
        run.report(TaskLogged(task.name, "another run is computing the same; waiting for it"))

    with run.store.claim(decision, waiting) as others_did:
        again = _remembered(task, _decide(task, inputs, run)) if others_did else None
        return again or _compute(task, inputs, run, decision)


def _compute(
    task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun, decision: CacheDecision
) -> TaskReport:
    own = {name: inputs[name] for name in task.inputs}
    reason = run.forced.get(task.name, decision.reason)
    began = time.perf_counter()
    run.report(TaskStarted(task.name, reason))
    with _scratch_folder(task, run) as scratch:
        context = _context(task, inputs, run, scratch)
        if task.effect:
            run.store.begin_effect(task, run)
        with run.store.observing(task, decision, run.folders) as observed:
            values = _call(task, own, run.seen_by(task), context, run)
            outputs = _save(task, values, run.store, scratch)
            if task.external is not None:
                (stored,) = outputs.values()
                run.store.require_unchanged(task, run.seen_by(task), decision, stored)
    for warning in observed.warnings:
        run.report(TaskLogged(task.name, f"warning: {warning}"))
    unremembered = [*context.unremembered, *observed.unremembered]
    report = TaskReport(
        task.name,
        Outcome.SUCCEEDED,
        outputs,
        reason,
        time.perf_counter() - began,
        facts=tuple((label, hide(value)) for label, value in context.facts),
        key=decision.key,
        unremembered="; ".join(unremembered),
        products=tuple(str(path) for path in context.products),
    )
    if task.tracking is not None and decision.key:
        tracking = run.tracking()
        report = replace(report, tracking_run_id=tracking.run_id if tracking.started else "")
    if decision.key and not unremembered:
        run.store.remember(task, decision, report, run, context.curve)
    return report


@contextmanager
def _scratch_folder(task: AnyTask, run: TaskRun) -> Iterator[Path]:
    """Yield an empty folder for a task run, deleted afterwards; only its path if the task cannot use it."""
    if task.context is None and task.external is None:
        yield run.folders.scratch / task.name
        return
    run.folders.scratch.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{task.name}-", dir=run.folders.scratch))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _context(task: AnyTask, inputs: Mapping[str, Artifact], run: TaskRun, scratch: Path) -> TaskContext:
    context = TaskContext(
        task=task.name,
        scratch=scratch,
        data_dir=run.folders.data_dir,
        models_dir=run.folders.models_dir,
        project=run.folders.project,
        report=run.report,
        bar=None if task.effect else run.bar,
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
    if task.external is not None:
        return (run.store.fetch(task, parameters, context.scratch),)
    arguments: dict[str, Any] = dict(parameters)
    for name, argument in task.arguments.items():
        arguments[name] = _loaded(argument, inputs, run.store)
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
        raise BatonError(f"task '{task.name}' must return ({wanted}), but returned {len(values)} value(s)")
    return values


def _save(task: AnyTask, values: tuple[Any, ...], store: ArtifactStore, scratch: Path) -> dict[str, Artifact]:
    outputs: dict[str, Artifact] = {}
    for (name, kind), value in zip(task.outputs.items(), values, strict=True):
        try:
            outputs[name] = store.save(name, kind, value, scratch)
        except TypeError as error:
            hint = getattr(error, "hint", "")
            raise BatonError(f"cannot store '{name}': {error}", hint) from error
        except OSError as error:
            raise StoreError(
                f"cannot store '{name}': {error.strerror or error}",
                "free space or check the folder's permissions",
            ) from error
    return outputs


def _is_sampled(run_id: str, task: str, share: float) -> bool:
    """Whether a run checks a task by computing it again; the same in every process of the run."""
    if share <= 0:
        return False
    drawn = int.from_bytes(hashlib.sha256(f"{run_id} {task}".encode()).digest()[:8], "big")
    return drawn < share * 2**64


def _differences(task: AnyTask, report: TaskReport, entry: CacheEntry, store: ArtifactStore) -> Iterator[str]:
    """Yield for each output how the cached value differs from the new one."""
    for name, made in report.outputs.items():
        then = entry.outputs[name]
        if made.identity != then.identity:
            yield f"output '{name}' differs: {store.difference(then, made, task.outputs[name])}"
