"""The live view of a run on a terminal: finished tasks as lines, running ones with their progress."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from baton.cli.output import headline, retry_text, task_line
from baton.core.events import (
    Event,
    RunFinished,
    RunNoted,
    RunStarted,
    TaskFinished,
    TaskLogged,
    TaskProgressed,
    TaskRetried,
    TaskStarted,
)


class LiveReporter:
    """Shows a run on a terminal.

    Parameters
    ----------
    reasons : bool
        Whether it is shown why each task ran or did not.
    """

    def __init__(self, *, reasons: bool = False) -> None:
        self._reasons = reasons
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
        """Take the running tasks off the screen."""
        self._progress.stop()

    def _print(self, line: str) -> None:
        self._console.print(Text.from_ansi(line), soft_wrap=True)
