"""What happens to a trial at a rung: decided, recorded and announced. Pure.

Targets and halving are decided here; asha, hyperband and median by the rules in `execution/racing.py`, and races by
intervals in `execution/race.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from assay.events import Emit, Event
from assay.planning import Plan
from assay.results.intervals import Estimate, read_estimates
from assay.store import Decision, Store
from assay.workload import load_attribute

Read = Callable[[int, int], Estimate]
"""Function of a trial and a rung that it reached: the metric, with its replicates."""
Record = Callable[[str, Decision], None]


@dataclass
class RungDecisions:
    """Decides as an earlier run did; otherwise by the target; otherwise as the scheduler does.

    So a resumed run decides the same as an uninterrupted one, in whatever order stored rungs replay, and an arm that is
    added later races against all stored trials.
    """

    plan: Plan
    known: dict[str, Decision]
    """By the key of the rung's leaf."""
    record: Record
    emit: Emit
    read: Read | None = None
    """Needed by schedulers that decide by intervals."""
    _values: dict[int, dict[int, float]] = field(default_factory=dict)
    """Rung → trial → its metric there."""

    @property
    def waits_for_all(self) -> bool:
        """Whether no trial climbs before all have arrived."""
        return self.plan.sweep.scheduler.facts.waits_for_all

    def __call__(self, trial: int, rung: int, value: float, would_stop: bool) -> Decision:
        planned, scheduler = self.plan.trials[trial], self.plan.sweep.scheduler
        at = planned.rungs[rung]
        if at.amount is None:
            return "go on"
        decision = planned.decision(at, self.known)
        is_last = at is planned.rungs[-1]
        self._values.setdefault(rung, {})[trial] = value
        is_judged = scheduler.facts.needs_intervals
        if decision is None and self.waits_for_all and (is_judged or not is_last) and not self._has_reached(value):
            return "go on"  # `promote` decides
        if decision is None:
            decision = "reached" if self._has_reached(value) else "stop" if would_stop and not is_last else "go on"
            if scheduler.facts.races or decision != "go on":
                self._decide(at.leaf.key, "finished" if is_last and decision == "go on" else decision)
        self._emit_decision(trial, rung, decision)
        return decision

    def promote(self, rung: int) -> None:
        """Every trial that climbs has reached the rung: those that the scheduler chooses continue."""
        scheduler, values = self.plan.sweep.scheduler, self._values.get(rung, {})
        if scheduler.facts.judge is not None:
            self._judge(load_attribute(scheduler.facts.judge), rung)
            return
        assert scheduler.facts.keeps is not None
        sign = self.plan.sweep.objective.sign
        ranked = sorted(values, key=lambda trial: (math.isnan(values[trial]), sign * values[trial]))
        chosen = set(ranked[: scheduler.facts.keeps(scheduler, len(ranked))])
        for trial in values:
            planned = self.plan.trials[trial]
            at = planned.rungs[rung]
            if planned.decision(at, self.known) is None:
                self._decide(at.leaf.key, "go on" if trial in chosen else "stop")
                self._emit_decision(trial, rung, self.known[at.leaf.key])

    def _judge(self, judge: Callable[..., dict[int, Decision]], rung: int) -> None:
        """Trials that were stopped here are no longer compared. A race that is over goes on if new trials join it."""
        known = {trial: self._known(trial, rung) for trial in self._values.get(rung, {})}
        if None not in known.values():
            return
        assert self.read is not None
        estimates = {trial: self.read(trial, rung) for trial, decision in known.items() if decision != "stop"}
        if any(each.error is None for each in estimates.values()) and len(estimates) > 1:
            self._warn_of_no_intervals(rung)
        decisions = judge(self.plan.sweep.scheduler, estimates, self.plan.sweep.objective.sign)
        for trial, decision in decisions.items():
            if known[trial] in (None, "won", "tied"):
                planned = self.plan.trials[trial]
                at = planned.rungs[rung]
                is_last = at is planned.rungs[-1]
                self._decide(at.leaf.key, "finished" if is_last and decision == "go on" else decision)
                self._emit_decision(trial, rung, decision)

    def _known(self, trial: int, rung: int) -> Decision | None:
        planned = self.plan.trials[trial]
        return planned.decision(planned.rungs[rung], self.known)

    def _warn_of_no_intervals(self, rung: int) -> None:
        scheduler, metric = self.plan.sweep.scheduler, self.plan.sweep.objective.name
        message = (
            f"scheduler {scheduler.name} compares no trials whose {metric} has no jackknife replicates; at "
            f"{scheduler.budget} {scheduler.rungs[rung]:,} some have none, which is likely too few for it"
        )
        self.emit(Event("warning", message=message, once=message))

    def climbing(self, rung: int) -> Iterable[int]:
        """The trials that reached the rung below and were not ended at any rung."""
        for number, planned in enumerate(self.plan.trials):
            ended = planned.ended(self.known)
            was_below = rung == 0 or number in self._values.get(rung - 1, {})
            if was_below and (ended is None or planned.rungs.index(ended) >= rung):
                yield number

    def _decide(self, leaf: str, decision: Decision) -> None:
        self.record(leaf, decision)
        self.known[leaf] = decision

    def _emit_decision(self, trial: int, rung: int, decision: Decision) -> None:
        at = self.plan.trials[trial].rungs[rung]
        assert at.amount is not None
        metrics = {self.plan.sweep.objective.name: self._values[rung][trial]}
        self.emit(Event("rung", at.leaf.key, trial=trial, done=at.amount, metrics=metrics, message=decision))

    def _has_reached(self, value: float) -> bool:
        target = self.plan.sweep.scheduler.target
        if target is None or math.isnan(value):
            return False
        sign = self.plan.sweep.objective.sign
        return sign * value <= sign * target


def stored_estimates(plan: Plan, store: Store) -> Read:
    """Reads the sweep's metric of trials at rungs from the store."""

    def read(trial: int, rung: int) -> Estimate:
        result = store.get(plan.trials[trial].rungs[rung].leaf.key)
        assert result is not None
        return read_estimates(result).get(plan.sweep.objective.name, Estimate(math.nan))

    return read
