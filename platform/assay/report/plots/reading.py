"""Read a plot's data from a sweep's trials: each result's x, and the line and point that it belongs to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from assay.costs.ledger import entries, total
from assay.planning import Plan, PlannedTrial, Rung
from assay.results import TrialOutcome
from assay.results.intervals import Estimate, read_estimates
from assay.results.reference import config_at
from assay.store import StoredResult
from assay.sweep.expansion import in_words, short_names
from assay.sweep.objectives import costs_of
from assay.sweep.search import ARM
from assay.workload import JSON, at_path, canonical_json


@dataclass(frozen=True)
class Measurement:
    """One trial at one rung."""

    planned: PlannedTrial
    config: Mapping[str, JSON]
    x: JSON
    estimate: Estimate
    is_ranked: bool


@dataclass(frozen=True)
class Reading:
    """How to read x, decided once for all trials."""

    plan: Plan
    x: str
    is_measured: bool
    """x is a result, a cost or a metric, instead of a setting."""
    along: Mapping[str | None, str]
    """Arm → the parameter that its lines follow if x is measured: its last one. Empty if they follow rungs."""
    has_named_arms: bool
    """Arms differ in more than x, and so have lines of their own."""

    @classmethod
    def of(cls, plan: Plan, x: str) -> Reading:
        is_measured = is_cost(plan, x) or not (x == ARM or _is_set(plan, x))
        follows_rungs = is_cost(plan, x) and any(len(one.rungs) > 1 for one in plan.trials)
        along = _last_parameters(plan) if is_measured and not follows_rungs else {}
        named = [one for one in plan.trials if one.trial.arm is not None]
        others = {*plan.sweep.parameters, x}
        own = (set(one.trial.overrides) - others - {one.workload.seed_path} for one in named)
        starts = {(one.workload.name, one.trial.base.name) for one in named}
        return cls(plan, x, is_measured, along, x != ARM and (any(own) or len(starts) > 1))

    def measurements(self, y: str, trials: Sequence[TrialOutcome], unranked: frozenset[str]) -> Iterator[Measurement]:
        climbs = is_rung(self.plan, self.x) or is_cost(self.plan, self.x)
        for trial in trials:
            planned = trial.planned
            top = planned.reached(trial.results)
            rungs = [r for r in planned.rungs if r.leaf.key in trial.results] if climbs else [top[0]] if top else []
            for rung in rungs:
                leaf = trial.results[rung.leaf.key]
                estimate = read_estimates(leaf).get(y, Estimate(math.nan))
                x = self._measured(trial, rung, leaf) if self.is_measured else self._set(planned, rung)
                if math.isfinite(estimate.value) and not (self.is_measured and x is None):
                    is_ranked = climbs or planned.name not in unranked
                    yield Measurement(planned, config_at(self.plan, planned, rung), x, estimate, is_ranked)

    def label(self, planned: PlannedTrial) -> str:
        """The label of a trial's line: its arm, unless arms differ only in x, and its other parameters."""
        trial, parameters = planned.trial, list(self.plan.sweep.parameters)
        if self.x == ARM and trial.arm is None:
            return ""  # x is the trial's name, which has all parameters
        short = short_names(parameters)
        along = self.along.get(trial.arm)
        others = [path for path in parameters if path not in (self.x, along) and path in trial.overrides]
        settings = [f"{short[path]} {in_words(trial.overrides[path])}" for path in others]
        return ", ".join([*([str(trial.arm)] if self.has_named_arms else []), *settings])

    def place(self, measurement: Measurement) -> str:
        """A key that is equal for measurements of the same point of a line, which differ in their seeds."""
        if not self.is_measured:
            return canonical_json(measurement.x)
        is_of_rungs = is_cost(self.plan, self.x) and len(measurement.planned.rungs) > 1
        follows = self.plan.sweep.scheduler.budget if is_of_rungs else self.along.get(measurement.planned.trial.arm)
        return "" if follows is None else canonical_json(at_path(measurement.config, follows))

    def _set(self, planned: PlannedTrial, rung: Rung) -> JSON:
        """x as a setting; None if the config has null."""
        about = planned.trial
        if self.x == ARM:
            return about.arm or about.name.removesuffix(f", seed {about.seed}")
        return rung.amount if is_rung(self.plan, self.x) else at_path(about.config, self.x)

    def _measured(self, trial: TrialOutcome, rung: Rung, leaf: StoredResult) -> float | None:
        """x as a result; None if unknown."""
        if is_cost(self.plan, self.x):
            return _cost(self.plan, self.x, trial, rung)
        value = leaf.metrics.get(self.x, math.nan)
        return value if math.isfinite(value) else None


def is_rung(plan: Plan, x: str) -> bool:
    return x == plan.sweep.scheduler.budget and len(plan.sweep.scheduler.rungs) > 0


def is_cost(plan: Plan, x: str) -> bool:
    return x.rpartition(".")[2] in costs_of(plan.hints)


def _last_parameters(plan: Plan) -> dict[str | None, str]:
    """Arm → the last parameter that any of its trials has: a condition may limit a parameter to some arms."""
    return {one.trial.arm: path for path in plan.sweep.parameters for one in plan.trials if path in one.trial.overrides}


def _is_set(plan: Plan, x: str) -> bool:
    """Whether it is a path of the config, even with the value null."""
    section, _, name = x.rpartition(".")
    configs = [one.trial.config for one in plan.trials]
    sections = [at_path(config, section) if section else config for config in configs]
    return any(isinstance(inner, Mapping) and name in inner for inner in sections) or (
        any(x in one.trial.base.paths for one in plan.trials)
    )


def _cost(plan: Plan, x: str, trial: TrialOutcome, rung: Rung) -> float | None:
    """The cost of a trial's stages up to a rung; None if all ran on devices that are not declared."""
    name, _, what = x.rpartition(".")
    climbed = trial.planned.rungs[: trial.planned.rungs.index(rung) + 1]
    keys = {s.key for r in climbed for s in r.stages if (not name or s.name == name) and s.key in trial.results}
    if not keys:
        return None
    results = [trial.results[key] for key in keys]
    if what == "seconds":
        return sum(result.cost.seconds for result in results)
    spent = total(entries(results, plan.hints.days))
    return spent.device_days if spent.unknown < spent.stages else None
