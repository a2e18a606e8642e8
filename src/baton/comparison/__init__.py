"""Run one pipeline on several engines with the same data, and compare costs and results.

Each engine runs as the command that a user would type, in its own process, so that imports of one engine
do not help the next.  Compared are the digests of pure tasks' outputs; the results of effects (ids,
times) always differ.
"""

from baton.comparison.result import Comparison, Difference, EngineRun, Machine, Unusable
from baton.comparison.run import compare

__all__ = ["Comparison", "Difference", "EngineRun", "Machine", "Unusable", "compare"]
