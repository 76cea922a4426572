"""Where two metrics order arms differently.

Of n arms there are n(n − 1)/2 pairs. Kendall's τ (1938, "A new measure of rank correlation") is the share of pairs that
two metrics order alike minus that of pairs that they order differently: 1 for the same order, −1 for the reverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from assay.results.intervals import Difference, difference, difference_over_seeds
from assay.results.ranking import rows_by_arm
from assay.results.rows import Row
from assay.results.table import Table
from assay.sweep.objectives import Objective


@dataclass(frozen=True)
class Disagreement:
    """Two arms that two metrics order differently. A difference is that of `better` minus `worse`."""

    better: str
    """By the first metric."""
    worse: str
    """By the first metric; the better one by the second."""
    by_first: Difference
    by_second: Difference

    @property
    def certainty(self) -> int:
        """How many of the two differences exceed their noise."""
        return sum(bool(each.is_beyond_noise) for each in (self.by_first, self.by_second))


@dataclass(frozen=True)
class Agreement:
    """How two metrics order the arms."""

    first: str
    second: str
    alike: int
    """Number of pairs of arms that both order alike; pairs with a tie count for neither side."""
    disagreements: tuple[Disagreement, ...]
    """Those that exceed their noise first."""

    @property
    def num_pairs(self) -> int:
        return self.alike + len(self.disagreements)

    @property
    def tau(self) -> float:
        return (self.alike - len(self.disagreements)) / self.num_pairs


def agreements(table: Table) -> list[Agreement]:
    """The agreement of every two metrics among the objectives, whose directions the sweep says. Pairs without two arms
    that measure both are left out.

    Differences are over the seeds that two arms share, or with one seed by the jackknife over samples.
    """
    metrics = [objective for objective in table.objectives if objective.name in table.metrics]
    found = [_agreement(table, first, second) for first, second in combinations(metrics, 2)]
    return [each for each in found if each.num_pairs]


def _agreement(table: Table, first: Objective, second: Objective) -> Agreement:
    alike, disagreements = 0, []
    for (name, rows), (other, others) in combinations(rows_by_arm(table.rows).items(), 2):
        gaps = [_difference(objective, rows, others) for objective in (first, second)]
        if gaps[0] is None or gaps[1] is None or not gaps[0].value or not gaps[1].value:
            continue
        is_better = gaps[0].value * first.sign < 0
        if is_better == (gaps[1].value * second.sign < 0):
            alike += 1
        elif is_better:
            disagreements.append(Disagreement(name, other, gaps[0], gaps[1]))
        else:
            disagreements.append(Disagreement(other, name, _negated(gaps[0]), _negated(gaps[1])))
    ordered = sorted(disagreements, key=lambda each: -each.certainty)
    return Agreement(first.name, second.name, alike, tuple(ordered))


def _difference(objective: Objective, rows: Sequence[Row], others: Sequence[Row]) -> Difference | None:
    """The difference of two arms in a metric; None unless both have it, measured alike."""
    name = objective.name
    ours, theirs = ({row.seed: row for row in each if name in row.estimates} for each in (rows, others))
    shared = [seed for seed in ours if seed in theirs]
    conditions = [row.conditions_of.get(name) for seed in shared for row in (ours[seed], theirs[seed])]
    if not shared or any(each != conditions[0] for each in conditions):
        return None
    if len(shared) == 1:
        return difference(ours[shared[0]].estimates[name], theirs[shared[0]].estimates[name])
    values = [{seed: each[seed].estimates[name].value for seed in shared} for each in (ours, theirs)]
    return difference_over_seeds(values[0], values[1])


def _negated(difference: Difference) -> Difference:
    return Difference(-difference.value, difference.noise)
