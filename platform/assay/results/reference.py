"""The paper's numbers for a config."""

from __future__ import annotations

from collections.abc import Mapping

from assay.planning import Plan, PlannedTrial, Rung
from assay.sweep.schema import Reference, ReferenceRow
from assay.sweep.search import same
from assay.workload import JSON, at_path, with_value


def matching_row(reference: Reference, config: Mapping[str, JSON]) -> ReferenceRow | None:
    """The row whose `when` matches this config; among several, the one with the most conditions."""
    matching = [row for row in reference.rows if all(same(at_path(config, p), v) for p, v in row.when.items())]
    return max(matching, key=lambda row: len(row.when), default=None)


def config_at(plan: Plan, planned: PlannedTrial, rung: Rung) -> Mapping[str, JSON]:
    """A trial's config at a rung; its own config is that of the last rung."""
    budget = plan.sweep.scheduler.budget
    if budget is None or rung.amount is None:
        return planned.trial.config
    return with_value(planned.trial.config, budget, rung.amount)
