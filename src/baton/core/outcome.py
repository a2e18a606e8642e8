"""How a task or a run ended.  An end is data: engines pass it along, reporters show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from baton.core.artifact import Artifact


class Outcome(Enum):
    """The end of one task run."""

    SUCCEEDED = "succeeded"
    CACHED = "cached"
    FAILED = "failed"
    UPSTREAM_FAILED = "upstream failed"
    SKIPPED = "skipped"

    @property
    def is_good(self) -> bool:
        """Whether what depends on the task can run."""
        return self in (Outcome.SUCCEEDED, Outcome.CACHED)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task failed.

    Parameters
    ----------
    message : str
        One sentence: the task's own words, or the exception's type and text.
    hint : str
        What the user can do; empty where the task gave none.
    traceback : str
        The full traceback where the task did not explain itself, else empty.
    is_final : bool
        Whether another attempt could not end otherwise, so that none is made.
    has_lost_input : bool
        Whether an input was gone from the store, or corrupt and removed: an engine that makes it again
        can go on.
    """

    message: str
    hint: str = ""
    traceback: str = ""
    is_final: bool = False
    has_lost_input: bool = False


@dataclass(frozen=True, slots=True)
class TaskReport:
    """The end of one task run, with references to what it made.

    Parameters
    ----------
    task : str
        Name of the task.
    outcome : Outcome
        How it ended.
    outputs : mapping of str to Artifact
        The references by output name; empty unless the outcome is good.
    reason : str
        Why it ran, or why it did not.
    duration_s : float
        Wall time of this task run in seconds, loading and storing included.
    facts : tuple of (str, str)
        What the task reported for people, for example ``("RMSE", "6.6077")``.
    failure : Failure, optional
        Set when the outcome is `Outcome.FAILED`.
    attempts : int
        How often the task was tried, at least 1 where it ran.
    key : str
        Cache key; empty for an effect of which nothing is remembered.
    tracking_run_id : str
        The tracking run that the task added to; empty where it added to none.
    products : tuple of str
        Paths of what an effect left for people.
    unremembered : str
        Why the task asked not to have its result remembered; empty where it did not.
    wrongly_remembered : str
        What differed from the remembered result that was computed again to check it; else empty.
    """

    task: str
    outcome: Outcome
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    reason: str = ""
    duration_s: float = 0.0
    facts: tuple[tuple[str, str], ...] = ()
    failure: Failure | None = None
    attempts: int = 1
    key: str = ""
    tracking_run_id: str = ""
    products: tuple[str, ...] = ()
    unremembered: str = ""
    wrongly_remembered: str = ""


@dataclass(frozen=True, slots=True)
class RunReport:
    """The end of one run of a pipeline.

    Parameters
    ----------
    run_id : str
        Identifies the run in the project's folder.
    tasks : tuple of TaskReport
        One for each selected task.
    duration_s : float
        Wall time of the run in seconds.
    tracking_run_id : str
        The tracking run's id; empty where none was made.
    """

    run_id: str
    tasks: tuple[TaskReport, ...]
    duration_s: float = 0.0
    tracking_run_id: str = ""

    @property
    def is_good(self) -> bool:
        """Whether every task succeeded, was cached, or was skipped on purpose."""
        return all(t.outcome.is_good or t.outcome is Outcome.SKIPPED for t in self.tasks)

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What all tasks reported for people, in the order of the tasks."""
        return tuple(fact for report in self.tasks for fact in report.facts)

    @property
    def wrongly_remembered(self) -> tuple[TaskReport, ...]:
        """The tasks whose remembered result was computed again and was another."""
        return tuple(report for report in self.tasks if report.wrongly_remembered)

    def outcome_of(self, task: str) -> Outcome:
        """Return how `task` ended.

        Raises
        ------
        KeyError
            If the task was not part of the run.
        """
        return self.of(task).outcome

    def of(self, task: str) -> TaskReport:
        """Return the report of `task`.

        Raises
        ------
        KeyError
            If the task was not part of the run.
        """
        for report in self.tasks:
            if report.task == task:
                return report
        raise KeyError(task)

    def tracked(self, run_id: str) -> RunReport:
        """Return the report with the tracking run's id."""
        return replace(self, tracking_run_id=run_id)

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """References to everything that the run's tasks made, by artifact name."""
        return {name: made for report in self.tasks for name, made in report.outputs.items()}
