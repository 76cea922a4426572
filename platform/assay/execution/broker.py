"""Who computes what: one arbiter for all trials of a run, so that a shared stage is computed once.

Decisions are pure code (`StageBroker`), tested without Ray; `assay.execution.ray` puts it behind an actor.

It also does admission: a stage is granted only while the cluster has free what it needs, and waiting trials hold
nothing. So more trials than resources cannot deadlock, in any order. A stage that can run with fewer units than it
could use is granted what is free, and keeps that until it restarts: it never waits for more while holding some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from assay.execution.packing import Machine, Places, Room, how_many, num_placed, total
from assay.execution.requirements import Need
from assay.planning.passes import Pass, passes
from assay.workload import Stage


@dataclass(frozen=True)
class Request:
    """A pass that a trial still needs: a stage, and those that are computed with it."""

    key: str
    lineage: str
    name: str
    inputs: tuple[str, ...]
    """Keys of the stages that must be stored first."""
    need: Need
    beside: Mapping[str, str] = field(default_factory=dict)
    """Key → lineage of the others."""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return (self.key, *self.beside)

    @cached_property
    def lineages(self) -> set[str]:
        return {self.lineage, *self.beside.values()}

    def without(self, done: Set[str]) -> Request | None:
        """The same without stages that are done; None if all of them are."""
        if done.isdisjoint(self.keys):
            return self
        left = [(k, of) for k, of in ((self.key, self.lineage), *self.beside.items()) if k not in done]
        return replace(self, key=left[0][0], lineage=left[0][1], beside=dict(left[1:])) if left else None


def requests_of(stages: Iterable[Stage], needs: Mapping[str, Need]) -> list[Request]:
    """What a trial needs at a rung, a request per pass."""
    return [_request(each, needs) for each in passes(stages)]


def _request(stages: Pass, needs: Mapping[str, Need]) -> Request:
    first, *others = stages
    beside = {stage.key: stage.lineage for stage in others}
    sources = (source.key for stage in stages for source in stage.sources)
    inputs = tuple(dict.fromkeys(key for key in sources if key not in {first.key, *beside}))
    return Request(first.key, first.lineage, first.name, inputs, needs[first.key], beside)


@dataclass(frozen=True)
class Assignment:
    """run: compute `key` now, and those `beside` it, with `units` of its need. done: every stage is stored. failed:
    `message` says why. wait: ask again. paused: nothing new starts in this run."""

    action: Literal["run", "done", "failed", "wait", "paused"]
    key: str = ""
    units: int = 0
    message: str = ""
    beside: tuple[str, ...] = ()


@dataclass
class _Grant:
    trial: int
    request: Request
    units: int
    places: Places
    """Where these units are assumed to be; fewer where a machine was lost."""


@dataclass
class StageBroker:
    """The state of one run's stages.

    Units are assumed to be on the first machines that had room when they were granted. Ray may have placed them
    otherwise: a unit admitted too early waits until another ends, no longer.
    """

    capacity: Sequence[Machine]
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    is_paused: bool = False
    _running: dict[str, _Grant] = field(default_factory=dict)
    _waiting: dict[int, Request] = field(default_factory=dict)
    """Trial → the stage that it would start if there were room."""
    _busy_lineages: set[str] = field(default_factory=set)
    """The lineages of the stages that run."""
    _elsewhere: set[str] = field(default_factory=set)
    """The lineages that another run computes now."""
    _packed: Room | None = None

    def decide(self, trial: int, requests: Sequence[Request]) -> Assignment:
        """What a trial should do next, given every stage it needs, inputs first."""
        self._waiting.pop(trial, None)
        open_requests = [left for request in requests if (left := request.without(self.done)) is not None]
        if not open_requests:
            return Assignment("done")
        for key in (key for request in open_requests if self.failed for key in request.keys):
            if key in self.failed:
                return Assignment("failed", key, message=self.failed[key])
        if self.is_paused:
            return Assignment("paused")
        ready = [request for request in open_requests if self._is_ready(request)]
        for request in ready:
            if places := self._placed(request.need):
                units = num_placed(places)
                self._running[request.key] = _Grant(trial, request, units, places)
                self._busy_lineages |= request.lineages
                return Assignment("run", request.key, units, beside=tuple(request.beside))
        if ready:
            self._waiting[trial] = ready[0]
        return Assignment("wait")

    def decide_again(self, key: str) -> int:
        """A running stage must restart: how many units it gets now, or 0 while it must wait. Its old units are free."""
        grant = self._running[key]
        self._release(grant)
        grant.places = self._placed(grant.request.need)
        grant.units = num_placed(grant.places)
        return grant.units

    def shortages(self) -> dict[str, str]:
        """Key → why a waiting stage cannot start even if all others end; only stages for which that is so."""
        short = {r.key: too_large(r.name, r.need, self.capacity) for r in self._waiting_now()}
        return {key: reason for key, reason in short.items() if reason is not None}

    def wanted(self) -> list[Mapping[str, float]]:
        """The worker bundles that the cluster would need to start one more waiting stage; empty if none waits.

        Includes what is running, which that stage should not have to wait for. One stage at a time: a cluster that
        cannot start machines for all of them might start none.
        """
        waiting = self._waiting_now()
        if not waiting:
            return []
        running = [unit for g in self._running.values() for unit in [g.request.need.unit] * g.units]
        return running + [waiting[0].need.unit] * waiting[0].need.least

    def finish(self, key: str) -> list[str]:
        """Record that a stage was committed, and those beside it. Returns the keys that were not done before."""
        keys = [key for key in self._end(key) if key not in self.done]
        self.done.update(keys)
        return keys

    def fail(self, key: str, message: str, blamed: str | None = None) -> list[str]:
        """Record that a stage raised, or one of those beside it, which is `blamed`, else all of them: every trial that
        needs one that failed fails with the same message; the others continue. Returns the keys that failed."""
        keys = [key for key in self._end(key) if key not in self.done and blamed in (None, key)]
        self.failed.update(dict.fromkeys(keys, message))
        return keys

    def _end(self, key: str) -> tuple[str, ...]:
        grant = self._running.get(key)
        if grant is None:
            return (key,)
        self._release(grant)
        del self._running[key]
        self._busy_lineages -= grant.request.lineages  # no other stage that runs has them
        return grant.request.keys

    def leave(self, key: str) -> None:
        """Record that a stage was left unfinished, for anyone to compute."""
        self._end(key)

    def defer(self, key: str) -> set[str]:
        """Record that another run computes a granted stage: nobody starts it before `look_again` at its lineages, which
        are returned."""
        grant = self._running.get(key)
        lineages = set() if grant is None else grant.request.lineages
        self._end(key)
        self._elsewhere |= lineages
        return lineages

    def look_again(self, lineages: Set[str]) -> None:
        self._elsewhere -= lineages

    def abandon(self, trial: int) -> None:
        """Record that a trial's process died or starts over: others may compute its stage."""
        self._waiting.pop(trial, None)
        for key in [k for k, grant in self._running.items() if grant.trial == trial]:
            self._end(key)

    def waits_for_room(self, trial: int) -> Need | None:
        """What a trial's stage needs that could start if there were room; None if it waits for other stages."""
        request = self._waiting.get(trial)
        return None if request is None else request.need

    def running_on(self, machine: int) -> list[str]:
        """The keys of what is assumed to run on a machine, by its number in the capacity."""
        self._room()
        return [key for key, grant in self._running.items() if any(machine == number for number, _ in grant.places)]

    def running(self) -> dict[str, int]:
        """Key → trial."""
        return {key: grant.trial for key, grant in self._running.items()}

    def _waiting_now(self) -> list[Request]:
        if self.is_paused:
            return []
        starting_over = [grant.request for grant in self._running.values() if not grant.units]
        over = self.done | self.failed.keys()  # trials that wait for these will not start them
        beginning = [request for _, request in sorted(self._waiting.items()) if over.isdisjoint(request.keys)]
        return starting_over + [request for request in beginning if self._is_ready(request)]

    def _is_ready(self, request: Request) -> bool:
        # One budget of a lineage at a time: the next one continues from it.
        taken = self._busy_lineages | self._elsewhere if self._elsewhere else self._busy_lineages
        return request.lineages.isdisjoint(taken) and all(key in self.done for key in request.inputs)

    def _placed(self, need: Need) -> Places:
        """The places of as many units as fit beside what is running; none if that is less than the need's least."""
        return self._room().place(need.unit, need.most, need.least)

    def _release(self, grant: _Grant) -> None:
        """Free what a running stage holds."""
        room = self._room()  # first: it may place what runs again
        room.release(grant.request.need.unit, grant.places)
        grant.units, grant.places = 0, ()

    def _room(self) -> Room:
        """What is free on the machines that there are. When they change, what runs is placed again, in its order."""
        if self._packed is None or self._packed.machines != self.capacity:
            self._packed = Room(self.capacity)
            for grant in self._running.values():
                grant.places = self._packed.place(grant.request.need.unit, grant.units)
        return self._packed


def too_large(
    name: str, need: Need, capacity: Sequence[Machine], it: str = "has", where: str = "the cluster"
) -> str | None:
    """Why a stage cannot run on these machines, or on a cluster that grows to them; None if it can."""
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
