"""What happens to a trial at a rung. Pure: the adapters ask Ray Tune's scheduler, and tell what it thinks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from assay.planning import Plan
from assay.runner.events import Emit, Event
from assay.store import Decision

Record = Callable[[str, Decision], None]


@dataclass
class Judge:
    """Decides as an earlier run did; else by the target; else as the scheduler thinks.

    So a run that goes on decides the same as one that was never cut off, whatever order its stored rungs replay in,
    and an arm that is added later races against all that is stored.
    """

    plan: Plan
    known: dict[str, Decision]
    """By the rung's leaf."""
    record: Record
    emit: Emit

    def __call__(self, trial: int, rung: int, value: float, would_stop: bool) -> Decision:
        planned, scheduler = self.plan.trials[trial], self.plan.sweep.scheduler
        at = planned.rungs[rung]
        if at.amount is None:
            return "go on"
        decision = self.known.get(at.leaf.key)
        if decision is None:
            is_last = at is planned.rungs[-1]
            decision = "reached" if self._has_reached(value) else "stop" if would_stop and not is_last else "go on"
            if scheduler.name != "fifo" or decision != "go on":
                self.record(at.leaf.key, decision)
                self.known[at.leaf.key] = decision
        metrics = {self.plan.sweep.metric: value}
        self.emit(Event("rung", at.leaf.key, trial=trial, done=at.amount, metrics=metrics, message=decision))
        return decision

    def _has_reached(self, value: float) -> bool:
        target = self.plan.sweep.scheduler.target
        if target is None or math.isnan(value):
            return False
        return value <= target if self.plan.sweep.mode == "min" else value >= target
