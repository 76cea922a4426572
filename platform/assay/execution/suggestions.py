"""Trials that are suggested as results come in: the plan grows, batch by batch, and is the same in every run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

from assay.planning import Plan, make_plan
from assay.planning.plan import suggestions_of
from assay.store import Store, StoredResult
from assay.sweep.search.observation import Observation
from assay.workload import load_attribute


def grown(plan: Plan, store: Store, results: Mapping[str, StoredResult]) -> Plan | None:
    """The plan with the next suggestions of its searcher; None when there are no more.

    What is suggested is stored before it is tried, so a run that is cut off goes on with the same trials.
    """
    sweep = plan.sweep
    path = sweep.searcher.facts.suggest
    if path is None or plan.waiting:
        return None
    told = [Observation(values, _objective(plan, draw, results)) for draw, values in enumerate(plan.suggested)]
    new = load_attribute(path)(sweep, told, sweep.searcher.batch)
    suggestions = suggestions_of(sweep, store)
    for values in new:
        suggestions.add(values)
    return make_plan(sweep, store) if new else None


def _objective(plan: Plan, draw: int, results: Mapping[str, StoredResult]) -> float | None:
    """The mean of the metric over the trials of a suggestion (arms, seeds); None without a finite one.

    Where a parameter is not set in an arm, several suggestions come to one trial there: it counts for each. Results of
    rungs that a trial did not climb are another sweep's.
    """
    found = []
    for trial in plan.trials:
        if draw in trial.trial.draws:
            climbed = {stage.key for stage in trial.climbed(plan.decided)}
            result = trial.result({key: result for key, result in results.items() if key in climbed})
            value = math.nan if result is None else result.metrics.get(plan.sweep.metric, math.nan)
            if math.isfinite(value):
                found.append(value)
    return fmean(found) if found else None
