"""A study's limits: device-days and dollars over all its runs, and hours of one run. Reaching one pauses the run.

Device-days and dollars are those of stored results plus what running stages have used so far: a training that crosses
the limit is saved at that point, not when it ends.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from assay.costs.devices import UTILISATION, DeviceDays
from assay.costs.estimator import expected_device
from assay.costs.rates import CPU, NO_RATES, Rates
from assay.errors import SpecError
from assay.events import Emit, Event
from assay.execution.pause import Pause
from assay.store import Cost, StoredResult
from assay.sweep import Limits, Sweep
from assay.text import days, listed, usd
from assay.workload import Stage

SECONDS_PER_HOUR = 3600


class Limiter:
    """Counts what the runs of a study compute, and pauses this one when a limit is reached."""

    def __init__(self, limits: Limits, unit: DeviceDays, pause: Pause, emit: Emit, rates: Rates = NO_RATES) -> None:
        self._hours = limits.hours
        self._pause = pause
        self._budgets: list[_Budget] = []
        if limits.device_days is not None:
            self._budgets.append(_DaysBudget(limits.device_days, unit, pause, emit))
        if limits.usd is not None:
            self._budgets.append(_DollarsBudget(limits.usd, rates, pause, emit))

    def hours_counted(self) -> AbstractContextManager[object]:
        """While inside, the hours of this run count."""
        return nullcontext() if self._hours is None else _Alarm(self._hours, self._pause)

    def charge(self, results: Iterable[StoredResult]) -> None:
        """Count results that this or an earlier run of the study computed: each once, however often it is passed."""
        if self._budgets:
            counted = list(results)
            for budget in self._budgets:
                budget.charge(counted)

    def running(self, key: str, cost: Cost, *, is_more: bool = False) -> None:
        """A running stage has cost this much so far; with `is_more`, this much more.

        On a device of unknown speed or price nothing is counted until the stage is committed.
        """
        for budget in self._budgets:
            budget.running(key, cost, is_more)

    def failed(self, key: str) -> None:
        """Forget a stage's running cost: the study is not charged for it."""
        for budget in self._budgets:
            budget.failed(key)


class _Budget(ABC):
    """One limit, and what has been spent of it."""

    def __init__(
        self,
        name: str,
        limit: float,
        words: Callable[[float], str],
        pause: Pause,
        emit: Emit,
    ) -> None:
        self.name = name
        self._limit, self._words, self._pause, self._emit = limit, words, pause, emit
        self._spent = 0.0
        self._counted: set[str] = set()
        """Keys of the results counted in `_spent`."""
        self._running: dict[str, float] = {}
        """Key → what stages that are not counted there yet have cost."""
        self._told: set[str] = set()

    def charge(self, results: Iterable[StoredResult]) -> None:
        for result in results:
            self._running.pop(result.key, None)
            if result.key not in self._counted:
                self._counted.add(result.key)
                known = self.of(result.cost)
                self._spent += self.of_unknown(result) if known is None else known
        self._compare()

    def running(self, key: str, cost: Cost, is_more: bool) -> None:
        if key in self._counted:
            return  # a late event of a stage that is counted
        before = self._running.get(key, 0.0) if is_more else 0.0
        self._running[key] = before + (self.of(cost) or 0.0)
        self._compare()

    def failed(self, key: str) -> None:
        self._running.pop(key, None)

    @abstractmethod
    def of(self, cost: Cost) -> float | None:
        """What a cost counts; None if that is unknown."""

    @abstractmethod
    def of_unknown(self, result: StoredResult) -> float:
        """What a result counts whose cost is unknown."""

    def tell_once(self, device: str, message: str) -> None:
        if device not in self._told:
            self._told.add(device)
            self._emit(Event("warning", message=f"{self.name}: {message}"))

    def _compare(self) -> None:
        spent = self._spent + sum(self._running.values())
        if spent >= self._limit:
            reached = f"{self._words(spent)} of {self._words(self._limit)} spent"
            self._pause.ask(f"{self.name} is reached: {reached}; raise it to continue", is_limit=True)


class _DaysBudget(_Budget):
    def __init__(self, limit: float, unit: DeviceDays, pause: Pause, emit: Emit) -> None:
        super().__init__(f"limits.{unit.field}", limit, days, pause, emit)
        self._unit = unit

    def of(self, cost: Cost) -> float | None:
        return self._unit.of(cost.device, cost.count, cost.seconds)

    def of_unknown(self, result: StoredResult) -> float:
        device, flops, reference = result.cost.device, result.flops, self._unit.device
        self.tell_once(
            device,
            f"{device} has no declared speed in {reference}s; its stages count by their FLOPs, at {UTILISATION:.0%} of "
            f"a {reference}'s peak; those without FLOPs do not count",
        )
        return 0.0 if flops is None else self._unit.of_flops(flops * result.share_charged) or 0.0


class _DollarsBudget(_Budget):
    def __init__(self, limit: float, rates: Rates, pause: Pause, emit: Emit) -> None:
        super().__init__("limits.usd", limit, usd, pause, emit)
        self._rates = rates

    def of(self, cost: Cost) -> float | None:
        return self._rates.usd(cost.device, cost.count, cost.seconds)

    def of_unknown(self, result: StoredResult) -> float:
        device = result.cost.device
        self.tell_once(device, f"the price of {device} is unknown; its stages do not count")
        return 0.0


def unpriced(sweep: Sweep, stages: Iterable[Stage], rates: Rates) -> str | None:
    """Why a limit of dollars cannot be kept by these stages, as a message; None if it can, or if there is none."""
    if sweep.limits.usd is None:
        return None
    unit = sweep.find_workload().report.days
    wanted = dict.fromkeys(expected_device(stage, sweep.resources, unit) for stage in stages)
    unnamed, unknown = "" in wanted, [device for device in wanted if device and rates.usd_per_hour(device) is None]
    if unnamed:
        return f"got {sweep.limits.usd:g}, but nothing says which GPU stages run on; name it, as in resources.train.gpu"
    if not unknown:
        return None
    market = "usd_per_hour" if rates.market == "on_demand" else "spot_usd_per_hour"
    free = "; 0 if the price of the GPUs includes their machines' CPUs" if CPU in unknown else ""
    return (
        f"got {sweep.limits.usd:g}, but the price of {listed(unknown)} is unknown; add it to `prices` in the home's "
        f"settings.yaml, with {market}{free}"
    )


def refuse_unpriced(sweep: Sweep, stages: Iterable[Stage], rates: Rates) -> None:
    """Raises SpecError at the line of `limits.usd` if these stages run on devices of unknown price."""
    if (message := unpriced(sweep, stages, rates)) is not None:
        raise SpecError([sweep.problem(("limits", "usd"), message)])


class _Alarm:
    def __init__(self, hours: float, pause: Pause) -> None:
        reason = f"limits.hours is reached: {hours:g} of one run; rerun the same command to continue"
        self._timer = threading.Timer(hours * SECONDS_PER_HOUR, pause.ask, [reason], {"is_limit": True})
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
