"""One pipeline on several engines, on the same data: what each cost, and whether all made the same.

Each engine runs as the command that a user would type, in a process of its own, so that what one
engine has imported is no help to the next.  What is compared are the outputs of pure tasks, by their
digests; what effects return (ids, times) differs from run to run by its nature.
"""

from baton.comparison.result import Comparison, Difference, EngineRun, Machine, Unusable
from baton.comparison.run import compare

__all__ = ["Comparison", "Difference", "EngineRun", "Machine", "Unusable", "compare"]
