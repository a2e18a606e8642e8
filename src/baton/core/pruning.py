"""Whether a trial of a sweep is hopeless, from its values after each step of training.

The rule is that of Optuna's median pruner (Golovin et al., "Google Vizier", 2017): a trial ends at a step at
which its best value so far is worse than the median of earlier trials' values at the same step.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import msgspec

LEAST_TRIALS = 5
"""Fewer finished trials say nothing about another one."""

_PRUNED = "pruned after step "

Curve = Sequence[tuple[int, float]]
"""Losses by step, less is better."""


class Bar(msgspec.Struct, frozen=True):
    """What a trial's best loss so far must not exceed, by step.

    Parameters
    ----------
    medians : tuple of (int, float)
        The median loss of earlier trials, by step; empty if too few have ended.
    trials : int
        The number of earlier trials.
    """

    medians: tuple[tuple[int, float], ...] = ()
    trials: int = 0

    @classmethod
    def of(cls, curves: Iterable[Curve], prune_after: int) -> Bar:
        """Return the bar that finished trials set.

        Parameters
        ----------
        curves : iterable of Curve
            The curves of the trials that ended, not those of pruned ones.
        prune_after : int
            No trial ends before it has reported this many steps.

        Examples
        --------
        >>> bar = Bar.of([[(1, 9.0), (2, loss)] for loss in (3.0, 4.0, 5.0, 6.0, 7.0)], 2)
        >>> bar.medians
        ((2, 5.0),)
        >>> bar.verdict([(1, 8.0), (2, 5.5)])
        'pruned after step 2: 5.5 is worse than 5, the median of 5 earlier trials'
        """
        given = [dict(curve) for curve in curves if curve]
        if len(given) < LEAST_TRIALS:
            return cls()
        steps = sorted({step for curve in given for step in list(curve)[prune_after - 1 :]})
        reached = {step: [curve[step] for curve in given if step in curve] for step in steps}
        medians = {
            step: statistics.median(losses) for step, losses in reached.items() if len(losses) >= LEAST_TRIALS
        }
        return cls(tuple(medians.items()), len(given))

    def verdict(self, curve: Curve, sign: float = 1.0) -> str:
        """Return why a trial ends at the last step of its curve; empty if it goes on.

        Parameters
        ----------
        curve : Curve
            The losses so far.
        sign : float
            Makes a loss the number that was reported.
        """
        step, loss = curve[-1]
        median = dict(self.medians).get(step)
        best = min(loss for _, loss in curve)
        if median is None or best <= median:
            return ""
        shown = f"{sign * loss:.6g} is worse than {sign * median:.6g}"
        return f"{_PRUNED}{step}: {shown}, the median of {self.trials} earlier trials"


def is_pruned(reason: str) -> bool:
    """Whether a task was skipped for this reason because its trial was pruned."""
    return reason.startswith(_PRUNED)
