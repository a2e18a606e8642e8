"""What an engine is: it decides when and where the tasks of a DAG run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from baton.core.dag import Dag
from baton.core.execute import TaskRun
from baton.core.outcome import RunReport


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run, whatever the pipeline.

    Parameters
    ----------
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    jobs : int
        How many tasks may run at once, at least 1.
    """

    keep_going: bool = False
    jobs: int = 1


class Engine(Protocol):
    """Runs DAGs.  A third party adds one with an entry point in the group ``baton.engines``.

    An engine proves itself with `baton.testing.EngineSuite`.
    """

    name: str
    description: str

    def check(self) -> None:
        """Raise `baton.errors.Unavailable` if the engine cannot be used here."""

    def run(self, dag: Dag, run: TaskRun, options: EngineOptions) -> RunReport:
        """Run every task of `dag` and report how each one ended.

        A failed task is part of the report, never an exception; an interrupt passes.
        """
