"""The interface of an engine, which decides when and where the tasks of an execution run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from baton.core.dag import Dag
from baton.core.outcome import RunReport
from baton.core.parameters import leaves
from baton.errors import InvalidPipeline
from baton.runs.execution import Execution

USE_CACHE, FORCE = "use_cache", "force"
"""Fields of an orchestrator's form that say how to run, besides the pipeline's parameters."""


def refuse_taken_fields(dag: Dag, orchestrator: str) -> None:
    """Refuse a pipeline with parameters that have the names of these fields.

    Raises
    ------
    InvalidPipeline
        If there are any.
    """
    taken = [leaf.name for leaf in leaves(dag.parameters) if leaf.name in (USE_CACHE, FORCE)]
    if taken:
        raise InvalidPipeline(
            dag.name,
            [f"parameter '{name}' has a name that baton reserves in {orchestrator}" for name in taken],
        )


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options of a run that do not depend on the pipeline.

    Parameters
    ----------
    keep_going : bool
        Whether tasks that do not depend on a failed one still run.
    jobs : int, optional
        Maximum number of concurrent tasks, at least 1; None lets the engine choose.
    """

    keep_going: bool = False
    jobs: int | None = None


class Engine(Protocol):
    """Runs executions.  To add an engine, register an entry point in the group ``baton.engines``.

    Test an engine with `baton.testing.EngineSuite`.
    """

    name: str
    description: str
    uses_cache: bool
    """Whether to use cached results if neither ``--cache`` nor ``--no-cache`` is given."""
    effects_once: bool
    """Whether to skip an effect that already succeeded with the same work."""

    def check(self) -> None:
        """Raise `baton.errors.Unavailable` if the engine cannot be used here."""

    def run(self, execution: Execution, options: EngineOptions) -> RunReport:
        """Run every task of the execution's DAG, close its tracking run, and return the outcomes.

        A failed task is part of the report, never an exception; an interrupt propagates.
        """
