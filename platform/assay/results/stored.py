"""The trials of a plan as the store knows them, when no run tells: what `assay compare` shows."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from assay.errors import StageFailed
from assay.planning import Plan, PlannedTrial
from assay.store import Store, StoredResult


@dataclass(frozen=True)
class Standing:
    """A trial and those of its results that are stored."""

    planned: PlannedTrial
    results: Mapping[str, StoredResult]
    computed: frozenset[str] = frozenset()
    error: StageFailed | None = None


def from_store(
    plan: Plan, store: Store, computed: Set[str] = frozenset(), failed: Mapping[str, StageFailed] | None = None
) -> tuple[Standing, ...]:
    """Every trial of the plan; nothing is computed, and a damaged result counts as missing.

    `computed` and `failed`, by key, say what is known of earlier runs: what they computed themselves, and what failed.
    """
    found = {}
    for key in plan.stages:
        result = store.find(key, checksum=True)
        if result is not None:
            found[key] = result
    standings = []
    for planned in plan.trials:
        climbed = planned.climbed(plan.decided)
        own = {stage.key: found[stage.key] for stage in climbed if stage.key in found}
        broken = (failed[s.key] for s in climbed if failed and s.key in failed and s.key not in found)
        standings.append(Standing(planned, own, frozenset(own) & computed, next(broken, None)))
    return tuple(standings)
