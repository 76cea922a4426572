"""The trials of a plan as the store knows them, when no run tells: what `assay compare` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.errors import DamagedResult, StageFailed
from assay.planning import Plan, PlannedTrial
from assay.store import Store, StoredResult


@dataclass(frozen=True)
class Standing:
    """A trial and those of its results that are stored."""

    planned: PlannedTrial
    results: Mapping[str, StoredResult]
    computed: frozenset[str] = frozenset()
    error: StageFailed | None = None


def from_store(plan: Plan, store: Store) -> tuple[Standing, ...]:
    """Every trial of the plan; nothing is computed, and a damaged result counts as missing."""
    found = {}
    for key in plan.stages:
        try:
            result = store.get(key, checksum=True)
        except DamagedResult:
            continue  # the next run reports it and computes it again
        if result is not None:
            found[key] = result
    return tuple(Standing(t, {s.key: found[s.key] for s in t.stages if s.key in found}) for t in plan.trials)
