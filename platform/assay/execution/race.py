"""A race by intervals: which trials of a rung are worse than the leader beyond their noise, and when it is over. Pure.

The leader is the trial with the best value. Any other trial's difference d from it has a standard error, by the
jackknife over the blocks that both have, and the interval d ± c·se. The trial is stopped if that excludes 0. With L
rungs and n trials left at this one, c is Student's quantile at 1 − (1 − confidence) / (L (n − 1)), after Bonferroni.

Why this keeps the promise: the best trial is lost only if some leader looks better than it by c·se at some rung. That
is as likely as (1 − confidence) / (L (n − 1)) for each of n − 1 leaders and L rungs, and so no likelier than
1 − confidence for all together. A tie, too, is wrong only if a trial's difference is off by more than c·se.

Trials are compared at equal numbers of samples. A bias b/N that is as large in all of them cancels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from assay.results.intervals import Difference, Estimate, difference
from assay.store import Decision
from assay.sweep import Scheduler
from assay.sweep.search.schedulers import Race


def judge(scheduler: Scheduler, estimates: Mapping[int, Estimate], sign: int) -> dict[int, Decision]:
    """The decision for every trial at a rung, by trial. `sign`: 1 if lower values are better, else −1.

    Trials without a value are stopped. Trials whose noise is unknown continue, and so does the race.
    """
    assert isinstance(scheduler, Race)
    finite = {trial: each for trial, each in estimates.items() if math.isfinite(each.value)}
    if not finite:
        return dict.fromkeys(estimates, "go on")
    leader = min(finite, key=lambda trial: sign * finite[trial].value)
    gaps = _gaps(scheduler, finite, leader, sign)
    left = {trial: gap for trial, gap in gaps.items() if gap.noise is None or gap.value <= gap.noise}
    bound = scheduler.indifference * min(abs(finite[leader].value), abs(finite[leader].unbiased))
    is_tie = all(_is_within(gap, bound) for gap in left.values())
    ending: Decision = "go on" if not is_tie else "tied" if left else "won"
    return {trial: ending if trial == leader or trial in left else "stop" for trial in estimates}


def _gaps(scheduler: Race, finite: Mapping[int, Estimate], leader: int, sign: int) -> dict[int, Difference]:
    """How much worse each other trial is than the leader, with half the width of the interval: 0 or more."""
    others = [trial for trial in finite if trial != leader]
    error = (1 - scheduler.confidence) / (len(scheduler.rungs) * max(1, len(others)))
    gaps = {trial: difference(finite[trial], finite[leader], level=1 - 2 * error) for trial in others}
    return {trial: Difference(sign * gap.value, gap.noise) for trial, gap in gaps.items()}


def _is_within(gap: Difference, bound: float) -> bool:
    """Whether a trial is not much worse than the leader, and cannot be much better."""
    return gap.noise is not None and gap.value <= bound and gap.value - gap.noise >= -bound
