"""Rank the comparable trials, give the reason for each of the others, and average over seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from assay.planning.comparability import differing
from assay.results.intervals import difference, difference_over_seeds, half_width_over_seeds
from assay.results.rows import ArmSummary, Row
from assay.text import value_in_words
from assay.workload import JSON

Conditions = tuple[tuple[str, JSON], ...]


def ranked(rows: Sequence[Row], metric: str, mode: str) -> tuple[Row, ...]:
    """Ranked rows, best first, then those that are not comparable, those without a value, and those that failed."""
    measured = [row for row in rows if _is_measured(row, metric)]
    names = differing([row.conditions for row in measured])
    conditions = _ranked_conditions([_conditions(row, names) for row in measured])
    ordered = []
    for row in rows:
        rank, reason = None, ""
        if _is_measured(row, metric):
            is_ranked = _conditions(row, names) == conditions
            rank, reason = (0, "") if is_ranked else (None, _unranked_reason(row, dict(conditions)))
        ordered.append(replace(row, rank=rank, unranked=reason, from_best=None))
    ordered.sort(key=lambda row: _order(row, metric, mode))
    for number, row in enumerate(ordered):
        if row.rank is not None:
            gap = difference(row.estimates[metric], ordered[0].estimates[metric]) if number else None
            ordered[number] = replace(row, rank=number + 1, from_best=gap)
    return tuple(ordered)


def arms_over_seeds(rows: Sequence[Row], metric: str, mode: str) -> tuple[ArmSummary, ...]:
    """The ranked rows averaged per arm, best first; empty if they are of one seed.

    Arms that have all seeds come first; the others follow, since means over different seeds are not comparable. In a
    race only trials that reached the highest rung count.
    """
    rows_of = rows_by_arm(rows)
    values = {name: {row.seed: row.metrics[metric] for row in own} for name, own in rows_of.items()}
    seeds = sorted({seed for own in values.values() for seed in own})
    if len(seeds) < 2:
        return ()
    sign = 1 if mode == "min" else -1
    order = sorted(values, key=lambda name: (-len(values[name]), fmean(values[name].values()) * sign))
    best = values[order[0]]
    arms = []
    for rank, name in enumerate(order, start=1):
        by_seed, own = values[name], list(values[name].values())
        gap = difference_over_seeds(by_seed, best) if rank > 1 and len(best) == len(seeds) else None
        spread = stdev(own) if len(own) > 1 else None
        lacks = tuple(seed for seed in seeds if seed not in by_seed)
        interval, means = half_width_over_seeds(own), mean_objectives(rows_of[name])
        arms.append(ArmSummary(name, rank, len(own), fmean(own), spread, interval, gap, lacks, means))
    return tuple(arms)


def rows_by_arm(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The ranked rows per arm; in a race, those that reached the highest rung."""
    ranked_rows = [row for row in rows if row.rank is not None]
    farthest = max((row.reached_amount for row in ranked_rows), default=0)
    arms: dict[str, list[Row]] = {}
    for row in ranked_rows:
        if row.reached_amount == farthest:
            arms.setdefault(row.arm_name, []).append(row)
    return arms


def mean_objectives(rows: Sequence[Row]) -> dict[str, float]:
    """The mean of each objective that all of the rows have."""
    known = [name for name in rows[0].objectives if all(name in row.objectives for row in rows)]
    return {name: fmean(row.objectives[name] for row in rows) for name in known}


def _is_measured(row: Row, metric: str) -> bool:
    return row.failure is None and math.isfinite(row.metrics.get(metric, math.nan))


def _conditions(row: Row, names: Sequence[str]) -> Conditions:
    return tuple((name, row.conditions.get(name)) for name in names)


def _ranked_conditions(conditions: Sequence[Conditions]) -> Conditions:
    """The conditions of the trials to rank: the most common texts, and among these the largest numbers.

    In a race over the number of measured items, few trials reach the last rung, and these are the ones to rank.
    """
    if not conditions:
        return ()
    words = Counter(map(_words, conditions))
    same = Counter(map(_identity, conditions))
    return max(conditions, key=lambda c: (words[_words(c)], _numbers(c), same[_identity(c)]))


def _identity(conditions: Conditions) -> tuple[float | str, ...]:
    return tuple(float(value) if isinstance(value, int | float) else str(value) for _, value in conditions)


def _words(conditions: Conditions) -> tuple[str, ...]:
    return tuple(str(value) for _, value in conditions if not isinstance(value, int | float))


def _numbers(conditions: Conditions) -> tuple[float, ...]:
    return tuple(float(value) for _, value in conditions if isinstance(value, int | float))


def _unranked_reason(row: Row, conditions: Mapping[str, JSON]) -> str:
    """ "num_rows 5,000, not 50,000" """
    return "; ".join(
        f"{name} {value_in_words(row.conditions.get(name))}, not {value_in_words(value)}"
        for name, value in conditions.items()
        if row.conditions.get(name) != value
    )


def _order(row: Row, metric: str, mode: str) -> tuple[int, tuple[float, ...], float]:
    value = row.metrics.get(metric, math.nan)
    signed = value if mode == "min" else -value
    if row.failure is not None:
        return 4, (), 0.0
    if row.rank is not None:
        return 0, (), signed
    if row.unranked:
        return 1, tuple(-n for n in _numbers(tuple(row.conditions.items()))), signed
    return (2 if row.metrics else 3), (), 0.0
