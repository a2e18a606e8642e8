"""A pipeline as an object: step through it, inspect intermediate values, subclass it."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, ClassVar, Self

from baton.core.events import Reporter, RunFinished, RunStarted, ignore_events
from baton.core.outcome import Outcome, RunReport, TaskReport
from baton.engines.simple import SimpleEngine, Stepping
from baton.errors import BatonError, TaskError, UsageError
from baton.runs.execution import Execution
from baton.runs.project import Project, open_project
from baton.runs.records import RunRecord, running, write_run


class StepFailed(TaskError):
    """A step that failed, with the same message as in the run's report."""


class StepwisePipeline:
    """One run of a project's pipeline, executed step by step in this process.

    A subclass lists its methods in `steps`; `run` calls them in order.  Each task runs once, however many
    steps need it, and all steps share one tracking run.

    Parameters
    ----------
    project : Project, optional
        As returned by `baton.api.open_project`; the one in the current folder unless given.
    report : callable
        Receives events as they happen.
    use_cache : bool
        Whether to use cached results.
    options : Any
        Settings and parameters by name, with the highest precedence, if no project is given.

    Raises
    ------
    SettingsError
        If a setting or parameter is invalid.
    """

    steps: ClassVar[tuple[str, ...]] = ()
    """Names of the methods to call, in order; if empty, `run` runs everything."""
    targets: ClassVar[tuple[str, ...]] = ()
    """The targets of the steps; the pipeline's default target if empty."""

    def __init__(
        self,
        project: Project | None = None,
        *,
        report: Reporter = ignore_events,
        use_cache: bool = False,
        **options: Any,
    ) -> None:
        self.project = project or open_project(options=options)
        self._execution = Execution.begin(
            self.project, self.targets, SimpleEngine.name, use_cache=use_cache, report=report
        )
        self._begun: tuple[Stepping, RunRecord] | None = None
        self._in_progress = ExitStack()
        self._ended: RunReport | None = None

    def step(self, *targets: str) -> tuple[TaskReport, ...]:
        """Run what the targets need and has not run yet; everything left if no target is given.

        Returns
        -------
        tuple of TaskReport
            How the tasks that this step ran ended.

        Raises
        ------
        StepFailed
            If a task failed.
        UsageError
            If a target is not part of the run, or the run is finished.
        Unavailable
            If the store or the tracking server cannot be used.
        """
        dag = self._execution.dag
        chosen = dag.subset(targets or tuple(task.name for task in dag.tasks))
        stepping, _ = self._begin()
        reports = stepping.schedule.reports
        waiting = [task for task in chosen.order if task.name not in reports]
        stepping.run(waiting)
        for task in chosen.order:
            ended = reports[task.name]
            if ended.failure is not None:
                raise StepFailed(f"task '{task.name}' failed: {ended.failure.message}", ended.failure.hint)
            is_over = any(report.failure is not None for report in reports.values())
            if not ended.outcome.is_good and (is_over or ended.outcome is not Outcome.SKIPPED):
                raise StepFailed(f"task '{task.name}' cannot run: {ended.reason}")
        return tuple(reports[task.name] for task in waiting)

    def __getitem__(self, name: str) -> Any:
        """Return the value of an artifact by its name; of one with elements, a mapping from their names.

        Raises
        ------
        UsageError
            If no such artifact has been made.
        """
        declared = self.project.declared
        maker = declared.producers.get(name)
        if maker is not None and maker.name in declared.elements_from:
            elements = self.project.elements[declared.elements_from[maker.name]]
            return {element: self[f"{name}_{element}"] for element in elements}
        made = self._begun[0].schedule.made if self._begun else {}
        if name not in made:
            known = ", ".join(made) or "nothing yet"
            raise UsageError(f"'{name}' has not been made yet", f"made so far: {known}")
        return self.project.store.load(made[name], self._execution.dag.producers[name].outputs[name])

    def run(self) -> RunReport:
        """Run all steps and finish; the report has the outcomes of the tasks.

        Raises
        ------
        Unavailable
            If the store or the tracking server cannot be used.
        """
        with self:
            try:
                for name in self.steps:
                    getattr(self, name)()
                if not self.steps:
                    self.step()
            except StepFailed:
                self._finish_remaining()
            return self.finish()

    def finish(self) -> RunReport:
        """Close the run after its last step and return how the tasks ended; safe to repeat."""
        if self._ended is None:
            stepping, record = self._begin()
            try:
                self._ended = stepping.finish()
            finally:
                stepping.close()
            write_run(self.project.home, record.ended(self._ended))
            self._in_progress.close()
            self._execution.report(RunFinished(self._ended))
        return self._ended

    def __enter__(self) -> Self:
        """Start; the run is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the run, or abort it if an exception ends the block."""
        if error is None:
            self.finish()
        elif self._begun is not None and self._ended is None:
            self._abort()

    def _begin(self) -> tuple[Stepping, RunRecord]:
        if self._ended is not None:
            raise UsageError(
                f"run {self._execution.run_id} is finished", "create another object to run it again"
            )
        if self._begun is None:
            execution = self._execution
            execution.check()
            record = RunRecord.begin(execution.task_run, execution.targets, execution.started_from)
            self._in_progress.enter_context(running(self.project.home, record))
            names = tuple(task.name for task in execution.dag.order)
            started = RunStarted(
                execution.run_id, execution.dag.name, execution.engine, execution.targets, names
            )
            execution.report(started)
            self._begun = Stepping(execution), record
        return self._begun

    def _finish_remaining(self) -> None:
        """After a failure, run the tasks that are ``last``, and report why all others did not run."""
        stepping, _ = self._begin()
        ended = stepping.schedule.reports
        stepping.run([task for task in self._execution.dag.order if task.name not in ended])

    def _abort(self) -> None:
        assert self._begun is not None
        stepping, record = self._begun
        try:
            self._ended = stepping.finish(good=False)
        except BatonError:  # the error that ended the block matters more
            self._ended = stepping.schedule.report()
        finally:
            stepping.close()
        write_run(self.project.home, record.interrupted())
        self._in_progress.close()
