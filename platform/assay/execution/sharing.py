"""Runs that use a store at the same time share their work: a stage is computed by the run that holds its lease. The
others do what else there is, and then use its result."""

from __future__ import annotations

from collections.abc import Collection

from assay.events import Event
from assay.planning.passes import Pass
from assay.store import RunningRecord, Store

POLL_S = 2.0
"""How often a waiting run looks whether the other one has ended."""


def lineages_of(stages: Pass) -> Collection[str]:
    return {stage.lineage for stage in stages}


def stored_by_another(stages: Pass, store: Store) -> list[str]:
    """The keys of stages that another run stored since this one began. To be called once their leases are taken: then
    nobody stores them any more."""
    return [stage.key for stage in stages if store.sound(stage.key) is not None]


def waiting(key: str, holder: RunningRecord) -> Event:
    who = f"{holder.sweep} ({holder.user} on {holder.host}, process {holder.pid})"
    return Event("waiting", key, message=f"waits for {who}", once=f"waiting {key} {holder.id}")
