"""What the scripts of ``examples/`` print: the reference's lines, one pair for each target group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baton.cli.output import replace_unknown_characters, say, show_data
from baton.cli.reporters import retry_text
from baton.core.events import Event, RunNoted, RunStarted, TaskFinished, TaskRetried, TaskStarted
from baton.core.outcome import Outcome, RunReport, TaskReport
from baton.core.parameters import flatten

if TYPE_CHECKING:
    from baton.runs.project import Project

_WIDTH = 50


class ScriptReporter:
    """Prints a run on stdout as the reference does: target, data, each group's start and end.

    Parameters
    ----------
    project : Project
        What is run.
    forced : bool
        Whether everything runs, whatever is remembered.
    """

    def __init__(self, project: Project, *, forced: bool) -> None:
        self._project = project
        self._forced = forced
        self._waiting: dict[str, set[str]] = {}
        self._ended: dict[str, list[TaskReport]] = {}
        self._announced: set[str] = set()
        replace_unknown_characters()  # every terminal shows the words; not every one knows the pictures

    def __call__(self, event: Event) -> None:
        """Print what is to be said of one event."""
        match event:
            case RunStarted():
                for name in event.tasks:
                    self._waiting.setdefault(self._group(name), set()).add(name)
                self._show_headline(event)
            case RunNoted():
                say(event.message)
            case TaskStarted():
                self._announce(self._group(event.task))
            case TaskRetried():
                show_data(f"🔁 Task '{event.task}': {retry_text(event)}")
            case TaskFinished():
                self._take(event.report)

    def _group(self, task: str) -> str:
        return self._project.dag.task(task).group

    def _show_headline(self, event: RunStarted) -> None:
        show_data(f"🎯 Target: {', '.join(event.targets)}")
        chosen = flatten(self._project.configuration.parameters)
        if "year" in chosen and "month" in chosen:
            show_data(f"📅 Data: {chosen['year']}-{chosen['month']:02d}")
        show_data(f"🔄 Force rebuild: {self._forced}")
        show_data(f"🚂 Engine: {event.engine}")
        show_data("-" * _WIDTH)

    def _announce(self, group: str) -> None:
        if group not in self._announced:
            self._announced.add(group)
            show_data(f"\n🚀 Running task: {group}")

    def _take(self, report: TaskReport) -> None:
        group = self._group(report.task)
        self._ended.setdefault(group, []).append(report)
        self._waiting[group].discard(report.task)
        if not self._waiting[group]:
            self._show_end(group, self._ended[group])

    def _show_end(self, group: str, reports: list[TaskReport]) -> None:
        """Print how a group ended; its seconds are those of its tasks together."""
        outcomes = {report.outcome for report in reports}
        seconds = f"{sum(report.duration_s for report in reports):.2f}s"
        if Outcome.FAILED in outcomes:
            self._announce(group)
            show_data(f"❌ Task '{group}' failed after {seconds}")
        elif not all(outcome.is_good for outcome in outcomes):
            reason = next(report.reason for report in reports if not report.outcome.is_good)
            show_data(f"\n🚫 Task '{group}' did not run: {reason}")
        elif outcomes == {Outcome.CACHED}:
            show_data(f"\n✅ Task '{group}' is up to date")
        else:
            self._announce(group)
            kept = sum(report.outcome is Outcome.CACHED for report in reports)
            note = f" ({kept} of its {len(reports)} tasks up to date)" if kept else ""
            show_data(f"✅ Task '{group}' completed in {seconds}{note}")
        for label, value in (fact for report in reports for fact in report.facts):
            trained = label == self._project.dag.headline
            show_data(f"{'Model trained successfully. ' if trained else ''}{label}: {value}")


def show_script_end(report: RunReport, headline: str | None) -> None:
    """Print the lines that close a run: how it ended, the figure that says most, the tracking run."""
    show_data("\n" + "=" * _WIDTH)
    if not report.is_good:
        show_data("❌ Pipeline failed")
        return
    show_data("🎉 Pipeline completed successfully!")
    facts = dict(report.facts)
    if headline in facts:
        show_data(f"📊 Final model {headline}: {facts[headline]}")
    if report.tracking_run_id:
        show_data(f"🆔 Model run ID: {report.tracking_run_id}")
        show_data(f"MLflow run_id: {report.tracking_run_id}")
