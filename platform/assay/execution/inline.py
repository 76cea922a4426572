"""The inline executor: every trial and every kind of stage in this process. For tests and a first breakpoint.

It takes the trials rung by rung; without rungs, one after the other. A sweep that races asks the same scheduler of Ray
Tune as on a cluster, and starts no cluster for it.
"""

from __future__ import annotations

import bdb
import math
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from assay.execution.events import Emit, Event
from assay.execution.pause import Pause, Paused
from assay.execution.requirements import threads as threads_of
from assay.execution.rung_decisions import Judge
from assay.execution.work import MapStep, commit_map, device_name, here, ids_of, pending, reduce, train_worker
from assay.planning import Plan
from assay.store import Store
from assay.workload import Stage


def run_trials(plan: Plan, store: Store, done: Sequence[str], judge: Judge, pause: Pause) -> None:
    """Compute every stage of the plan that is not done. Returns early when the run is asked to pause."""
    told = Store(store.url, report=lambda message: judge.emit(Event("warning", message=message)))
    work = _Work(plan, told, set(done), judge.emit, pause)
    race = _Race(plan, judge)
    climbing = list(range(len(plan.trials)))
    pause.is_heard = True
    try:
        for rung in range(max((len(trial.rungs) for trial in plan.trials), default=0)):
            there = [trial for trial in climbing if work.climb(trial, rung)]
            climbing = [trial for trial in there if race.goes_on(trial, rung, work.value(trial, rung))]
            if judge.waits_for_all:
                judge.cut(rung)
                on = set(judge.climbing(rung + 1))
                climbing = [trial for trial in climbing if trial in on]
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
    failed: set[str] = field(default_factory=set)

    def climb(self, trial: int, rung: int) -> bool:
        """Compute what the trial lacks at a rung; whether all of it is there then."""
        stages = self.plan.trials[trial].rungs[rung].stages
        for stage in stages:
            if stage.key not in self.done | self.failed:
                self._compute(stage, trial)
        return all(stage.key in self.done for stage in stages)

    def value(self, trial: int, rung: int) -> float:
        result = self.store.get(self.plan.trials[trial].rungs[rung].leaf.key)
        assert result is not None
        return result.metrics.get(self.plan.sweep.metric, math.nan)

    def _compute(self, stage: Stage, trial: int) -> None:
        if any(source.key in self.failed for source in stage.sources):
            self.failed.add(stage.key)
            return
        if self.pause.reason is not None:
            raise Paused
        self.emit(Event("started", stage.key, trial=trial))
        try:
            execute(stage, self.store, threads_of(stage, self.plan.sweep.resources), self.emit, self.pause)
        except Paused:
            raise
        except bdb.BdbQuit:  # whoever leaves the debugger wants to stop, and not to meet the next trial there
            raise KeyboardInterrupt from None
        except Exception:
            self.failed.add(stage.key)
            self.emit(Event("failed", stage.key, message=traceback.format_exc().strip()))
        else:
            self.done.add(stage.key)
            self.emit(Event("committed", stage.key))


@dataclass(frozen=True, eq=False)
class _Racer:
    """What Tune's schedulers know of a trial."""

    trial_id: str
    config: Mapping[str, int]


class _Race:
    """Which trials go on from a rung. Without a scheduler that races, Ray is not imported."""

    def __init__(self, plan: Plan, judge: Judge) -> None:
        self._judge = judge
        self._sweep = plan.sweep
        if plan.sweep.scheduler.name not in ("fifo", "halving"):
            from assay.execution.ray.scheduler import StudyScheduler, tune_scheduler

            self._racers = [_Racer(str(number), {"trial": number}) for number in range(len(plan.trials))]
            inner = tune_scheduler(plan.sweep.scheduler)
            self._scheduler = StudyScheduler(inner, judge, plan.sweep.metric, plan.sweep.mode)
            for racer in self._racers:
                self._scheduler.on_trial_add(None, racer)

    def goes_on(self, trial: int, rung: int, value: float) -> bool:
        if self._sweep.scheduler.name in ("fifo", "halving"):
            return self._judge(trial, rung, value, would_stop=False) == "go on"
        from assay.execution.ray.scheduler import TIME, rung_time

        result = {self._sweep.metric: value, "rung": rung, TIME: rung_time(self._sweep.scheduler, rung)}
        return self._scheduler.on_trial_result(None, self._racers[trial], result) == "CONTINUE"


def execute(stage: Stage, store: Store, threads: int, emit: Emit, pause: Pause | None = None) -> None:
    """Compute a stage whose inputs are stored, and commit it. Raises Paused where it was left for later."""
    pause, place = pause or Pause(), here(threads)
    if stage.kind == "train":
        left_at = train_worker(stage, store, place, emit, is_leaving=lambda: pause.reason is not None)
        if left_at is not None:
            raise Paused
    elif stage.kind == "reduce":
        reduce(stage, store, place, emit)
    else:
        started = time.monotonic()
        chain = [MapStep(stage, index, store, place, emit) for index in range(len(stage.body))]
        spans = pending(stage, store)
        for span in spans:
            if pause.reason is not None:
                raise Paused
            block = ids_of(span)
            for step in chain:
                block = step(block)
        notes = {name: value for step in chain for name, value in step.notes.items()}
        seconds = time.monotonic() - started
        commit_map(stage, store, {device_name(place.device)} if spans else set(), threads, 1, seconds, spans, notes)
