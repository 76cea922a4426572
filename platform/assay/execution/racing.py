"""Which trials of a race continue, decided as they reach a rung, on a cluster as in this process. Pure: the decisions
equal those of Ray Tune's schedulers for trials that arrive in the same order."""

from __future__ import annotations

import math
from typing import Literal, Protocol

import numpy as np

from assay.sweep import Scheduler
from assay.workload import load_attribute

WORST = 1e300
"""The score of a metric that is not a number. Finite, since cutoffs are interpolated."""
FEWEST_OTHERS = 3
"""The smallest number of trials to take a median over."""


class Rule(Protocol):
    """The `rule` of a scheduler whose trials do not wait for each other; a new one for every run."""

    def __init__(self, scheduler: Scheduler) -> None:
        """From the sweep's section: rungs, divisor, and the scheduler's own options."""

    def ends(self, trial: int, rung: int, score: float) -> bool:
        """Whether a trial should end at a rung, both counted from 0. Higher scores are better.

        Called in order of arrival, also for the last rung and for stored results; again for a trial that starts over.
        """


def make_rule(scheduler: Scheduler) -> Rule | None:
    """The rule of a scheduler; None if it does not decide as trials arrive."""
    return None if scheduler.facts.rule is None else load_attribute(scheduler.facts.rule)(scheduler)


def score(value: float, mode: Literal["min", "max"]) -> float:
    """A metric as a number, higher is better."""
    return -WORST if math.isnan(value) else min(max(value if mode == "max" else -value, -WORST), WORST)


class HyperBand:
    """Asynchronous HyperBand (https://arxiv.org/abs/1810.05934): one race per rung, which starts to end trials at that
    rung. A trial is assigned to a race at random, the same in every run."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._divisor = scheduler.divisor
        self._races = [_num_rungs(scheduler, first) for first in self._first_rungs(scheduler)]
        self._scores: dict[tuple[int, int], dict[int, float]] = {}
        """Race and rung → trial → its score there."""

    def _first_rungs(self, scheduler: Scheduler) -> range:
        return range(len(scheduler.rungs))

    def ends(self, trial: int, rung: int, score: float) -> bool:
        race = self._race(trial)
        if rung < race:
            return False
        scores = self._scores.setdefault((race, rung), {})
        if trial in scores:
            return False
        others = list(scores.values())
        scores[trial] = score
        return bool(others and score < np.percentile(others, (1 - 1 / self._divisor) * 100))

    def _race(self, trial: int) -> int:
        """The probability of a race is proportional to e to the power of its number of rungs."""
        odds = np.exp(np.array(self._races) - max(self._races))
        return int(np.random.RandomState(trial).choice(len(odds), p=odds / odds.sum()))


class Asha(HyperBand):
    """Asynchronous successive halving: a trial continues if it is among the best 1/divisor of those that have reached
    the rung."""

    def _first_rungs(self, scheduler: Scheduler) -> range:
        return range(1)


def _num_rungs(scheduler: Scheduler, first: int) -> int:
    """Rungs of a race from its first, and one beyond. Rounded like Ray Tune, which takes logarithms."""
    beyond = scheduler.divisor ** len(scheduler.rungs)
    return int(np.log(beyond) / np.log(scheduler.divisor) - first + 1)


class Median:
    """A trial ends when its best is worse than the median of the others' means up to the rung
    (https://research.google.com/pubs/pub46180.html)."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scores: dict[int, dict[int, float]] = {}
        """Trial → rung → its score there."""

    def ends(self, trial: int, rung: int, score: float) -> bool:
        self._scores.setdefault(trial, {})[rung] = score
        means = [
            np.mean([value for at, value in scores.items() if at <= rung])
            for other, scores in self._scores.items()
            if other != trial and max(scores) >= rung
        ]
        return len(means) >= FEWEST_OTHERS and bool(np.median(means) > max(self._scores[trial].values()))
