"""Trials that are suggested from results: the plan grows batch by batch, the same way in every run."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from assay.planning import Plan, make_plan
from assay.planning.plan import suggestions_of
from assay.results import TrialOutcome
from assay.results.pareto import objectives_of
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
    observations = [_observation(plan, draw, results) for draw in range(len(plan.suggested))]
    new = load_attribute(path)(sweep, observations, sweep.searcher.batch)
    suggestions = suggestions_of(sweep, store)
    for values in new:
        suggestions.add(values)
    return make_plan(sweep, store) if new else None


def _observation(plan: Plan, draw: int, results: Mapping[str, StoredResult]) -> Observation:
    """The mean of each objective over the trials of a suggestion (arms, seeds); None if none has a finite value.

    In an arm that does not set a parameter, several suggestions may give one trial: it counts for each. Results of
    rungs that a trial did not climb belong to other sweeps.
    """
    values: dict[str, list[float]] = {objective.name: [] for objective in plan.sweep.objectives}
    for trial in plan.trials:
        if draw in trial.trial.draws:
            climbed = {stage.key for stage in trial.climbed(plan.decided)}
            own = {key: result for key, result in results.items() if key in climbed}
            for name, value in objectives_of(plan, TrialOutcome(trial, own)).items():
                values[name].append(value)
    first, *others = (fmean(known) if known else None for known in values.values())
    return Observation(plan.suggested[draw], first, tuple(others))
