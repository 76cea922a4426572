"""Find the stages that configs refer to: by a key in the store, or by a sweep and its arm."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from assay.errors import UserError, did_you_mean
from assay.home import Home
from assay.store import Store
from assay.sweep import Sweep, load_sweep
from assay.sweep_files import find_sweep
from assay.workload import Budget, Stage
from assay.workload.references import known_by_key

if TYPE_CHECKING:
    from assay.planning.plan import Plan

KEY = re.compile(r"[0-9a-f]{6,32}")
ALLOWED = "the first characters of a key (assay ls), or SWEEP/ARM or SWEEP/ARM@AMOUNT"

_within: ContextVar[tuple[str, ...]] = ContextVar("within", default=())
"""The files of the sweeps whose references are being looked up, the outermost first."""


class References:
    """Finds each reference once. `make_plan` plans the sweeps that are referred to."""

    def __init__(
        self,
        sweep: Sweep,
        store: Store | None,
        make_plan: Callable[[Sweep], Plan],
        *,
        looks_up_keys: bool = True,
    ) -> None:
        """Without looking up keys, a stage stands for each: they are in another store."""
        self._path, self._store, self._make_plan = sweep.file, store, make_plan
        self._looks_up_keys = looks_up_keys
        self._found: dict[tuple[str, str], Stage] = {}
        self.of_sweeps: dict[str, str] = {}
        """Each reference by a sweep → the key that it stands for."""

    def __call__(self, reference: str, name: str) -> Stage:
        if (reference, name) not in self._found:
            find = self._by_key if KEY.fullmatch(reference) else self._by_sweep
            self._found[reference, name] = find(reference, name)
        return self._found[reference, name]

    def _by_key(self, prefix: str, name: str) -> Stage:
        if not self._looks_up_keys:
            return known_by_key(prefix, name)
        store = self._store or Store(Home.default().store_url, heals=False)
        matching = [key for key in store.known() if key.startswith(prefix)]
        if len(matching) > 1:
            raise UserError(f"ambiguous key prefix {prefix} ({len(matching)} matches): type more characters")
        result = store.find(matching[0]) if matching else None
        if result is None:
            raise UserError(f"got {prefix!r}, of which no finished stage is stored; allowed: {ALLOWED}")
        if result.stage != name:
            raise UserError(f"got {prefix!r}, which is a result of {result.stage}; allowed: one of {name}")
        return known_by_key(result.key, name, dict(result.config))

    def _by_sweep(self, reference: str, name: str) -> Stage:
        where, _, arm = reference.rpartition("/")
        arm, _, amount = arm.rpartition("@") if re.search(r"@\d+$", arm) else (arm, "", "")
        if not where or not arm:
            raise UserError(f"got {reference!r}, allowed: {ALLOWED}")
        file = find_sweep(where)
        within = (*_within.get(), str(Path(self._path).absolute()))
        if str(file.absolute()) in within:
            raise UserError(f"got {reference!r}, which refers to the sweep that it is in; allowed: {ALLOWED}")
        token = _within.set(within)
        try:
            plan = self._make_plan(load_sweep(file))
        finally:
            _within.reset(token)
        trials = [trial for trial in plan.trials if arm in (trial.trial.arm, trial.name)]
        stages = {stage.key: stage for trial in trials for stage in trial.rungs[-1].stages if stage.name == name}
        if not stages:
            arms = list(dict.fromkeys(name for t in plan.trials for name in (t.trial.arm, t.name) if name))
            hint = did_you_mean(arm, arms, f"; it has: {', '.join(arms)}")
            raise UserError(f"got {reference!r}, but {plan.sweep.name} has no arm {arm!r} with a stage {name}{hint}")
        if len(stages) > 1:
            names = "; ".join(trial.name for trial in trials)
            raise UserError(f"got {reference!r}, of which {len(stages)} stages {name} differ; name a trial: {names}")
        (stage,) = stages.values()
        if amount:
            if stage.budget is None:
                raise UserError(f"got {reference!r}, but {name} has no budget; leave out @{amount}")
            stage = _at(stage, stage.budget, int(amount))
        self.of_sweeps[reference] = stage.key
        return stage


def _at(stage: Stage, budget: Budget, amount: int) -> Stage:
    """The stage at another amount of its budget, to which its work is proportional."""
    share = amount / budget.amount
    flops = None if stage.flops is None else stage.flops * share
    items = None if stage.items is None else round(stage.items * share)
    return replace(stage, budget=replace(budget, amount=amount), flops=flops, items=items)
