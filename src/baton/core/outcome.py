"""How a task or a run ended.  Outcomes are data: engines pass them on, reporters show them."""

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
        """Whether dependent tasks can run."""
        return self in (Outcome.SUCCEEDED, Outcome.CACHED)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task failed.

    Parameters
    ----------
    message : str
        One sentence: the task's own message, or the exception's type and text.
    hint : str
        What the user can do; empty if the task gave none.
    traceback : str
        The full traceback, or empty if the task explained its failure.
    is_final : bool
        Whether a retry could not change the outcome, so none is made.
    has_lost_input : bool
        Whether an input was missing from the store, or corrupt and removed: an engine can rebuild it
        and continue.
    """

    message: str
    hint: str = ""
    traceback: str = ""
    is_final: bool = False
    has_lost_input: bool = False


@dataclass(frozen=True, slots=True)
class TaskReport:
    """The end of one task run, with references to its outputs.

    Parameters
    ----------
    task : str
        Name of the task.
    outcome : Outcome
        How it ended.
    outputs : mapping of str to Artifact
        The references by output name; empty unless the outcome is good.
    reason : str
        Why it ran or did not run.
    duration_s : float
        Wall time of this task run in seconds, including loading and storing.
    facts : tuple of (str, str)
        Facts that the task reported, for example ``("RMSE", "6.6077")``.
    failure : Failure, optional
        Set when the outcome is `Outcome.FAILED`.
    attempts : int
        Number of attempts, at least 1 if it ran.
    key : str
        Cache key; empty for an effect that keeps no record.
    tracking_run_id : str
        The tracking run that the task added to; empty if none.
    products : tuple of str
        Paths of the files that an effect left for people.
    unremembered : str
        Why the task kept its result out of the cache; empty if it did not.
    wrongly_remembered : str
        How the cached result differs from a new one computed to check it; empty if it does not.
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
        One per selected task.
    duration_s : float
        Wall time of the run in seconds.
    tracking_run_id : str
        The tracking run's id; empty if there is none.
    """

    run_id: str
    tasks: tuple[TaskReport, ...]
    duration_s: float = 0.0
    tracking_run_id: str = ""

    @property
    def is_good(self) -> bool:
        """Whether every task succeeded, was cached, or was skipped deliberately."""
        return all(t.outcome.is_good or t.outcome is Outcome.SKIPPED for t in self.tasks)

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The facts that all tasks reported, in task order."""
        return tuple(fact for report in self.tasks for fact in report.facts)

    @property
    def wrongly_remembered(self) -> tuple[TaskReport, ...]:
        """The tasks whose cached result differs from the one computed again."""
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
        """Return a copy of the report with the tracking run's id."""
        return replace(self, tracking_run_id=run_id)

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """References to all outputs of the run, by artifact name."""
        return {name: made for report in self.tasks for name, made in report.outputs.items()}
