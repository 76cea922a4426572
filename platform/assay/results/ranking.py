"""Which trials are comparable, and their ranking: the others are listed with the reason. Seeds are averaged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from assay.results.estimates import difference, difference_over_seeds, half_width_over_seeds
from assay.results.rows import Arm, Row
from assay.text import value_in_words
from assay.workload import JSON

Conditions = tuple[tuple[str, JSON], ...]


def ranked(rows: Sequence[Row], metric: str, mode: str) -> tuple[Row, ...]:
    """Best first, then those that cannot be compared with them, those without a value, and those that failed."""
    measured = [row for row in rows if _is_measured(row, metric)]
    names = _differing(measured)
    ruling = _ruling([_conditions(row, names) for row in measured])
    told = []
    for row in rows:
        if not _is_measured(row, metric):
            told.append(replace(row, rank=None, unranked="", from_best=None))
        elif _conditions(row, names) != ruling:
            told.append(replace(row, rank=None, unranked=_why_not(row, dict(ruling)), from_best=None))
        else:
            told.append(replace(row, rank=0, unranked="", from_best=None))
    told.sort(key=lambda row: _place(row, metric, mode))
    best = told[0].estimates[metric] if told and told[0].rank is not None else None
    out = []
    for number, row in enumerate(told, start=1):
        if row.rank is None or best is None:
            out.append(row)
        else:
            gap = difference(row.estimates[metric], best) if number > 1 else None
            out.append(replace(row, rank=number, from_best=gap))
    return tuple(out)


def arms_over_seeds(rows: Sequence[Row], metric: str, mode: str) -> tuple[Arm, ...]:
    """The ranked rows summed up by arm, best first; empty where they are of one seed.

    Arms with every seed that some arm has are the ranked ones; the others come below, since the mean of fewer seeds is
    another quantity. In a race a trial counts that came as far as any.
    """
    ranked_rows = [row for row in rows if row.rank is not None]
    farthest = max((row.reached_amount for row in ranked_rows), default=0)
    values: dict[str, dict[int, float]] = {}
    for row in ranked_rows:
        if row.reached_amount == farthest:
            values.setdefault(row.arm_name, {})[row.seed] = row.metrics[metric]
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
        arms.append(Arm(name, rank, len(own), fmean(own), spread, half_width_over_seeds(own), gap, lacks))
    return tuple(arms)


def _is_measured(row: Row, metric: str) -> bool:
    return row.failure is None and math.isfinite(row.metrics.get(metric, math.nan))


def _differing(rows: Sequence[Row]) -> list[str]:
    """The conditions that are not the same for all."""
    names = dict.fromkeys(name for row in rows for name in row.conditions)
    return [name for name in names if len({value_in_words(row.conditions.get(name)) for row in rows}) > 1]


def _conditions(row: Row, names: Sequence[str]) -> Conditions:
    return tuple((name, row.conditions.get(name)) for name in names)


def _ruling(conditions: Sequence[Conditions]) -> Conditions:
    """Which of them the ranked trials have: of words the most common, and among these the largest numbers.

    A race over how many items are measured has few trials at its last rung, and those are the ones to rank.
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


def _why_not(row: Row, ruling: Mapping[str, JSON]) -> str:
    """ "num_rows 5,000, not 50,000" """
    told = [
        f"{name} {value_in_words(row.conditions.get(name))}, not {value_in_words(value)}"
        for name, value in ruling.items()
        if row.conditions.get(name) != value
    ]
    return "; ".join(told)


def _place(row: Row, metric: str, mode: str) -> tuple[int, tuple[float, ...], float]:
    value = row.metrics.get(metric, math.nan)
    signed = value if mode == "min" else -value
    if row.failure is not None:
        return 4, (), 0.0
    if row.rank is not None:
        return 0, (), signed
    if row.unranked:
        return 1, tuple(-n for n in _numbers(tuple(row.conditions.items()))), signed
    return (2 if row.metrics else 3), (), 0.0
