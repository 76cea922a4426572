"""Trials that are suggested from results: the plan grows batch by batch, the same way in every run."""

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
    """The plan with the next suggestions of its searcher; None if there are no more.

    Suggestions are stored before they are tried, so an interrupted run continues with the same trials.
    """
    sweep = plan.sweep
    path = sweep.searcher.facts.suggest
    if path is None or plan.waiting:
        return None
    observations = [Observation(values, _objective(plan, draw, results)) for draw, values in enumerate(plan.suggested)]
    new = load_attribute(path)(sweep, observations, sweep.searcher.batch)
    suggestions = suggestions_of(sweep, store)
    for values in new:
        suggestions.add(values)
    return make_plan(sweep, store) if new else None


def _objective(plan: Plan, draw: int, results: Mapping[str, StoredResult]) -> float | None:
    """The mean of the metric over the trials of a suggestion (arms, seeds); None if none is finite.

    In an arm that does not set a parameter, several suggestions may give one trial: it counts for each. Results of
    rungs that a trial did not climb belong to other sweeps.
    """
    values = []
    for trial in plan.trials:
        if draw in trial.trial.draws:
            climbed = {stage.key for stage in trial.climbed(plan.decided)}
            result = trial.result({key: result for key, result in results.items() if key in climbed})
            value = math.nan if result is None else result.metrics.get(plan.sweep.objective.name, math.nan)
            if math.isfinite(value):
                values.append(value)
    return fmean(values) if values else None
