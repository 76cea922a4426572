"""What the process of a trial does: it asks the broker which of the trial's stages to compute.

Such processes import this module and no more than it takes: a study starts many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune

from assay.events import Event
from assay.execution.broker import Request, requests_of
from assay.execution.pause import Paused
from assay.execution.ray.broker_actor import RemoteEmit
from assay.execution.ray.dispatch import execute
from assay.execution.ray.job import Job, StageEnded
from assay.execution.requirements import Need
from assay.execution.retries import failure_of
from assay.execution.sharing import lineages_of, stored_by_another, waiting
from assay.planning.passes import Pass
from assay.store import Store
from assay.store.leases import Leases
from assay.workload import Stage


@dataclass(frozen=True)
class TrialWork:
    """What is sent to a trial's process."""

    index: int
    rungs: Mapping[int, tuple[Stage, ...]]
    """The rungs that it climbs now, by number, lowest first."""
    needs: Mapping[str, Need]
    """By stage key."""
    store_url: str
    origin: str
    run: str
    scratch_url: str
    retries: int
    metric: str
    titles: Mapping[str, str]
    """Key → a stage's title, with its trials."""

    def requests(self, rung: int) -> list[Request]:
        return requests_of(self.rungs[rung], self.needs)


def climb(config: Mapping[str, Any], works: Mapping[int, ray.ObjectRef], broker: Any) -> None:
    """One trial, rung by rung. The broker records stage failures; only a dead process makes Tune try again.

    After a report, Tune's scheduler may end it.
    """
    work: TrialWork = ray.get(works[config["trial"]])
    ray.get(broker.abandon.remote(work.index))
    store = Store(work.store_url, heals=False, run=work.run)
    leases = store.leases()
    for rung, stages in work.rungs.items():
        if not _complete(work, rung, broker, store, leases):
            tune.report({work.metric: float("nan")})
            return
        result = store.get(stages[-1].key)
        assert result is not None
        value = result.metrics.get(work.metric, math.nan)
        tune.report({work.metric: value, "rung": rung})


def _complete(work: TrialWork, rung: int, broker: Any, store: Store, leases: Leases) -> bool:
    """Compute what the broker grants, until every stage of the rung is stored; returns whether that was reached."""
    stages = {stage.key: stage for stage in work.rungs[rung]}
    while True:
        decision = ray.get(broker.next.remote(work.index, work.requests(rung)))
        if decision.action == "run":
            granted = tuple(stages[key] for key in (decision.key, *decision.beside))
            if not _run(work, granted, decision.units, broker, store, leases):
                return False
        elif decision.action != "wait":
            return bool(decision.action == "done")


def _run(work: TrialWork, granted: Pass, units: int, broker: Any, store: Store, leases: Leases) -> bool:
    """Compute a pass that was granted, unless another run does; tells the broker. Returns whether to go on."""
    first, lineages = granted[0].key, lineages_of(granted)
    try:
        if (holder := leases.take(lineages)) is not None:
            broker.defer.remote(first)
            broker.emit.remote(waiting(first, holder))
            return True
        try:
            by_another = _compute(work, granted, units, broker, store)
        finally:
            leases.give_back(lineages)
    except Paused:
        ray.get(broker.leave.remote(first))
        return False
    except Exception as error:
        # The one place where a stage's own failure ends: the driver gets it with its traceback.
        failure = error.failure if isinstance(error, StageEnded) else failure_of(error)
        ray.get(broker.fail.remote(first, failure.trace, failure.stage))
    else:
        ray.get(broker.finish.remote(first, by_another))
    return True


def _compute(work: TrialWork, granted: Pass, units: int, broker: Any, store: Store) -> list[str]:
    """Compute a pass, but for what another run stored by now; returns the keys of that."""
    stored = stored_by_another(granted, store)
    if stored:  # what a trial of this run began, which then died, is this run's, whenever it was stored
        stored = ray.get(broker.not_begun.remote(stored))
    missing = [stage.key for stage in granted if stage.key not in stored]
    emit = RemoteEmit(broker)
    for key in missing:
        emit(Event("started", key, trial=work.index))
    if missing:
        stage, *beside = granted
        execute(
            Job(
                stage,
                tuple(beside),
                work.titles[stage.key],
                work.store_url,
                work.origin,
                work.scratch_url,
                work.needs[stage.key],
                work.retries,
                units,
                broker,
            )
        )
    return stored
