"""The simple engine: one task after another, in topological order."""

from __future__ import annotations

from baton.core.outcome import RunReport
from baton.engines.engine import EngineOptions
from baton.engines.stepping import Stepping
from baton.execution import Execution


class SimpleEngine:
    """Runs one task after another on this machine; nothing to set up."""

    name = "simple"
    description = "this machine, one task after another"
    uses_cache = False
    effects_once = False

    def check(self) -> None:
        """Be always usable."""

    def run(self, execution: Execution, options: EngineOptions) -> RunReport:
        """Run the tasks in topological order.

        After a failure nothing more is started, except tasks that are ``last`` and, with
        ``keep_going``, tasks that do not depend on the failed one.
        """
        stepping = Stepping(execution, keep_going=options.keep_going)
        try:
            for task in execution.dag.order:
                stepping.run(task)
            return stepping.finish()
        finally:
            stepping.close()
