"""The Pareto front of a table: the trials, or arms over seeds, that none of the others dominates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from assay.costs.ledger import entries, total
from assay.planning import Plan
from assay.results.intervals import Difference, difference, difference_over_seeds
from assay.results.outcome import TrialOutcome
from assay.results.ranking import mean_objectives
from assay.results.rows import Row
from assay.sweep.objectives import Objective, is_cost
from assay.text import plural
from assay.workload import Stage

MOST_NAMES = 5
"""In a note."""


def dominates(first: Sequence[float], other: Sequence[float]) -> bool:
    """Whether the first point is nowhere larger than the other, and somewhere smaller."""
    return all(a <= b for a, b in zip(first, other, strict=True)) and tuple(first) != tuple(other)


def non_dominated(points: Sequence[Sequence[float]]) -> list[int]:
    """The positions of the points that no other dominates. Smaller is better; equal points dominate neither."""
    front: list[int] = []
    # In lexicographic order no point dominates an earlier one, and domination is transitive.
    for number in sorted(range(len(points)), key=lambda number: tuple(points[number])):
        if not any(dominates(points[other], points[number]) for other in front):
            front.append(number)
    return sorted(front)


@dataclass(frozen=True)
class Front:
    """The Pareto front by several objectives."""

    objectives: tuple[Objective, ...]
    """Those of the sweep that some trial has a value of; with fewer than two there is no front."""
    names: tuple[str, ...]
    """Its trials, or arms over seeds, in the order of the table."""
    others: tuple[str, ...]
    """Those that one of these dominates."""
    near: tuple[str, ...]
    """Those of the others that noise alone may keep off it."""
    unknown: Mapping[str, tuple[str, ...]]
    """Objective → the ranked trials or arms that have no value of it to compare, and so cannot be on it."""
    left_out: tuple[str, ...]
    """Objectives that all of them lack."""

    def has(self, row: Row) -> bool | None:
        """Whether a trial, or its arm, is on it; None if it was not considered."""
        known = (self.has_name(name) for name in (row.trial, row.arm_name))
        return None if row.rank is None else next((on_it for on_it in known if on_it is not None), None)

    def has_name(self, name: str) -> bool | None:
        """Whether a trial, or an arm over seeds, is on it; None if it was not considered."""
        return self._standings.get(name)

    @cached_property
    def _standings(self) -> dict[str, bool]:
        return {**dict.fromkeys(self.others, False), **dict.fromkeys(self.names, True)}

    def notes(self, noun: str) -> list[str]:
        """`noun`: "trial" or "arm"."""
        about = ", ".join(map(str, self.objectives))
        considered = len(self.names) + len(self.others)
        notes = [f"left out of the Pareto front: {name} is unknown of every {noun}" for name in self.left_out]
        if considered:
            notes.append(
                f"Pareto front of {about}: {len(self.names):,} of {plural(considered, noun)}; each of the others is "
                "nowhere better than one of these, and somewhere worse"
            )
        if self.near:
            notes.append(f"may be on the Pareto front too, within noise: {_listed(self.near)}")
        for name, lacking in self.unknown.items():
            notes.append(
                f"not considered for the Pareto front: {name} is unknown, or measured otherwise: {_listed(lacking)}"
            )
        return notes


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return "; ".join(names[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


@dataclass(frozen=True)
class _Candidate:
    """A trial, or an arm's trials over seeds."""

    name: str
    rows: Sequence[Row]

    @cached_property
    def values(self) -> Mapping[str, float]:
        """Objective → its mean over seeds, if all of them have it."""
        return mean_objectives(self.rows)

    def gap(self, other: _Candidate, name: str) -> Difference | None:
        """The difference from another in an objective."""
        (ours, *more), (theirs, *_) = self.rows, other.rows
        if more:
            by_seed = ({row.seed: row.objectives[name] for row in each.rows} for each in (self, other))
            return difference_over_seeds(*by_seed)
        if name in ours.estimates:
            return difference(ours.estimates[name], theirs.estimates[name])
        return Difference(ours.objectives[name] - theirs.objectives[name], 0.0)  # a cost is what it was


def front_of(groups: Mapping[str, Sequence[Row]], objectives: Sequence[Objective]) -> Front:
    """The front of trials, or of arms with a row per seed, by name in the order of the table."""
    every = [_Candidate(name, rows) for name, rows in groups.items()]
    used = [o for o in objectives if any(o.name in each.values for each in every)]
    left_out = tuple(o.name for o in objectives if o not in used and every)
    unknown = {o.name: tuple(each.name for each in every if o.name not in each.values) for o in used}
    if len(used) < 2:
        return Front(tuple(used), (), (), (), {}, left_out)
    able = [each for each in every if all(o.name in each.values for o in used)]
    points = [[o.sign * each.values[o.name] for o in used] for each in able]
    on_it = set(non_dominated(points))
    front = [(able[number], points[number]) for number in sorted(on_it)]
    others = [(each, points[number]) for number, each in enumerate(able) if number not in on_it]
    near = [
        each.name
        for each, point in others
        if all(_is_within_noise(each, better, used) for better, at in front if dominates(at, point))
    ]
    return Front(
        objectives=tuple(used),
        names=tuple(each.name for each, _ in front),
        others=tuple(each.name for each, _ in others),
        near=tuple(near),
        unknown={name: names for name, names in unknown.items() if names},
        left_out=left_out,
    )


def _is_within_noise(dominated: _Candidate, better: _Candidate, objectives: Sequence[Objective]) -> bool:
    """Whether it may in truth be better in some objective."""
    gaps = (dominated.gap(better, objective.name) for objective in objectives)
    return any(gap is not None and gap.noise and not gap.is_beyond_noise for gap in gaps)


def objectives_of(plan: Plan, trial: TrialOutcome) -> dict[str, float]:
    """The values of the sweep's objectives at the highest rung that a trial reached, as far as they are known."""
    reached = trial.planned.reached(trial.results)
    if reached is None:
        return {}
    rung, leaf = reached
    climbed = trial.planned.rungs[: trial.planned.rungs.index(rung) + 1]
    stages = {stage.key: stage for each in climbed for stage in each.stages}
    values = {
        o.name: leaf.metrics[o.name] if o.name in leaf.metrics else _cost(plan, trial, o.name, list(stages.values()))
        for o in plan.sweep.objectives
    }
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _cost(plan: Plan, trial: TrialOutcome, name: str, stages: Sequence[Stage]) -> float:
    """NaN if it is unknown. As in the table, device-days are those of the stages on declared devices, if there are any:
    on a cluster some stages need CPUs alone."""
    of, _, kind = name.rpartition(".")
    results = [trial.results[s.key] for s in stages if of in ("", s.name) and s.key in trial.results]
    if not is_cost(plan.hints, name):
        return math.nan
    if not results or (kind != "seconds" and trial.planned.workload.report.days != plan.hints.days):  # units differ
        return math.nan
    if kind == "seconds":
        return sum(result.cost.seconds for result in results)
    spent = total(entries(results, plan.hints.days))
    return spent.device_days if spent.unknown < spent.stages else math.nan
