"""A run on a virtual clock: the broker, the scheduler and the limits of a real one, on machines that do not exist.

Stages take the time that the ledger or their FLOPs say, divided by the devices that they get. Machines may be late, and
may be taken away; a stage that loses one starts again from what is stored. In a race, trials draw their metrics at
random: who wins is not foretold, how many climb is.
"""

from __future__ import annotations

import gc
import heapq
import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from assay.costs.machines import Fleet
from assay.errors import UserError
from assay.execution.broker import Request, StageBroker, requests_of, too_large
from assay.execution.packing import how_many
from assay.execution.racing import make_rule, score
from assay.execution.requirements import Need, need
from assay.execution.rung_decisions import RungDecisions
from assay.planning import Plan
from assay.planning.labels import serves
from assay.results.intervals import Estimate
from assay.workload import Stage

STARTING_S = 10.0
"""How long a training or fan-out takes from its start to its first step, on Ray."""
BLOCKS = 20
"""Jackknife replicates of a simulated metric."""
STARTING_MACHINES, NOTHING_LEFT = "machines are starting", "nothing is left to start"
HOUR_S = 3600.0
_NeedKey = tuple[tuple[tuple[str, float], ...], int, int]
Value = Callable[[int, int], float]
"""Function of a trial and a rung: the metric."""


@dataclass(frozen=True)
class Span:
    """A stage, or several in one pass, on the devices that it had from its start to its end."""

    keys: tuple[str, ...]
    title: str
    start_s: float
    end_s: float
    units: int
    devices: float
    """GPUs, or CPUs of a stage without."""
    is_lost: bool = False
    """Whether it ended since a machine was taken away."""


@dataclass(frozen=True)
class Simulation:
    """What a run would be like."""

    fleet: Fleet
    seconds: float
    spans: tuple[Span, ...]
    busy_device_s: float
    idle_device_s: Mapping[str, float]
    """Why devices were idle → device-seconds."""
    critical_path_s: float
    critical_path: tuple[str, ...]
    """Titles of the stages that cannot be faster by more machines."""
    work_s: float
    """The work divided among all devices, without a pause."""
    unknown: tuple[str, ...] = ()
    """Names of stages whose time is unknown, and counted as nothing."""
    losses: int = 0
    paused: str | None = None
    """The limit that would pause it."""

    @property
    def bound_s(self) -> float:
        """No order of the stages is faster."""
        return max(self.critical_path_s, self.work_s)


@dataclass
class _Running:
    request: Request
    trial: int
    units: int
    start_s: float
    end_s: float
    version: int
    share_before: float
    """What was done of it before this start."""


@dataclass
class _Climber:
    """A trial on its way."""

    rung: int = 0
    is_over: bool = False
    is_waiting_at_rung: bool = False


def simulate(
    plan: Plan, work: Mapping[str, float | None], fleet: Fleet, seed: int = 0, value: Value | None = None
) -> Simulation:
    """Run a plan on a fleet. `work`: key of each stage that is not stored → its device-seconds; None if unknown.

    Raises UserError if a stage does not fit on the fleet's machines.
    """
    with _without_collector():
        return _Simulator(plan, work, fleet, random.Random(seed), value).run()


@contextmanager
def _without_collector() -> Iterator[None]:
    """What a simulation makes stays until its end; looking for garbage among it takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass
class _Simulator:
    plan: Plan
    work: Mapping[str, float | None]
    fleet: Fleet
    random: random.Random
    value: Value | None
    now: float = 0.0
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _spans: list[Span] = field(default_factory=list)
    _idle: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _busy: float = 0.0
    _done_share: dict[str, float] = field(default_factory=dict)
    """Key → the part of a stage that a lost machine left done."""
    _running: dict[str, _Running] = field(default_factory=dict)
    _waiters: dict[str, set[int]] = field(default_factory=dict)
    """Key or lineage → trials that may have something to do once it is done."""
    _roomless: dict[_NeedKey, list[int]] = field(default_factory=dict)
    """Need → a heap of trials that wait for room; some no longer do."""
    _losses: int = 0
    _paused: str | None = None

    def __post_init__(self) -> None:
        sweep = self.plan.sweep
        stages = self.plan.stages
        self._needs = {key: need(stage, sweep.resources) for key, stage in stages.items()}
        self._by_gpus = self.fleet.gpus > 0
        self._alive = [self.fleet.start_s <= 0] * self.fleet.count
        done = {key for key in stages if key not in self.work}
        self._broker = StageBroker(self._machines(), done)
        self._decisions = RungDecisions(
            self.plan, dict(self.plan.decided), lambda *_: None, lambda _: None, self._estimate
        )
        self._rule = make_rule(sweep.scheduler)
        self._climbers = [_Climber() for _ in self.plan.trials]
        self._num_open = len(self._climbers)
        self._requests: dict[tuple[int, int], list[Request]] = {}
        self._budgets = {(stage.lineage, stage.amount): stage for stage in stages.values()}
        self._means: dict[int, float] = {}
        whole = [self.fleet.kind.resources] * self.fleet.count
        needed = {(stages[key].name, _key_of(each)): each for key in self.work for each in [self._needs[key]]}
        reasons = [too_large(name, each, whole, where=self.fleet.name) for (name, _), each in needed.items()]
        if short := list(dict.fromkeys(reason for reason in reasons if reason is not None)):
            raise UserError("\n".join(short))

    def run(self) -> Simulation:
        self._begin_machines()
        self._begin_trials()
        limit_s = self.plan.sweep.limits.hours
        while self._events and self._num_open:
            at, _, act = self._events[0]
            if limit_s is not None and at > limit_s * HOUR_S:
                self._pass_time(limit_s * HOUR_S)
                self._paused = f"limits.hours, which is {limit_s:g}"
                break
            heapq.heappop(self._events)
            self._pass_time(at)
            act()
        path_s, path = self._critical_path()
        devices = self._num_devices(self.fleet.count)
        ended = {key for span in self._spans if not span.is_lost for key in span.keys}
        work_s = sum(self._device_s(key) for key in ended) / devices
        unknown = dict.fromkeys(
            self.plan.stages[key].name for span in self._spans for key in span.keys if self.work[key] is None
        )
        return Simulation(
            *(self.fleet, self.now, tuple(self._spans), self._busy, dict(self._idle), path_s, tuple(path)),
            *(work_s, tuple(unknown), self._losses, self._paused),
        )

    # Machines

    def _machines(self) -> list[Mapping[str, float]]:
        return [self.fleet.kind.resources for is_alive in self._alive if is_alive]

    def _begin_machines(self) -> None:
        for number in range(self.fleet.count):
            if not self._alive[number]:
                self._at(self.fleet.start_s, partial(self._come, number))
            else:
                self._plan_loss(number)

    def _come(self, number: int) -> None:
        self._alive[number] = True
        self._broker.capacity = self._machines()
        self._plan_loss(number)
        self._ask_those_without_room()

    def _plan_loss(self, number: int) -> None:
        if self.fleet.losses_per_hour > 0:
            after = self.random.expovariate(self.fleet.losses_per_hour / HOUR_S)
            self._at(self.now + after, lambda: self._lose(number))

    def _lose(self, number: int) -> None:
        """A machine is taken away: what runs on it goes back to what is stored, and waits for room again."""
        hit = self._broker.running_on(sum(self._alive[:number]))
        for key in hit:
            running = self._running.pop(key)
            self._end_span(running, is_lost=True)
            self._done_share[key] = self._stored_share(running)
            self._broker.leave(key)
        self._alive[number] = False
        self._broker.capacity = self._machines()
        self._losses += 1
        self._at(self.now + max(self.fleet.start_s, STARTING_S), lambda: self._come(number))
        self._ask([running for key in hit for running in [self._trial_of(key)] if running is not None])
        self._ask_those_without_room()

    def _trial_of(self, key: str) -> int | None:
        """A trial that would compute a stage again."""
        readers = (trial.trial.index for trial in self.plan.trials_of[key])
        return next((number for number in readers if not self._climbers[number].is_over), None)

    def _stored_share(self, running: _Running) -> float:
        """The part of a stage that is stored when it is cut off: whole checkpoints, whole shards."""
        stage = self.plan.stages[running.request.key]
        to_do = max(running.end_s - running.start_s - STARTING_S, 1e-9)
        ran = min(1.0, max(0.0, (self.now - running.start_s - STARTING_S) / to_do))
        share = running.share_before + (1 - running.share_before) * ran
        if stage.kind == "reduce":
            return 0.0
        every = stage.checkpointing.every if stage.kind == "train" and stage.checkpointing else stage.shard_size
        piece = min(1.0, every / stage.amount)
        return min(1.0, math.floor(share / piece + 1e-9) * piece)

    # Trials

    def _begin_trials(self) -> None:
        limit = self.plan.sweep.limits.concurrent_trials
        self._not_begun = list(range(len(self.plan.trials)))
        self._begin_more(limit if limit is not None else len(self._not_begun))

    def _begin_more(self, count: int) -> None:
        beginning, self._not_begun = self._not_begun[:count], self._not_begun[count:]
        self._ask(beginning)

    def _ask(self, trials: Sequence[int]) -> None:
        """Let trials begin what the broker grants, until each waits."""
        queue = list(trials)
        while queue:
            number = queue.pop(0)
            climber = self._climbers[number]
            if climber.is_over or climber.is_waiting_at_rung:
                continue
            requests = self._requests_of(number, climber.rung)
            decision = self._broker.decide(number, requests)
            if decision.action == "run":
                self._start(number, next(each for each in requests if decision.key in each.keys), decision.units)
                queue.insert(0, number)  # it may have more that is ready
            elif decision.action == "done":
                queue += self._arrive(number)
            elif (lacking := self._broker.waits_for_room(number)) is not None:
                waiting = self._roomless.setdefault(_key_of(lacking), [])
                if number not in waiting[:1]:
                    heapq.heappush(waiting, number)
            else:
                for request in requests:
                    for name in self._waits_for(request):
                        self._waiters.setdefault(name, set()).add(number)

    def _waits_for(self, request: Request) -> Iterable[str]:
        """Keys and lineages; until one of these is done, nothing changes for the request. One input is enough."""
        missing = next((key for key in request.inputs if key not in self._broker.done), None)
        return (*request.keys, *request.lineages) if missing is None else (missing,)

    def _ask_those_without_room(self) -> None:
        """Ask trials whose stages wait for room, in their order; none after one that still does not fit, of a need."""
        full: set[_NeedKey] = set()
        while True:
            firsts = [(first, key) for key in self._roomless.keys() - full if (first := self._first(key)) is not None]
            if not firsts:
                return
            number, key = min(firsts)
            self._ask([number])
            if self._first(key) == number:
                full.add(key)

    def _first(self, key: _NeedKey) -> int | None:
        """The first trial that waits for room for a need; None if none does."""
        waiting = self._roomless[key]
        while waiting:
            need = self._broker.waits_for_room(waiting[0])
            if need is not None and _key_of(need) == key:
                return waiting[0]
            heapq.heappop(waiting)
        return None

    def _requests_of(self, number: int, rung: int) -> list[Request]:
        """What a trial still needs at a rung."""
        requests = self._requests.get((number, rung))
        if requests is None:
            requests = requests_of(self.plan.trials[number].rungs[rung].stages, self._needs)
        left = [each for request in requests if (each := request.without(self._broker.done)) is not None]
        self._requests[number, rung] = left
        return left

    def _arrive(self, number: int) -> list[int]:
        """A trial has all of a rung; returns the trials to ask next."""
        climber, planned = self._climbers[number], self.plan.trials[number]
        value, mode = self._value(number, climber.rung), self.plan.sweep.objective.mode
        would_stop = self._rule is not None and self._rule.ends(number, climber.rung, score(value, mode))
        goes_on = self._decisions(number, climber.rung, value, would_stop) == "go on"
        if not goes_on or climber.rung == len(planned.rungs) - 1:
            return self._end_trial(climber)
        if not self._decisions.waits_for_all:
            climber.rung += 1
            return [number]
        climber.is_waiting_at_rung = True
        return self._promote(climber.rung)

    def _promote(self, rung: int) -> list[int]:
        """If every trial that climbs is at the rung: the best go on."""
        here = [n for n, climber in enumerate(self._climbers) if not climber.is_over and climber.rung == rung]
        if self._not_begun or not all(self._climbers[n].is_waiting_at_rung for n in here):
            return []
        self._decisions.promote(rung)
        climbing = set(self._decisions.climbing(rung + 1))
        asked = []
        for number in here:
            climber = self._climbers[number]
            climber.is_waiting_at_rung = False
            if number in climbing:
                climber.rung += 1
                asked.append(number)
            else:
                asked += self._end_trial(climber)
        return asked

    def _end_trial(self, climber: _Climber) -> list[int]:
        climber.is_over = True
        self._num_open -= 1
        beginning, self._not_begun = self._not_begun[:1], self._not_begun[1:]
        return beginning

    def _value(self, number: int, rung: int) -> float:
        if self.value is not None:
            return self.value(number, rung)
        mean = self._means.setdefault(number, self.random.gauss(0, 1))
        return mean + self.random.gauss(0, 0.1)

    def _estimate(self, number: int, rung: int) -> Estimate:
        """At random, for races by intervals: trials differ by a tenth, noise is a tenth at first, and falls as more is
        sampled."""
        value = (
            self.value(number, rung)
            if self.value
            else 1 + 0.1 * self._means.setdefault(number, self.random.gauss(0, 1))
        )
        rungs = self.plan.sweep.scheduler.rungs
        error = 0.1 * math.sqrt(rungs[0] / rungs[rung])
        value += self.random.gauss(0, error)
        spread = error * math.sqrt(BLOCKS) / (BLOCKS - 1)
        return Estimate(value, tuple(value + self.random.gauss(0, spread) for _ in range(BLOCKS)))

    # Stages

    def _start(self, number: int, request: Request, units: int) -> None:
        key = request.key
        devices = units * self._devices_of(request.need)
        before = self._done_share.get(key, 0.0)
        seconds = sum(self.work[each] or 0.0 for each in request.keys) * (1 - before) / devices
        stage = self.plan.stages[key]
        starting = STARTING_S if stage.kind != "reduce" else 0.0
        running = _Running(request, number, units, self.now, self.now + starting + seconds, next(self._order), before)
        self._running[key] = running
        self._at(running.end_s, lambda: self._finish(key, running.version))

    def _finish(self, key: str, version: int) -> None:
        running = self._running.get(key)
        if running is None or running.version != version:
            return  # a machine was taken away meanwhile
        del self._running[key]
        self._end_span(running, is_lost=False)
        self._broker.finish(key)
        names = {*running.request.keys, *running.request.lineages}
        waiting = {number for name in names for number in self._waiters.pop(name, ())}
        self._ask(sorted(n for n in waiting if self._broker.waits_for_room(n) is None))
        self._ask_those_without_room()

    def _end_span(self, running: _Running, *, is_lost: bool) -> None:
        key = running.request.key
        title = f"{self.plan.stages[key].name} ({serves(self.plan, key)})"
        devices = running.units * self._devices_of(running.request.need)
        span = Span(running.request.keys, title, running.start_s, self.now, running.units, devices, is_lost)
        self._spans.append(span)

    def _devices_of(self, need: Need) -> float:
        """Devices of one unit: its GPUs, or else its CPUs' one process."""
        return need.unit.get("GPU", 0.0) or 1.0

    # The clock

    def _at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), act))

    def _num_devices(self, machines: int) -> float:
        return float(machines * (self.fleet.kind.gpus if self._by_gpus else self.fleet.kind.cpus))

    def _pass_time(self, until: float) -> None:
        """Count what is busy and idle until then, and why."""
        seconds, self.now = until - self.now, until
        if seconds <= 0:
            return
        name = "GPU" if self._by_gpus else "CPU"
        running = self._running.values()
        busy = sum(each.units * each.request.need.unit.get(name, 0.0) for each in running)
        there = self._num_devices(sum(self._alive))
        self._busy += busy * seconds
        self._idle[STARTING_MACHINES] += (self._num_devices(self.fleet.count) - there) * seconds
        if (idle := there - busy) > 0:
            self._idle[self._why_idle()] += idle * seconds

    def _why_idle(self) -> str:
        if any(self._first(key) is not None for key in self._roomless):
            return "too few are free for what waits"
        waiting = self._num_open > 0
        names = dict.fromkeys(self.plan.stages[key].name for key in self._running)
        return f"waiting for {', '.join(names)}" if waiting and names else NOTHING_LEFT

    def _device_s(self, key: str) -> float:
        """The least that a stage holds devices for: its work, on whatever number of them."""
        need = self._needs[key]
        return (self.work[key] or 0.0) * need.unit.get("GPU" if self._by_gpus else "CPU", 0.0) / self._devices_of(need)

    def _critical_path(self) -> tuple[float, list[str]]:
        """The longest chain of the stages that ran, each on as many devices as it can have."""
        ran = {key: span for span in self._spans for key in span.keys if not span.is_lost}
        whole = [self.fleet.kind.resources] * self.fleet.count
        longest: dict[str, tuple[float, list[str]]] = {}
        most: dict[_NeedKey, int] = {}
        for key, stage in self.plan.stages.items():
            if key not in ran:
                continue
            each = self._needs[key]
            if (alike := _key_of(each)) not in most:
                most[alike] = max(1, how_many(whole, each.unit, each.most))
            starting = STARTING_S if stage.kind != "reduce" else 0.0
            seconds = starting + (self.work[key] or 0.0) / (most[alike] * self._devices_of(each))
            sources = [longest[source.key] for source in self._before(stage) if source.key in longest]
            before_s, titles = max(sources, key=lambda source: source[0], default=(0.0, []))
            longest[key] = before_s + seconds, [*titles, ran[key].title]
        return max(longest.values(), key=lambda each: each[0], default=(0.0, []))

    def _before(self, stage: Stage) -> list[Stage]:
        """The stages that must be done before one: what it reads, and a smaller budget of it."""
        smaller = self._budgets.get((stage.lineage, self.plan.begins_at[stage.key]))
        return [*stage.sources, *([] if smaller is None else [smaller])]


def work_of(device_days: float | None, seconds: float | None, speed: float | None) -> float | None:
    """Device-seconds of a stage: by its device-days at the speed of the fleet's device, else by the time it took."""
    if device_days is not None and speed:
        return device_days * 86_400 / speed
    return seconds


def _key_of(need: Need) -> _NeedKey:
    return tuple(sorted(need.unit.items())), need.least, need.most
