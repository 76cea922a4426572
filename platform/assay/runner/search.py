"""Trials that are suggested as results come in: the plan grows, batch by batch, and is the same in every run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

from assay.planning import Plan, make_plan
from assay.planning.plan import suggestions_of
from assay.space.suggest import Told, suggest
from assay.store import Store, StoredResult
from assay.workload import JSON, canonical_json


def grown(plan: Plan, store: Store, results: Mapping[str, StoredResult]) -> Plan | None:
    """The plan with the next suggestions of its searcher; None when there are no more.

    What is suggested is stored before it is tried, so a run that is cut off goes on with the same trials.
    """
    sweep = plan.sweep
    if sweep.searcher.name != "optuna" or plan.waiting:
        return None
    suggestions = suggestions_of(sweep, store)
    told = [Told(values, _objective(plan, values, results)) for values in suggestions.all()]
    new = suggest(sweep, told, sweep.searcher.batch)
    for values in new:
        suggestions.add(values)
    return make_plan(sweep, store) if new else None


def _objective(plan: Plan, values: Mapping[str, JSON], results: Mapping[str, StoredResult]) -> float | None:
    """The mean of the metric over the trials with these values (arms, seeds); None without a finite one."""
    wanted = {path: canonical_json(value) for path, value in values.items()}
    found = []
    for trial in plan.trials:
        if all(canonical_json(trial.trial.overrides.get(path)) == value for path, value in wanted.items()):
            result = trial.result(results)
            if result is not None and math.isfinite(result.metrics[plan.sweep.metric]):
                found.append(result.metrics[plan.sweep.metric])
    return fmean(found) if found else None
