"""The broker as an actor, which is also the mailbox for workers' events to the driver."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import ray

from assay.events import Event
from assay.execution.broker import Assignment, Request, StageBroker
from assay.execution.ray.capacity import capacity, free_what_the_dead_hold
from assay.execution.retries import Failure
from assay.execution.sharing import POLL_S

WAIT_S = 10.0
"""How long a question stays open before the trial asks again."""
MAIL_WAIT_S = 1.0
MOST_MAIL = 1000
"""The most events passed to the driver at a time."""


class BrokerActor:
    def __init__(self, done: Sequence[str]) -> None:
        self._broker = StageBroker(capacity(), set(done))
        self._events: deque[Event] = deque()
        """Events that the driver has not fetched yet."""
        self._fetched = 0
        self._is_over = False
        self._notes: dict[str, dict[str, str | float]] = {}
        self._started: set[str] = set()
        """Keys of the stages that began in this run."""
        self._reported: dict[str, Failure] = {}
        self._begun: dict[tuple[str, str], list[str]] = {}
        self._short: set[str] = set()
        self._changed = asyncio.Condition()
        self._mail = asyncio.Condition()
        """A condition of its own: progress is for the driver, not for trials that wait for a stage or for room."""

    async def next(self, trial: int, requests: Sequence[Request]) -> Assignment:
        """What the trial should do; "wait" only if nothing changed in its favour for WAIT_S."""
        deadline = time.monotonic() + WAIT_S
        async with self._changed:
            while True:
                self._broker.capacity = capacity()
                decision = self._broker.decide(trial, requests)
                if decision.action != "wait" or not await _notified(self._changed, deadline):
                    return decision

    async def again(self, key: str) -> int:
        """The number of units with which a stage may restart; 0 if the run pauses.

        Waits until some are free, holding none.
        """
        async with self._changed:
            self._start_over(key)
            self._changed.notify_all()  # its old units are free
            while not self._broker.is_paused:
                self._broker.capacity = capacity()
                if units := self._broker.decide_again(key):
                    return units
                await self._changed.wait()
            return 0

    async def look(self) -> list[Mapping[str, float]]:
        """Update the cluster's capacity, which may shrink or grow, and warn about stages that cannot start.

        Returns the worker bundles that one more waiting stage would need.
        """
        free_what_the_dead_hold()
        async with self._changed:
            before, self._broker.capacity = self._broker.capacity, capacity()
            if self._broker.capacity != before:
                self._changed.notify_all()
            shortages = self._broker.shortages()
            for key, shortage in shortages.items():
                if shortage not in self._short:
                    self._short.add(shortage)
                    await self._post(Event("warning", key, message=f"{shortage}; it waits for more machines"))
            self._short &= set(shortages.values())
            return self._broker.wanted()

    async def pause(self) -> None:
        """Start nothing new; running trainings should save and leave."""
        async with self._changed:
            self._broker.is_paused = True
            self._changed.notify_all()

    async def is_paused(self) -> bool:
        """Whether the run pauses. Answers at once, since an actor holds a limited number of open calls."""
        return self._broker.is_paused

    async def leave(self, key: str) -> None:
        async with self._changed:
            self._broker.leave(key)
            self._changed.notify_all()

    async def defer(self, key: str) -> None:
        """Another run computes a granted stage: it is granted again in a moment, to see whether that is still so."""
        async with self._changed:
            lineages = self._broker.defer(key)
            self._changed.notify_all()
        await asyncio.sleep(POLL_S)
        async with self._changed:
            self._broker.look_again(lineages)
            self._changed.notify_all()

    async def not_begun(self, keys: Sequence[str]) -> list[str]:
        """Those that never began in this run."""
        return [key for key in keys if key not in self._started]

    async def finish(self, key: str, by_another: Collection[str] = ()) -> None:
        async with self._changed:
            for committed in self._broker.finish(key):
                await self._post(Event("committed", committed, by_another=committed in by_another))
            self._changed.notify_all()

    async def fail(self, key: str, message: str, blamed: str | None = None) -> list[str]:
        """Record that a stage failed, and those beside it. Returns the keys that failed."""
        async with self._changed:
            keys = self._broker.fail(key, message, blamed)
            for failed in keys:
                await self._post(Event("failed", failed, message=message))
            self._changed.notify_all()
        return keys

    async def lose(self, trial: int, leaf: str, message: str) -> list[str]:
        """A trial died without a report: fail what it was computing, else its own last stage. Returns what failed."""
        keys = [key for key, its in self._broker.running().items() if its == trial] or [leaf]
        return [failed for key in keys if key not in self._broker.failed for failed in await self.fail(key, message)]

    async def report(self, key: str, failure: Failure) -> None:
        """A stage's body raised: store the failure before Ray wraps it. The first of a group counts."""
        self._reported.setdefault(key, failure)

    async def reported(self, key: str) -> Failure | None:
        """What the last attempt at a stage reported; forgotten, since the next one starts."""
        return self._reported.pop(key, None)

    async def begun(self, key: str, what: str, worker: str, after: str | None) -> list[str]:
        """A worker begins a part of a stage's work; returns the workers that began it earlier in this run and died of
        it. The part before it is finished, and may begin again."""
        if after is not None:
            self._begun.pop((key, after), None)
        earlier = self._begun.setdefault((key, what), [])
        earlier.append(worker)
        return earlier[:-1]

    async def abandon(self, trial: int) -> None:
        async with self._changed:
            for key in [key for key, its in self._broker.running().items() if its == trial]:
                self._start_over(key)
            self._broker.abandon(trial)
            self._changed.notify_all()

    async def emit(self, event: Event) -> None:
        if event.kind == "started":
            self._started.add(event.key)
        if event.note is not None:
            notes, (name, value) = self._notes.setdefault(event.key, {}), event.note
            if notes.get(name) == value:
                return  # every worker sends it, and sends it again after a restart
            notes[name] = value
        await self._post(event)

    async def notes(self, key: str) -> dict[str, str | float]:
        """The notes of a stage in this run, from all workers."""
        return self._notes.get(key, {})

    async def events(self, since: int) -> list[Event]:
        """Events from number `since` on, at most MOST_MAIL; waits a moment for one. Earlier ones are forgotten."""
        async with self._mail:
            for _ in range(since - self._fetched):
                self._events.popleft()
            self._fetched = since
            if not self._events and not self._is_over:
                await _notified(self._mail, time.monotonic() + MAIL_WAIT_S)
            return list(itertools.islice(self._events, MOST_MAIL))

    async def end(self) -> None:
        """All trials are over: whoever fetches events need not wait for more."""
        async with self._mail:
            self._is_over = True
            self._mail.notify_all()

    def _start_over(self, key: str) -> None:
        """Forget what an earlier attempt at a stage reported, and which workers began its parts."""
        self._reported.pop(key, None)
        self._begun = {part: workers for part, workers in self._begun.items() if part[0] != key}

    async def _post(self, event: Event) -> None:
        async with self._mail:
            self._events.append(event)
            self._mail.notify_all()


async def _notified(condition: asyncio.Condition, deadline: float) -> bool:
    """Wait for a condition whose lock is held; returns whether it was notified before the deadline."""
    try:
        await asyncio.wait_for(condition.wait(), max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return False
    return True


class RemoteEmit:
    """An Emit that works in any process of the cluster."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    def __call__(self, event: Event) -> None:
        sent = self.broker.emit.remote(event)
        # A note is part of the result, so it must arrive before the work is done; a warning must outlive its process.
        if event.kind in ("note", "warning"):
            ray.get(sent)
