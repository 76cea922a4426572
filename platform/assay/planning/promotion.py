"""How many trials of a race climb to each rung, where that is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.planning.plan import Plan


@dataclass(frozen=True)
class _Field:
    """Which trials come to a rung, by number."""

    sure: frozenset[int]
    open: frozenset[int]
    """Those that may come."""
    num_open: int
    """How many of the open ones do."""

    @property
    def size(self) -> int:
        return len(self.sure) + self.num_open

    def chance(self, trials: frozenset[int]) -> float:
        """That one of these trials is there, where any of the open ones may be: no more than the sum over each."""
        if trials & self.sure:
            return 1.0
        return min(1.0, len(trials & self.open) * self.num_open / max(1, len(self.open)))


def is_counted(plan: Plan) -> bool:
    """Whether the numbers are fixed: halving takes so many of a rung, whatever they come to."""
    return plan.sweep.scheduler.facts.waits_for_all


def climbers(plan: Plan) -> list[int]:
    """How many trials come to each rung under halving; with earlier decisions, about."""
    return [field.size for field in _fields(plan)]


def chances(plan: Plan) -> Mapping[str, float]:
    """Key → how likely a stage is needed: 1 of all that some trial may climb to, unless halving takes only some."""
    if not is_counted(plan):
        return dict.fromkeys(plan.needed, 1.0)
    found: dict[str, float] = {}
    for rung, field in enumerate(_fields(plan)):
        readers: dict[str, set[int]] = {}
        for number in field.sure | field.open:
            for stage in plan.trials[number].rungs[rung].stages:
                readers.setdefault(stage.key, set()).add(number)
        for key, trials in readers.items():
            found[key] = max(found.get(key, 0.0), field.chance(frozenset(trials)))
    return found


def _fields(plan: Plan) -> list[_Field]:
    """Rung by rung, as `RungDecisions.cut` does it."""
    scheduler, there = plan.sweep.scheduler, _Field(frozenset(range(len(plan.trials))), frozenset(), 0)
    keeps = scheduler.facts.keeps
    assert keeps is not None
    fields = [there]
    for rung in range(len(scheduler.rungs) - 1):
        decided = {n: plan.trials[n].decision(plan.trials[n].rungs[rung], plan.decided) for n in there.sure}
        sure = frozenset(n for n, decision in decided.items() if decision == "go on")
        undecided = frozenset(n for n, decision in decided.items() if decision is None)
        waiting = len(undecided) + there.num_open
        chosen = keeps(scheduler, there.size)
        num_open = min(waiting, round(chosen * waiting / there.size)) if there.size else 0
        there = _Field(sure, undecided | there.open, max(num_open, min(waiting, 1 - len(sure))))
        fields.append(there)
    return fields
