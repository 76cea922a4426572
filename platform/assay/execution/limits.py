"""A study's limits: device-days over all its runs, and hours of one run. Reaching one pauses the run.

Device-days are those of stored results plus what running stages have used so far: a training that crosses the limit is
saved at that point, not when it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from assay.costs.devices import UTILISATION, DeviceDays
from assay.execution.events import Emit, Event
from assay.execution.pause import Pause
from assay.store import Cost, StoredResult
from assay.sweep import Limits
from assay.text import days

SECONDS_PER_HOUR = 3600


class Limiter:
    """Counts what the runs of a study compute, and pauses this one when a limit is reached."""

    def __init__(self, limits: Limits, unit: DeviceDays, pause: Pause, emit: Emit) -> None:
        self._limits = limits
        self._unit = unit
        self._pause = pause
        self._emit = emit
        self._spent = 0.0
        self._counted: set[str] = set()
        """Keys of the results counted in `_spent`."""
        self._running: dict[str, float] = {}
        """Key → device-days of stages not counted there yet."""
        self._told: set[str] = set()

    def hours_counted(self) -> AbstractContextManager[object]:
        """While inside, the hours of this run count."""
        return nullcontext() if self._limits.hours is None else _Alarm(self._limits.hours, self._pause)

    def charge(self, results: Iterable[StoredResult]) -> None:
        """Count results that this or an earlier run of the study computed: each once, however often it is passed."""
        if self._limits.device_days is None:
            return
        for result in results:
            self._running.pop(result.key, None)
            if result.key not in self._counted:
                self._counted.add(result.key)
                self._spent += self._charged(result)
        self._compare(self._limits.device_days)

    def running(self, key: str, cost: Cost, *, is_more: bool = False) -> None:
        """A running stage has cost this much so far; with `is_more`, this much more.

        On a device of unknown speed nothing is counted until the stage is committed.
        """
        if self._limits.device_days is None or key in self._counted:
            return  # a late event of a stage that is counted
        before = self._running.get(key, 0.0) if is_more else 0.0
        self._running[key] = before + (self._days(cost) or 0.0)
        self._compare(self._limits.device_days)

    def failed(self, key: str) -> None:
        """Forget a stage's running cost: the study is not charged for it."""
        self._running.pop(key, None)

    def _compare(self, limit: float) -> None:
        spent = self._spent + sum(self._running.values())
        if spent >= limit:
            name = f"limits.{self._unit.field}"
            reason = f"{name} is reached: {days(spent)} of {days(limit)} spent; raise it to continue"
            self._pause.ask(reason, is_limit=True)

    def _days(self, cost: Cost) -> float | None:
        return self._unit.of(cost.device, cost.count, cost.seconds)

    def _charged(self, result: StoredResult) -> float:
        known = self._days(result.cost)
        if known is not None:
            return known
        device, flops = result.cost.device, result.flops
        if device not in self._told:
            self._told.add(device)
            message = (
                f"limits.{self._unit.field}: {device} has no declared speed in {self._unit.device}s; its stages "
                f"count by their FLOPs, at {UTILISATION:.0%} of a {self._unit.device}'s peak; those without FLOPs do "
                "not count"
            )
            self._emit(Event("warning", message=message))
        return 0.0 if flops is None else self._unit.of_flops(flops * result.share_charged) or 0.0


class _Alarm:
    def __init__(self, hours: float, pause: Pause) -> None:
        reason = f"limits.hours is reached: {hours:g} of one run; rerun the same command to continue"
        self._timer = threading.Timer(hours * SECONDS_PER_HOUR, pause.ask, [reason], {"is_limit": True})
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
