"""A reporter that records its events."""

from __future__ import annotations

from baton.core.events import Event, TaskFinished, TaskLogged, TaskStarted


class RecordingReporter:
    """Records every event, in order.

    Attributes
    ----------
    events : list of Event
        The events so far.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Record one event."""
        self.events.append(event)

    @property
    def started(self) -> list[str]:
        """The tasks that were called, once per attempt, in order."""
        return [event.task for event in self.events if isinstance(event, TaskStarted)]

    @property
    def finished(self) -> list[str]:
        """The tasks that ended, in order."""
        return [event.report.task for event in self.events if isinstance(event, TaskFinished)]

    @property
    def logged(self) -> list[str]:
        """The lines that tasks logged, in order."""
        return [event.message for event in self.events if isinstance(event, TaskLogged)]
