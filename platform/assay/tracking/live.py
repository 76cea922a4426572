"""Curves of stages while they run, under `live/` in MLflow, and what their workers use, under `system/`.

A stage that resumes may repeat steps there.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from assay.costs.availability import StageStatus
from assay.costs.devices import find_device
from assay.events import Event
from assay.planning import Plan
from assay.tracking.client import now_ms
from assay.tracking.view import Point
from assay.workload import Stage

MOST_WORKERS = 64
"""Workers of a stage whose use is shown, each on its own."""


@dataclass
class Running:
    """What a stage reported since its curves were last shown, and how far it was then."""

    stage: Stage
    unit: str
    """What `live/…_per_second` counts."""
    done: int
    device_seconds: float = 0.0
    device: str = ""
    reported: dict[str, list[float]] = field(default_factory=dict)
    """Metric → its values since then."""
    used: dict[str, list[float]] = field(default_factory=dict)
    """WORKER/METRIC → what its workers measured since then; several on one machine are one."""
    shown_done: int = 0
    shown_device_seconds: float = 0.0
    shown_at: float = 0.0

    def add(self, event: Event) -> None:
        """A map stage reports what is new, a training where it is."""
        self.done = self.done + event.done if event.advance else event.done
        for name, value in event.metrics.items():
            if math.isfinite(value):
                self.reported.setdefault(name, []).append(value)
        if event.cost is not None:
            spent = event.cost.seconds * event.cost.count
            self.device_seconds = self.device_seconds + spent if event.advance else spent
            self.device = event.cost.device

    def add_used(self, event: Event) -> None:
        workers = {name.rpartition("/")[0] for name in self.used}
        if event.worker in workers or len(workers) < MOST_WORKERS:
            for name, value in event.metrics.items():
                self.used.setdefault(f"{event.worker}/{name}", []).append(value)

    def points(self, now: float) -> list[Point]:
        """The metrics' means and the speed since the last call, the progress, and what the workers used."""
        means = {name: statistics.fmean(values) for name, values in self.reported.items()}
        values = {**means, f"{self.stage.unit}_done": float(self.done), **self._rates(now)}
        self.reported = {}
        self.shown_done, self.shown_device_seconds, self.shown_at = self.done, self.device_seconds, now
        shown = {f"live/{self.stage.name}/{name}": value for name, value in values.items()}
        shown |= {f"system/{self.stage.name}/{name}": statistics.fmean(each) for name, each in self.used.items()}
        self.used = {}
        return [Point(name, value, self.done, now_ms()) for name, value in shown.items()]

    def _rates(self, now: float) -> dict[str, float]:
        share = (self.done - self.shown_done) / self.stage.amount
        seconds, device_seconds = now - self.shown_at, self.device_seconds - self.shown_device_seconds
        if share <= 0 or seconds <= 0:
            return {}
        rates = {f"{self.unit}_per_second": share * (self.stage.items or self.stage.amount) / seconds}
        device = find_device(self.device)
        if self.stage.flops and device is not None and device.peak_flops and device_seconds > 0:
            rates["utilisation"] = share * self.stage.flops / (device_seconds * device.peak_flops)
        return rates


class LiveCurves:
    """Collects what the stages of a run report, and hands it out once per interval."""

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """An interval of 0 shows nothing."""
        self._interval_s, self._clock = interval_s, clock
        self._plan: Plan | None = None
        self._before: Mapping[str, StageStatus] = {}
        self._running: dict[str, Running] = {}
        self._reported: set[str] = set()
        self._due = clock() + interval_s

    def begin(self, plan: Plan, before: Mapping[str, StageStatus]) -> None:
        """What the run computes; again when its plan grew."""
        self._plan, self._before = plan, before

    def add(self, event: Event) -> None:
        if event.kind == "committed":
            self._running.pop(event.key, None)
            self._reported.discard(event.key)
        elif event.kind == "system":
            if event.key in self._running:
                self._running[event.key].add_used(event)
        elif event.kind == "progress" and self._plan is not None and event.key in self._plan.stages:
            if event.key not in self._running:
                self._running[event.key] = self._begun(self._plan, event)
            self._running[event.key].add(event)
            self._reported.add(event.key)

    def due(self, *, is_free: bool) -> dict[str, list[Point]]:
        """The points of each stage that reported something, by its key; none before the interval is over, or while
        earlier ones are still being written: a slow server gets fewer."""
        now = self._clock()
        if not self._interval_s or now < self._due or not is_free:
            return {}
        self._due = now + self._interval_s
        reported, self._reported = self._reported, set()
        return {key: self._running[key].points(now) for key in sorted(reported)}

    def _begun(self, plan: Plan, event: Event) -> Running:
        stage = plan.stages[event.key]
        unit = stage.unit if stage.items is None else plan.hints_of(event.key).item_unit
        stored = self._before[event.key].done if event.key in self._before else 0
        # A training says where it is: what it did before its first report took an unknown time.
        done = stored if event.advance else event.done
        spent = 0.0 if event.cost is None or event.advance else event.cost.seconds * event.cost.count
        return Running(stage, unit, done, shown_done=done, shown_device_seconds=spent, shown_at=self._clock())
