"""What a plan reaches in a store: the results, checkpoints, shards and records that its runs read or write."""

from __future__ import annotations

from collections.abc import Collection

from assay.errors import UserError
from assay.planning.checks import checked
from assay.planning.passes import with_streamed
from assay.planning.plan import Plan, computed_of, make_plan, studies_of
from assay.store import Store
from assay.store.garbage import Reached
from assay.sweep import Sweep


def plan_to_keep(sweep: Sweep, store: Store) -> Plan:
    """The plan with all trials, also those that a limit leaves waiting now."""
    limits = sweep.limits.model_copy(update={"trials": None})
    return make_plan(sweep.model_copy(update={"limits": limits}), store)


def reached_by(plan: Plan, store: Store) -> Reached:
    parts = [part for _, part in with_streamed(plan.stages.values())]
    amounts: dict[str, float] = {}
    for part in parts:
        amounts[part.lineage] = max(part.amount, amounts.get(part.lineage, 0))
    return Reached(frozenset(part.key for part in parts), amounts, frozenset(studies_of(plan.sweep, store)))


def refuse_unknown_keys(plan: Plan, store: Store, reached: Collection[str]) -> None:
    """Raises UserError if runs of this sweep computed results that no plan reaches here, and a run of it would be
    refused here: without its data, say, a plan has other keys than where they are."""
    known = {*store.known()}
    if computed_of(plan.sweep, store).all() & known <= {*reached}:
        return
    stored = plan.stages.keys() & known
    try:
        checked(plan, stored, "refused")
    except UserError as error:
        profile = f" with profile {plan.sweep.profile}" if plan.sweep.profile else ""
        raise UserError(
            f"{plan.sweep.name}{profile} is to be kept, but this machine cannot tell which results it reaches:\n"
            f"{error}\nNothing was deleted. Run this where a run of it can start."
        ) from error
