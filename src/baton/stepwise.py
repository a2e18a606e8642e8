"""A pipeline as an object: step through it, look at what a step made, subclass it."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, ClassVar, Self

from baton.core.events import Reporter, RunFinished, RunStarted, ignore_events
from baton.core.outcome import RunReport, TaskReport
from baton.engines.simple import SimpleEngine, Stepping
from baton.errors import BatonError, TaskError, UsageError
from baton.runs.execution import Execution
from baton.runs.project import Project, open_project
from baton.runs.records import RunRecord, running, write_run


class StepFailed(TaskError):
    """A step that could not do its work; the run's report says the same."""


class StepwisePipeline:
    """One run of a project's pipeline, gone through step by step in this process.

    A subclass names its methods in `steps`; `run` calls them one after another.  Each task runs once,
    however many steps need it, and all steps add to one tracking run.

    Parameters
    ----------
    project : Project, optional
        As `baton.api.open_project` returns it; that in the current folder unless given.
    report : callable
        Takes events as they happen.
    use_cache : bool
        Whether remembered results may be used instead of running.
    options : Any
        Settings and parameters by name, above all other sources, where no project is given.

    Raises
    ------
    SettingsError
        If a setting or parameter cannot be used.
    """

    steps: ClassVar[tuple[str, ...]] = ()
    """Names of the methods that make up the whole, in their order; `run` of none runs everything."""
    targets: ClassVar[tuple[str, ...]] = ()
    """What the steps lead to; the pipeline's default target where there is none."""

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
        """Run what the targets need and has not run yet; everything that is left where none is named.

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
            if not ended.outcome.is_good:
                raise StepFailed(f"task '{task.name}' cannot run: {ended.reason}")
        return tuple(reports[task.name] for task in waiting)

    def __getitem__(self, name: str) -> Any:
        """Return the value of what a task made, by the artifact's name.

        Raises
        ------
        UsageError
            If nothing of that name has been made.
        """
        made = self._begun[0].schedule.made if self._begun else {}
        if name not in made:
            known = ", ".join(made) or "nothing yet"
            raise UsageError(f"there is no '{name}' so far", f"made so far: {known}")
        return self.project.store.load(made[name], self._execution.dag.producers[name].outputs[name])

    def run(self) -> RunReport:
        """Go through all steps and finish; how the tasks ended stands in the report.

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
                self._settle()
            return self.finish()

    def finish(self) -> RunReport:
        """Close the run after its last step and return how the tasks ended; once is enough."""
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
        """Begin; the run is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the run, or give it up where an exception ends the block."""
        if error is None:
            self.finish()
        elif self._begun is not None and self._ended is None:
            self._give_up()

    def _begin(self) -> tuple[Stepping, RunRecord]:
        if self._ended is not None:
            raise UsageError(
                f"run {self._execution.run_id} is finished", "make another object to go through it again"
            )
        if self._begun is None:
            execution = self._execution
            execution.check()
            record = RunRecord.begin(execution.task_run, execution.targets)
            self._in_progress.enter_context(running(self.project.home, record))
            names = tuple(task.name for task in execution.dag.order)
            started = RunStarted(
                execution.run_id, execution.dag.name, execution.engine, execution.targets, names
            )
            execution.report(started)
            self._begun = Stepping(execution), record
        return self._begun

    def _settle(self) -> None:
        """After a failure run the tasks that are ``last``, and say of all others why they did not run."""
        stepping, _ = self._begin()
        ended = stepping.schedule.reports
        stepping.run([task for task in self._execution.dag.order if task.name not in ended])

    def _give_up(self) -> None:
        assert self._begun is not None
        stepping, record = self._begun
        try:
            self._ended = stepping.finish(good=False)
        except BatonError:  # what ended the block matters more
            self._ended = stepping.schedule.report()
        finally:
            stepping.close()
        write_run(self.project.home, record.interrupted())
        self._in_progress.close()
