"""Show a run in progress: a live view on a terminal, one line per task elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from baton.cli.output import say
from baton.core.events import (
    Event,
    Reporter,
    RunFinished,
    RunNoted,
    RunStarted,
    TaskFinished,
    TaskLogged,
    TaskProgressed,
    TaskRetried,
    TaskStarted,
    ignore_events,
)
from baton.core.outcome import Outcome, TaskReport

if TYPE_CHECKING:
    from rich.progress import TaskID

_COLOURS = {
    Outcome.SUCCEEDED: "green",
    Outcome.CACHED: "cyan",
    Outcome.FAILED: "red",
    Outcome.UPSTREAM_FAILED: "yellow",
    Outcome.SKIPPED: "yellow",
}


@contextmanager
def reporting(*, quiet: bool, verbose: bool, reasons: bool = False) -> Iterator[Reporter]:
    """Yield a reporter: a live view on a terminal, one line per task elsewhere."""
    if quiet:
        yield ignore_events
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not verbose:
        live = LiveReporter(reasons=reasons)
        try:
            yield live
        finally:
            live.close()
    else:
        yield LineReporter(verbose=verbose, reasons=reasons or verbose)


class LineReporter:
    """Shows a run as lines, one per finished task.

    Parameters
    ----------
    verbose : bool
        Whether to show starts and tasks' own messages, too.
    reasons : bool
        Whether to show why each task ran or did not.
    """

    def __init__(self, *, verbose: bool = False, reasons: bool = False) -> None:
        self._verbose = verbose
        self._reasons = reasons
        self._width = 0

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case RunStarted():
                self._width = max((len(name) for name in event.tasks), default=0)
                say(headline(event))
            case RunNoted():
                say(event.message)
            case TaskStarted() if self._verbose:
                say(f"{event.task:{self._width}}  started: {event.reason}")
            case TaskLogged() if self._verbose:
                say(f"{event.task:{self._width}}  {event.message}")
            case TaskRetried():
                say(f"{event.task:{self._width}}  {retry_text(event)}")
            case TaskFinished():
                say(task_line(event.report, self._width, with_reason=self._reasons))


class LiveReporter:
    """Shows a run on a terminal.

    Parameters
    ----------
    reasons : bool
        Whether to show why each task ran or did not.
    """

    def __init__(self, *, reasons: bool = False) -> None:
        self._reasons = reasons
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(file=sys.stderr)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[message]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._rows: dict[str, TaskID] = {}
        self._width = 0

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case RunStarted():
                self._width = max((len(name) for name in event.tasks), default=0)
                self._print(headline(event))
                self._progress.start()
            case RunNoted():
                self._print(event.message)
            case TaskStarted():
                name = f"{event.task:{self._width}}"
                self._rows[event.task] = self._progress.add_task(name, total=None, message="")
            case TaskProgressed() if event.task in self._rows:
                self._progress.update(
                    self._rows[event.task], completed=event.done, total=event.total, message=event.message
                )
            case TaskLogged() if event.task in self._rows:
                self._progress.update(self._rows[event.task], message=event.message)
            case TaskRetried():
                self._print(f"{event.task:{self._width}}  {retry_text(event)}")
            case TaskFinished():
                row = self._rows.pop(event.report.task, None)
                if row is not None:
                    self._progress.remove_task(row)
                self._print(task_line(event.report, self._width, with_reason=self._reasons))
            case RunFinished():
                self.close()

    def close(self) -> None:
        """Remove the running tasks from the screen."""
        self._progress.stop()

    def _print(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text.from_ansi(line), soft_wrap=True)


def headline(event: RunStarted) -> str:
    """Return the line that opens a run."""
    return f"run {event.run_id}: {event.pipeline} -> {', '.join(event.targets)} on {event.engine}"


def retry_text(event: TaskRetried) -> str:
    """Return the line for a failed attempt that is followed by another."""
    attempt = f"attempt {event.attempt} of {event.attempts} failed: {event.message}"
    return f"{attempt}; retrying in {event.delay_s:g} s"


def task_line(report: TaskReport, width: int, *, with_reason: bool = False) -> str:
    """Return the line of a finished task."""
    outcome = click.style(f"{report.outcome.value:15}", fg=_COLOURS[report.outcome])
    seconds = f"{report.duration_s:7.2f} s" if report.outcome.is_good or report.failure else " " * 9
    shown = with_reason or report.outcome in (Outcome.UPSTREAM_FAILED, Outcome.SKIPPED)
    reason = f"  {report.reason}" if shown and report.reason else ""
    return f"{report.task:{width}}  {outcome} {seconds}{reason}".rstrip()
