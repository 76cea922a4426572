"""The inline executor: every trial and stage in this process. For tests and debugging.

It runs the trials rung by rung; without rungs, one after the other. Nothing here imports Ray.
"""

from __future__ import annotations

import bdb
import math
import time
import traceback
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from assay.errors import StoreError, UserError
from assay.events import Emit, Event
from assay.execution.broker import too_large
from assay.execution.packing import Machine
from assay.execution.pause import Pause, Paused
from assay.execution.racing import make_rule, score
from assay.execution.requirements import Need, need
from assay.execution.retries import failure_of
from assay.execution.rung_decisions import RungDecisions
from assay.execution.sharing import POLL_S, lineages_of, stored_by_another, waiting
from assay.execution.work import Lane, Place, commit_pass, device_name, here, parts_of, reduce, train_worker
from assay.planning import Plan
from assay.planning.passes import Pass, passes
from assay.store import Notes, Store
from assay.store.leases import Leases
from assay.workload import Stage


class InlineExecutor:
    """No cluster, no other process. Threads of a stage share the CPUs; a GPU that it asks for must exist. A training
    has one worker, whatever the sweep asks for."""

    def session(self, address: str | None, scratch_url: str, log: Path) -> AbstractContextManager[object]:
        return nullcontext()

    def capacity(self) -> Sequence[Machine]:
        import torch

        return [{"CPU": math.inf, "GPU": float(torch.cuda.device_count())}]

    def check(self, plan: Plan, done: Collection[str], emit: Emit) -> None:
        missing = [stage for key, stage in plan.needed.items() if key not in done]
        units = {stage.name: need(stage, plan.sweep.resources).unit for stage in missing}
        on_gpus = {name: unit for name, unit in units.items() if "GPU" in unit}
        machines = self.capacity() if on_gpus else []
        reasons = [too_large(name, Need(unit), machines, where="this machine") for name, unit in on_gpus.items()]
        if messages := [reason for reason in reasons if reason is not None]:
            raise UserError("\n".join(messages) + "\nAsk for less under `resources`, or run on a machine that has it.")

    def run(self, plan: Plan, store: Store, done: Sequence[str], decisions: RungDecisions, pause: Pause) -> None:
        run_trials(plan, store, done, decisions, pause)


def run_trials(plan: Plan, store: Store, done: Sequence[str], decisions: RungDecisions, pause: Pause) -> None:
    """Compute every stage of the plan that is not done. Returns early when the run is asked to pause."""
    emit, sweep = decisions.emit, plan.sweep
    reporting = Store(
        store.url,
        report=lambda message: emit(Event("warning", message=message)),
        origin=store.files.origin,
        run=store.run,
    )
    work = _Work(plan, reporting, set(done), emit, pause, reporting.leases())
    rule = make_rule(sweep.scheduler)

    def continues(trial: int, rung: int) -> bool:
        value = work.value(trial, rung)
        would_stop = rule is not None and rule.ends(trial, rung, score(value, sweep.objective.mode))
        return decisions(trial, rung, value, would_stop) == "go on"

    climbing = list(range(len(plan.trials)))
    pause.is_heard = True
    try:
        for rung in range(max((len(trial.rungs) for trial in plan.trials), default=0)):
            complete = work.climb(climbing, rung)
            climbing = [trial for trial in complete if continues(trial, rung)]
            if decisions.waits_for_all:
                decisions.promote(rung)
                on = set(decisions.climbing(rung + 1))
                climbing = [trial for trial in complete if trial in on]
    except Paused:
        return
    finally:
        pause.is_heard = False


@dataclass
class _Work:
    plan: Plan
    store: Store
    done: set[str]
    emit: Emit
    pause: Pause
    leases: Leases
    failed: set[str] = field(default_factory=set)

    def climb(self, trials: Sequence[int], rung: int) -> list[int]:
        """Compute what the trials need at a rung; returns those of which all is stored then. What another run computes
        is looked at again once all else is done."""
        left = trials
        while left := [trial for trial in left if self._must_wait(trial, rung)]:
            if self.pause.wait(POLL_S):
                raise Paused
        return [trial for trial in trials if self.done.issuperset(s.key for s in self._stages(trial, rung))]

    def _must_wait(self, trial: int, rung: int) -> bool:
        """Compute what a trial needs; returns whether another run computes a part of it."""
        missing = [stage for stage in self._stages(trial, rung) if stage.key not in self.done | self.failed]
        elsewhere = [each for each in passes(missing) if self._is_elsewhere(each, trial)]
        return bool(elsewhere)

    def _stages(self, trial: int, rung: int) -> Sequence[Stage]:
        return self.plan.trials[trial].rungs[rung].stages

    def value(self, trial: int, rung: int) -> float:
        result = self.store.get(self.plan.trials[trial].rungs[rung].leaf.key)
        assert result is not None
        return result.metrics.get(self.plan.sweep.objective.name, math.nan)

    def _is_elsewhere(self, stages: Pass, trial: int) -> bool:
        """Compute a pass, unless another run does: returns whether that is so."""
        keys = [stage.key for stage in stages]
        if any(source.key not in {*self.done, *keys} for stage in stages for source in stage.sources):
            return False  # one failed, or is computed elsewhere
        if self.pause.reason is not None:
            raise Paused
        try:
            holder = self.leases.take(lineages_of(stages))
        except StoreError as error:
            self._fail(keys, error)
            return False
        if holder is not None:
            self.emit(waiting(keys[0], holder))
            return True
        try:
            self._compute(stages, trial)
        finally:
            self.leases.give_back(lineages_of(stages))
        return False

    def _compute(self, stages: Pass, trial: int) -> None:
        """Compute a pass, or what of it is not stored by now."""
        try:
            stored = stored_by_another(stages, self.store)
        except StoreError as error:
            self._fail([stage.key for stage in stages], error)
            return
        for stage in stages:
            if stage.key not in stored:
                self.emit(Event("started", stage.key, trial=trial))
        first, *beside = stages
        try:
            if len(stored) < len(stages):
                threads = need(first, self.plan.sweep.resources).threads
                execute(first, self.store, threads, self.emit, self.pause, beside=beside)
        except Paused:
            raise
        except bdb.BdbQuit:  # quitting the debugger ends the run, rather than entering it again in the next trial
            raise KeyboardInterrupt from None
        except Exception as error:
            self._fail([stage.key for stage in stages], error)
        else:
            self.done.update(stage.key for stage in stages)
            for stage in stages:
                self.emit(Event("committed", stage.key, by_another=stage.key in stored))

    def _fail(self, keys: Sequence[str], error: Exception) -> None:
        blamed, trace = failure_of(error).stage, "".join(traceback.format_exception(error)).strip()
        for key in keys if blamed is None else [blamed]:
            self.failed.add(key)
            self.emit(Event("failed", key, message=trace))


def execute(
    stage: Stage,
    store: Store,
    threads: int,
    emit: Emit,
    pause: Pause | None = None,
    *,
    beside: Sequence[Stage] = (),
) -> None:
    """Compute and commit a stage whose inputs are stored, and those `beside` it in its pass. Raises Paused if they were
    left unfinished."""
    pause, place = pause or Pause(), here(threads)
    if stage.kind == "train":
        left_at = train_worker(stage, store, place, emit, is_leaving=lambda: pause.reason is not None)
        if left_at is not None:
            raise Paused
    elif stage.kind == "reduce":
        reduce(stage, store, place, emit)
    else:
        fan_out((stage, *beside), store, place, emit, pause)


def fan_out(stages: Pass, store: Store, place: Place, emit: Emit, pause: Pause) -> None:
    """Compute and commit a pass of map stages, in one lane."""
    started = time.monotonic()
    parts = parts_of(stages, store)
    took: Counter[str] = Counter()
    notes: Mapping[str, Notes] = {}
    if parts:
        lane = Lane(stages, parts, store, place, emit)
        for part in parts:
            if pause.reason is not None:
                raise Paused
            took.update(lane.compute(part))
        notes = lane.notes
    seconds, devices = time.monotonic() - started, {device_name(place.device)} if parts else set()
    commit_pass(stages, store, devices, place.threads, 1, seconds, took, parts, notes)
