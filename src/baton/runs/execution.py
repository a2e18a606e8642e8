"""One execution of a pipeline or a part of it: what every participating process must know."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from baton.core.addresses import without_secrets
from baton.core.dag import Dag
from baton.core.effect_scope import EffectScope, InBackfill
from baton.core.events import Reporter, RunFinished, RunStarted, ignore_events
from baton.core.execute import TaskRun
from baton.core.outcome import RunReport
from baton.core.parameters import flatten_plain
from baton.core.pruning import Bar
from baton.core.reasons import Cause, CauseKind
from baton.core.secret import Secret
from baton.core.values import as_plain
from baton.errors import Unavailable
from baton.runs.alerts import require_alerts
from baton.runs.logs import kept
from baton.runs.progress import Progress
from baton.runs.project import Project, open_project
from baton.runs.records import RunRecord, running, write_run
from baton.runs.shared import SharedPart
from baton.runs.started_from import StartedFrom

if TYPE_CHECKING:
    from baton.tracking.mlflow import MlflowRun, MlflowTracker


@dataclass(frozen=True)
class Execution:
    """One execution: a project, the selected DAG, and how to run it.

    Parameters
    ----------
    project : Project
        The project.
    targets : tuple of str
        The requested targets.
    dag : Dag
        The part of the pipeline that the targets need.
    engine : str
        Name of the engine.
    run_id : str
        Identifies the execution in the project's folder.
    use_cache : bool
        Whether to use cached results.
    forced : frozenset of str
        Tasks that run even if cached.
    report : callable
        Receives events as they happen.
    tracking_run_id : str
        The tracking run, if another process has created it already.
    effects_once : bool
        Whether to skip an effect that already succeeded with the same work.
    recheck_share : float
        As in `baton.core.execute.TaskRun`.
    joined_from : StartedFrom, optional
        What the run was started from, if another process has found out already.
    in_backfill : InBackfill, optional
        The run's place in a backfill.
    bar : Bar, optional
        As in `baton.core.execute.TaskRun`.
    """

    project: Project
    targets: tuple[str, ...]
    dag: Dag
    engine: str
    run_id: str
    use_cache: bool = False
    forced: frozenset[str] = frozenset()
    report: Reporter = ignore_events
    tracking_run_id: str = ""
    effects_once: bool = False
    recheck_share: float = 0.0
    joined_from: StartedFrom | None = None
    in_backfill: InBackfill | None = None
    bar: Bar | None = None

    @classmethod
    def begin(
        cls,
        project: Project,
        targets: Sequence[str],
        engine: str,
        *,
        use_cache: bool = False,
        effects_once: bool = False,
        forced: Iterable[str] = (),
        recheck_share: float = 0.0,
        report: Reporter = ignore_events,
        in_backfill: InBackfill | None = None,
    ) -> Execution:
        """Return a new execution.

        Raises
        ------
        UsageError
            If a target or a forced task does not exist.
        """
        dag = project.dag.subset(targets)
        return cls(
            project=project,
            targets=project.dag.targets_or_default(targets),
            dag=dag,
            engine=engine,
            run_id=_new_run_id(),
            use_cache=use_cache,
            effects_once=effects_once,
            forced=frozenset(task.name for target in forced for task in project.dag.members(target)),
            recheck_share=recheck_share,
            report=report,
            in_backfill=in_backfill,
        )

    @classmethod
    def join(cls, spec: Mapping[str, Any], report: Reporter = ignore_events) -> Execution:
        """Return the execution that another process described with `spec`."""
        # The options hold every value: no file and no environment variable applies here.
        nothing = Path(os.devnull)
        project = open_project(
            folder=Path(spec["folder"]),
            options=spec["options"],
            environ={},
            config=nothing,
            elements=spec["elements"],
        )
        return cls(
            project=project,
            targets=tuple(spec["targets"]),
            dag=project.dag.subset(spec["targets"]),
            engine=spec["engine"],
            run_id=spec["run_id"],
            use_cache=spec["use_cache"],
            forced=frozenset(spec["forced"]),
            report=report,
            tracking_run_id=spec["tracking_run_id"],
            effects_once=spec["effects_once"],
            recheck_share=spec["recheck_share"],
            joined_from=StartedFrom(**spec["started_from"]),
            in_backfill=msgspec.convert(spec["in_backfill"], InBackfill | None),
            bar=msgspec.convert(spec["bar"], Bar | None),
        )

    def for_project(self, project: Project) -> Execution:
        """Return a new execution of the same targets, for a project with other parameters."""
        return replace(self, project=project, dag=project.dag.subset(self.targets), run_id=_new_run_id())

    def spec(self) -> dict[str, Any]:
        """Describe the execution in plain JSON values, for `join` in another process."""
        configuration = self.project.configuration
        return {
            "folder": str(self.project.folder),
            "options": {leaf.name: as_plain(configuration.value(leaf)) for leaf in configuration.leaves},
            "elements": dict(self.project.elements) if self.project.declared.elements_from else {},
            "targets": list(self.targets),
            "engine": self.engine,
            "run_id": self.run_id,
            "use_cache": self.use_cache,
            "forced": sorted(self.forced),
            "tracking_run_id": self.tracking_run_id,
            "effects_once": self.effects_once,
            "recheck_share": self.recheck_share,
            "started_from": asdict(self.started_from),
            "in_backfill": msgspec.to_builtins(self.in_backfill),
            "bar": msgspec.to_builtins(self.bar),
        }

    @property
    def known_tracking_run_id(self) -> str:
        """The tracking run's id if this process knows one, else empty."""
        if "tracking_run" in self.__dict__ and self.tracking_run.started:
            return self.tracking_run.run_id
        return self.tracking_run_id

    def in_tracking_run(self, run_id: str) -> Execution:
        """Return a copy of the execution with the id of its tracking run."""
        return replace(self, tracking_run_id=run_id)

    @property
    def is_tracked(self) -> bool:
        """Whether any selected task needs the tracking run."""
        return any(task.tracking for task in self.dag.tasks)

    @cached_property
    def started_from(self) -> StartedFrom:
        """What the run was started from."""
        return self.joined_from or StartedFrom.now(self.project.folder)

    @cached_property
    def effect_scope(self) -> EffectScope:
        """What the execution's effects act on."""
        scope = self.project.effect_scope(skips_done=self.effects_once)
        return replace(scope, backfill=self.in_backfill)

    @cached_property
    def tracker(self) -> MlflowTracker:
        """The tracker of the execution's engine."""
        return self.project.tracker(self.engine)

    @cached_property
    def tracking_run(self) -> MlflowRun:
        """The execution's tracking run, created on the first access to its id."""
        if self.tracking_run_id:
            return self.tracker.resume(self.tracking_run_id)
        tags = {
            "baton.engine": self.engine,
            "baton.pipeline": self.dag.name,
            "baton.run_id": self.run_id,
            **self.started_from.tags,
        }
        return self.tracker.start(name=self.run_id, tags=tags)

    @cached_property
    def task_run(self) -> TaskRun:
        """What `execute_task` needs."""
        parameters = self.project.configuration.parameters
        return TaskRun(
            run_id=self.run_id,
            pipeline=self.dag.name,
            engine=self.engine,
            parameters=parameters,
            store=self.project.store,
            folders=self.project.folders,
            use_cache=self.use_cache,
            forced=dict.fromkeys(self.forced, Cause(CauseKind.FORCED).sentence),
            recheck_share=self.recheck_share,
            effect_scope=self.effect_scope,
            tracking=lambda: self.tracking_run,
            report=kept(self.report, self.project.home, self.run_id),
            code_digest=lambda: self.project.store.code_digest(self.dag.tasks),
            parameters_by_name={
                name: _without_secrets(value) for name, value in flatten_plain(parameters).items()
            },
            bar=self.bar,
        )

    def check(self) -> None:
        """Check that the project's folder, the store and the tracker can be used.

        Raises
        ------
        Unavailable
            If one of them cannot be used.
        SettingsError
            If the tracker's address can never work.
        ExtraMissing
            If alerts are to be sent, but Apprise is not installed.
        UsageError
            If a local file or folder that the pipeline reads does not exist, or a secret is not set.
        """
        self.project.require_writable()
        if self.is_tracked:
            self.tracker.check()
        self.project.store.objects.check()
        self.effect_scope.folder.keep()
        require_alerts(self)
        for task in self.dag.tasks:
            for value in self.task_run.seen_by(task).values():
                for secret in _secrets_in(value):
                    secret.require()
            if task.external is not None:
                self.project.store.require_external(task, self.task_run.seen_by(task))

    def finish_tracking(self, *, good: bool) -> str:
        """Close the tracking run, if there is one, and return its id, else an empty text."""
        if not self.known_tracking_run_id:
            return ""
        try:
            self.tracking_run.finish(good=good)
        except Unavailable:
            if good:
                raise
        return self.tracking_run.run_id


def _secrets_in(value: Any) -> Iterator[Secret]:
    """Yield the secrets in a parameter, a list or a group."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _secrets_in(one)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _secrets_in(getattr(value, name))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(one) for one in value]
    return without_secrets(value) if isinstance(value, str) else value


def _new_run_id() -> str:
    """Return an id that sorts by time: UTC date, time, 0.1 ms, and two random digits."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 100:04d}{os.urandom(1).hex()}"


def record_run(execution: Execution, run: Callable[[Execution], RunReport]) -> RunReport:
    """Run an execution and record it: as running, with its tasks as they go, then how it ended.

    Parameters
    ----------
    execution : Execution
        The execution.
    run : callable
        Runs the execution that it is given: the same one, whose events are followed.
    """
    home = execution.project.home
    begun = RunRecord.begin(execution.task_run, execution.targets, execution.started_from)
    with running(home, begun), Progress(begun, home, _shared(execution)) as progress:
        followed = replace(execution, report=progress.following(execution.report))
        names = tuple(task.name for task in execution.dag.order)
        followed.report(
            RunStarted(execution.run_id, execution.dag.name, execution.engine, execution.targets, names)
        )
        try:
            ended = run(followed)
        except BaseException as error:
            record = progress.record
            left = record.given_up() if isinstance(error, Exception) else record.interrupted()
            progress.end(left)
            with contextlib.suppress(Unavailable):  # the error that ended the run matters more
                write_run(home, left)
            raise
        record = progress.record.ended(ended)
        progress.end(record)
        write_run(home, record)
        followed.report(RunFinished(ended))
        return ended


def _shared(execution: Execution) -> SharedPart | None:
    """Return the part of the run's record in the store; None for a store of this folder alone."""
    objects, home = execution.project.store.objects, execution.project.home.absolute()
    own = objects.local_folder("")
    if own is not None and own.absolute().is_relative_to(home):
        return None
    return SharedPart(objects, execution.run_id)
