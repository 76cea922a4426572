"""The inline executor: every trial and stage in this process. For tests and debugging.

It runs the trials rung by rung; without rungs, one after the other. Nothing here imports Ray.
"""

from __future__ import annotations

import bdb
import math
import time
import traceback
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from assay.errors import UserError
from assay.execution.broker import too_large
from assay.execution.events import Emit, Event
from assay.execution.packing import Machine
from assay.execution.pause import Pause, Paused
from assay.execution.racing import make_rule, score
from assay.execution.requirements import Need, need
from assay.execution.rung_decisions import RungDecisions
from assay.execution.work import MapStep, commit_map, device_name, here, ids_of, pending, reduce, train_worker
from assay.planning import Plan
from assay.store import Store
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
    reporting = Store(store.url, report=lambda message: emit(Event("warning", message=message)))
    work = _Work(plan, reporting, set(done), emit, pause)
    rule = make_rule(sweep.scheduler)

    def continues(trial: int, rung: int) -> bool:
        value = work.value(trial, rung)
        would_stop = rule is not None and rule.ends(trial, rung, score(value, sweep.mode))
        return decisions(trial, rung, value, would_stop) == "go on"

    climbing = list(range(len(plan.trials)))
    pause.is_heard = True
    try:
        for rung in range(max((len(trial.rungs) for trial in plan.trials), default=0)):
            complete = [trial for trial in climbing if work.climb(trial, rung)]
            climbing = [trial for trial in complete if continues(trial, rung)]
            if decisions.waits_for_all:
                decisions.cut(rung)
                on = set(decisions.climbing(rung + 1))
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
        """Compute what the trial needs at a rung; returns whether all of it is stored then."""
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
            execute(stage, self.store, need(stage, self.plan.sweep.resources).threads, self.emit, self.pause)
        except Paused:
            raise
        except bdb.BdbQuit:  # quitting the debugger ends the run, rather than entering it again in the next trial
            raise KeyboardInterrupt from None
        except Exception:
            self.failed.add(stage.key)
            self.emit(Event("failed", stage.key, message=traceback.format_exc().strip()))
        else:
            self.done.add(stage.key)
            self.emit(Event("committed", stage.key))


def execute(stage: Stage, store: Store, threads: int, emit: Emit, pause: Pause | None = None) -> None:
    """Compute a stage whose inputs are stored, and commit it. Raises Paused if it was left unfinished."""
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
