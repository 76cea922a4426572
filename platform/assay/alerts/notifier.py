"""The notifier: listens to a run, and tells its receivers, each from a thread of its own.

A receiver that is slow, gone or wrong delays nothing but its own alerts. What it did not get is reported in one line
when the run has ended.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping

from assay.alerts.alert import Alert, also_reached, broken_off, ended, failed_trials, reached_target
from assay.alerts.delivery import deliver, refusal
from assay.costs.availability import StageStatus
from assay.events import Event
from assay.home import Home
from assay.planning import Plan
from assay.results import Outcome
from assay.settings import receivers
from assay.store import StoredResult
from assay.sweep import Sweep
from assay.sweep.notify import Receiver

END_S = 20.0
"""How long the end of a run waits for deliveries: as long as all attempts at one alert can take."""


class Notifier:
    """A listener of a run, entered before it begins, and left when it has ended, however it ends.

    The first failure is told at once, and so is the first trial that reaches the target; all others only when the run
    has ended, in one alert per kind. Raises SpecError if the home's settings are wrong. `warn` is called in the thread
    of the run.
    """

    def __init__(self, sweep: Sweep, home: Home, warn: Callable[[str], None]) -> None:
        self._sweep, self._warn = sweep, warn
        self._couriers = [Courier(f"notify[{i}]", each) for i, each in enumerate(receivers(sweep, home))]
        self._plan: Plan | None = None
        self._outcome: Outcome | None = None
        self._has_failed = False
        self._reached: list[str] = []
        """The trials that reached the target in this run."""

    def __enter__(self) -> Notifier:
        return self

    def begin(self, plan: Plan, before: Mapping[str, StageStatus], stored: Mapping[str, StoredResult]) -> None:
        if self._plan is None:
            for courier in self._couriers:
                if (why := refusal(courier.receiver)) is not None:
                    self._warn(f"{courier.name}, {courier.receiver}: {why}; it will get no alerts")
        self._plan = plan

    def event(self, event: Event) -> None:
        plan = self._plan
        assert plan is not None
        if event.kind == "failed" and not self._has_failed:
            self._has_failed = True
            self._tell(failed_trials(plan, event.key, event.message))
        elif event.kind == "rung" and event.message == "reached" and event.key not in plan.decided:
            assert event.trial is not None
            trial = plan.trials[event.trial]
            self._reached.append(trial.name)
            if len(self._reached) == 1:
                self._tell(reached_target(plan, trial, event.done, event.metrics[plan.sweep.objective.name]))

    def end(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not self._couriers:
            return
        if self._plan is not None and len(self._reached) > 1:
            self._tell(also_reached(self._plan, self._reached))
        if error is not None and (self._plan is not None or not isinstance(error, KeyboardInterrupt)):
            self._tell(broken_off(self._sweep, error))
        elif self._outcome is not None:
            self._tell(ended(self._outcome))
        until = time.monotonic() + END_S
        if problems := [problem for courier in self._couriers if (problem := courier.finish(until)) is not None]:
            self._warn(f"alerts that could not be delivered: {'; '.join(problems)}")

    def _tell(self, alert: Alert) -> None:
        for courier in self._couriers:
            if alert.kind in courier.receiver.on:
                courier.put(alert)


class Courier:
    """Delivers alerts to one receiver, one after the other, from a thread that starts with the first."""

    def __init__(self, name: str, receiver: Receiver) -> None:
        self.name, self.receiver = name, receiver
        self._queue: queue.Queue[Alert | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name=f"assay-{name}", daemon=True)
        self._num_put = self._num_delivered = 0
        self._why = "no answer yet"
        """Why the last one that it gave up on was not delivered."""

    def put(self, alert: Alert) -> None:
        self._num_put += 1
        self._queue.put(alert)
        if not self._thread.ident:
            self._thread.start()

    def finish(self, until: float) -> str | None:
        """Wait for the deliveries, at most until a time; returns what was not delivered and why, in words."""
        if self._thread.ident:
            self._queue.put(None)
            self._thread.join(max(0.0, until - time.monotonic()))  # a daemon: it ends with the process
        if (missing := self._num_put - self._num_delivered) == 0:
            return None
        return f"{missing} of {self._num_put} to {self.name}, {self.receiver}: {self._why}"

    def _work(self) -> None:
        while (alert := self._queue.get()) is not None:
            if (why := deliver(self.receiver, alert)) is None:
                self._num_delivered += 1
            else:
                self._why = why
