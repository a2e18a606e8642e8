"""What an engine is: it decides when and where the tasks of an execution run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from baton.core.outcome import RunReport
from baton.runs.execution import Execution


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run, whatever the pipeline.

    Parameters
    ----------
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    jobs : int, optional
        How many tasks may run at once, at least 1; the engine chooses where None.
    """

    keep_going: bool = False
    jobs: int | None = None


class Engine(Protocol):
    """Runs executions.  A third party adds one with an entry point in the group ``baton.engines``.

    An engine proves itself with `baton.testing.EngineSuite`.
    """

    name: str
    description: str
    uses_cache: bool
    """Whether remembered results are used where the user says neither ``--cache`` nor ``--no-cache``."""
    effects_once: bool
    """Whether an effect that was the same work when it last succeeded is left out."""

    def check(self) -> None:
        """Raise `baton.errors.Unavailable` if the engine cannot be used here."""

    def run(self, execution: Execution, options: EngineOptions) -> RunReport:
        """Run every task of the execution's DAG, close its tracking run, and report the ends.

        A failed task is part of the report, never an exception; an interrupt passes.
        """
