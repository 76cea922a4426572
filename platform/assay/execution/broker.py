"""Who computes what: one arbiter for all trials of a run, so that a shared stage is computed once.

It decides in pure code (`StageBroker`), which is tested without Ray; `assay.execution.ray` puts it behind an actor.

It also admits: a stage is granted only while the cluster has what it declares, and whoever waits holds nothing. So
more trials than resources cannot deadlock, whatever order they come in. A stage that can do with less than it could
use is granted what is free, and keeps that much until it starts again: it never waits for more while holding some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from assay.execution.packing import Machine, how_many, total
from assay.execution.requirements import Need


@dataclass(frozen=True)
class Request:
    """One stage a trial still needs."""

    key: str
    lineage: str
    name: str
    inputs: tuple[str, ...]
    need: Need


@dataclass(frozen=True)
class Decision:
    """run: compute `key` now, with `units` of its need. done: every stage is there. failed: `message` says why. wait:
    ask again. paused: nothing is begun any more in this run."""

    action: Literal["run", "done", "failed", "wait", "paused"]
    key: str = ""
    units: int = 0
    message: str = ""


@dataclass
class _Grant:
    trial: int
    request: Request
    units: int


@dataclass
class StageBroker:
    """The state of one run's stages."""

    capacity: Sequence[Machine]
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    is_paused: bool = False
    _running: dict[str, _Grant] = field(default_factory=dict)
    _waiting: dict[int, Request] = field(default_factory=dict)
    """Trial → what it would begin if there were room."""

    def decide(self, trial: int, requests: Sequence[Request]) -> Decision:
        """What a trial should do next, given every stage it needs, inputs first."""
        self._waiting.pop(trial, None)
        open_requests = [r for r in requests if r.key not in self.done]
        if not open_requests:
            return Decision("done")
        for request in open_requests:
            if request.key in self.failed:
                return Decision("failed", request.key, message=self.failed[request.key])
        if self.is_paused:
            return Decision("paused")
        ready = [request for request in open_requests if self._is_ready(request)]
        for request in ready:
            if units := self._units_free(request.need):
                self._running[request.key] = _Grant(trial, request, units)
                return Decision("run", request.key, units)
        if ready:
            self._waiting[trial] = ready[0]
        return Decision("wait")

    def decide_again(self, key: str) -> int:
        """A stage that runs must start over: how many units it gets now, 0 while it must wait. What it had is free."""
        grant = self._running[key]
        grant.units = 0
        grant.units = self._units_free(grant.request.need)
        return grant.units

    def shortages(self) -> dict[str, str]:
        """Key → why a stage that waits cannot begin, whatever others give back; nothing for one that waits for them."""
        short = {r.key: too_large(r.name, r.need, self.capacity) for r in self._waiting_now()}
        return {key: reason for key, reason in short.items() if reason is not None}

    def wanted(self) -> list[Mapping[str, float]]:
        """What the cluster would need for one more of those that wait, a worker's resources each; empty if none does.

        With what runs, which that one should not have to wait for. One at a time: a cluster that cannot start machines
        for all that wait may start none.
        """
        waiting = self._waiting_now()
        if not waiting:
            return []
        held = [unit for g in self._running.values() for unit in [g.request.need.unit] * g.units]
        return held + [waiting[0].need.unit] * waiting[0].need.least

    def finish(self, key: str) -> None:
        """A stage was committed."""
        self._running.pop(key, None)
        self.done.add(key)

    def fail(self, key: str, message: str) -> None:
        """A stage raised: every trial that needs it fails with the same message; the others go on."""
        self._running.pop(key, None)
        self.failed[key] = message

    def leave(self, key: str) -> None:
        """A stage was left unfinished, and is nobody's."""
        self._running.pop(key, None)

    def abandon(self, trial: int) -> None:
        """A trial's process died or starts over: what it was computing is free for another."""
        self._waiting.pop(trial, None)
        for key in [k for k, grant in self._running.items() if grant.trial == trial]:
            del self._running[key]

    def running(self) -> dict[str, int]:
        """Key → trial."""
        return {key: grant.trial for key, grant in self._running.items()}

    def _waiting_now(self) -> list[Request]:
        if self.is_paused:
            return []
        starting_over = [grant.request for grant in self._running.values() if not grant.units]
        over = self.done | self.failed.keys()  # as they will hear who wait for it, once they ask again
        beginning = [request for _, request in sorted(self._waiting.items()) if request.key not in over]
        return starting_over + [request for request in beginning if self._is_ready(request)]

    def _is_ready(self, request: Request) -> bool:
        # One budget of a lineage at a time: the next goes on from what it leaves.
        lineages = {grant.request.lineage for grant in self._running.values()}
        return request.lineage not in lineages and all(key in self.done for key in request.inputs)

    def _units_free(self, need: Need) -> int:
        """As many units as fit beside what runs; 0 when that is less than the least."""
        running = [(grant.request.need.unit, grant.units) for grant in self._running.values()]
        units = how_many(self.capacity, need.unit, need.most, running)
        return units if units >= need.least else 0


def too_large(
    name: str, need: Need, capacity: Sequence[Machine], it: str = "has", where: str = "the cluster"
) -> str | None:
    """Why a stage cannot run on a cluster of these machines, or on one that grows to them; or None."""
    if how_many(capacity, need.unit, need.least) >= need.least:
        return None
    has, at_least = total(capacity), "at least " if need.most > need.least else ""
    short = [
        f"{need.least * amount:g} {resource} ({where} {it} {has.get(resource, 0):g})"
        for resource, amount in need.unit.items()
        if need.least * amount > has.get(resource, 0)
    ]
    if short:
        return f"stage {name} needs {at_least}{' and '.join(short)}"
    unit = " and ".join(f"{amount:g} {resource}" for resource, amount in need.unit.items())
    times = f"{at_least}{need.least} times " if need.most > 1 else ""
    fits = how_many(capacity, need.unit, need.least)
    return f"stage {name} needs {times}{unit} on one machine (the cluster's machines have room for {fits} of that)"
