"""`run`: look at the store, compute what is missing, tell everyone who listens, and return what there is."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from assay.errors import StageFailed
from assay.home import Home
from assay.planning import Plan, PlannedTrial, StageStatus, computed_of, survey
from assay.runner import inline
from assay.runner.broker import StageBroker
from assay.runner.checks import refuse
from assay.runner.events import Emit, Event
from assay.runner.needs import threads
from assay.store import Computed, Store, StoredResult

ExecutorName = Literal["ray", "inline"]


@dataclass(frozen=True)
class TrialOutcome:
    """A trial after a run: its results by stage key, or why there are none."""

    planned: PlannedTrial
    results: dict[str, StoredResult]
    computed: frozenset[str]
    """Keys of its stages that this run computed (for itself or for another trial)."""
    error: StageFailed | None = None

    @property
    def metrics(self) -> dict[str, float]:
        leaf = self.planned.result(self.results)
        return dict(leaf.metrics) if leaf is not None else {}

    @property
    def seconds(self) -> float:
        """What its stages took, whenever and for whomever they were computed."""
        return sum(result.cost.seconds for result in self.results.values())


@dataclass(frozen=True)
class Outcome:
    plan: Plan
    trials: tuple[TrialOutcome, ...]
    computed: frozenset[str]
    seconds: float
    """Wall-clock of this run."""

    @property
    def failed(self) -> tuple[TrialOutcome, ...]:
        return tuple(trial for trial in self.trials if trial.error is not None)


class Listener(Protocol):
    """Someone a run talks to: the display, the tracker. Called in the driver, one call at a time."""

    def begin(self, plan: Plan, before: dict[str, StageStatus], stored: dict[str, StoredResult]) -> None: ...

    def event(self, event: Event) -> None: ...

    def end(self, outcome: Outcome) -> None: ...


def run(
    plan: Plan,
    home: Home,
    *,
    executor: ExecutorName = "ray",
    address: str | None = None,
    listeners: Sequence[Listener] = (),
) -> Outcome:
    """Compute every stage of the plan that the store does not hold soundly.

    A stage that fails does not stop the trials that do not need it: its error is in the outcome. KeyboardInterrupt
    leaves everything committed so far in the store; the same call goes on from there.
    """
    started = time.monotonic()
    warnings: list[str] = []
    store = Store(home.store_url, report=warnings.append)
    stored = {key: result for key in plan.stages if (result := store.sound(key)) is not None}
    before = survey(plan, store)
    if len(stored) < len(plan.stages):
        with store.staging():
            pass  # a store that cannot be written to is said now, not once a stage
    journal = _Journal(listeners, computed_of(plan.sweep, store))
    for listener in listeners:
        listener.begin(plan, before, stored)
    for message in warnings:
        journal(Event("warning", message=message))
    if len(stored) < len(plan.stages):
        if executor == "inline":
            _run_inline(plan, store, sorted(stored), journal)
        else:
            _run_on_ray(plan, store, sorted(stored), home, address, journal)
    outcome = _outcome(plan, store, journal, time.monotonic() - started)
    for listener in listeners:
        listener.end(outcome)
    return outcome


class _Journal:
    """Passes events on, and remembers which stages were computed and which failed."""

    def __init__(self, listeners: Sequence[Listener], charged: Computed) -> None:
        self._listeners = listeners
        self._charged = charged
        self.computed: set[str] = set()
        self.failed: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if event.kind == "committed":
            self.computed.add(event.key)
            self._charged.add(event.key)
        elif event.kind == "failed":
            self.failed[event.key] = event.message
        for listener in self._listeners:
            listener.event(event)


def _run_on_ray(plan: Plan, store: Store, done: Sequence[str], home: Home, address: str | None, emit: Emit) -> None:
    from assay.runner.on_ray.session import session

    with session(address):
        from assay.runner.on_ray.trials import run_trials

        run_trials(plan, store, done, home.scratch_url, emit)


def _run_inline(plan: Plan, store: Store, done: Sequence[str], emit: Emit) -> None:
    refuse(stage for key, stage in plan.stages.items() if key not in done)
    broker = StageBroker({}, set(done))
    told = Store(store.url, report=lambda message: emit(Event("warning", message=message)))
    for stage in plan.stages.values():
        if stage.key in broker.done or any(source.key in broker.failed for source in stage.sources):
            if stage.key not in broker.done:
                broker.fail(stage.key, "an input failed")
            continue
        emit(Event("started", stage.key, trial=plan.trials_of[stage.key][0].trial.index))
        try:
            inline.execute(stage, told, threads(stage, plan.sweep.resources), emit)
        except Exception:
            broker.fail(stage.key, traceback.format_exc().strip())
            emit(Event("failed", stage.key, message=broker.failed[stage.key]))
        else:
            broker.finish(stage.key)
            emit(Event("committed", stage.key))


def _outcome(plan: Plan, store: Store, journal: _Journal, seconds: float) -> Outcome:
    results = {key: result for key in plan.stages if (result := store.get(key)) is not None}
    trials = []
    for planned in plan.trials:
        own = {stage.key: results[stage.key] for stage in planned.stages if stage.key in results}
        broken = next((s for s in planned.stages if s.key in journal.failed), None)
        error = StageFailed(broken.name, broken.key, journal.failed[broken.key]) if broken else None
        trials.append(TrialOutcome(planned, own, frozenset(own) & frozenset(journal.computed), error))
    return Outcome(plan, tuple(trials), frozenset(journal.computed), seconds)
