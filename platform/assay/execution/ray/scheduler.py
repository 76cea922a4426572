"""Ray Tune's schedulers at the rungs of a study, with a memory: what was decided once is decided for good."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ray.exceptions import RayActorError
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from assay.execution.racing import Rule, make_rule, score
from assay.execution.rung_decisions import RungDecisions
from assay.sweep import Scheduler
from assay.text import one_line
from assay.workload import load_attribute

TIME = "rung_time"
"""What Tune's schedulers take for time: divisor^rung, so that their milestones are the rungs."""
SCORE = "score"
"""What they compare; the higher, the better."""
Died = Callable[[int, Exception, int], None]
"""Observation of a trial's process that died: the trial's number, why, and which retry follows; 0 where it is lost."""


def asha(scheduler: Scheduler, brackets: int = 1) -> TrialScheduler:
    return AsyncHyperBandScheduler(
        time_attr=TIME,
        max_t=scheduler.divisor ** len(scheduler.rungs),
        grace_period=1,
        reduction_factor=scheduler.divisor,
        brackets=brackets,
    )


def hyperband(scheduler: Scheduler) -> TrialScheduler:
    return asha(scheduler, brackets=len(scheduler.rungs))


def median(scheduler: Scheduler) -> TrialScheduler:
    # Without a time slice it would pause trials, which then hold what they were given.
    return MedianStoppingRule(time_attr=TIME, grace_period=0, min_time_slice=math.inf)


class _RuleScheduler(FIFOScheduler):  # type: ignore[misc]
    """Decides by a rule of assay. Without one, and where the trials wait for all, everybody goes on: for those Tune
    runs one rung at a time."""

    def __init__(self, rule: Rule | None) -> None:
        super().__init__()
        self._rule = rule

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        ends = self._rule is not None and self._rule.ends(trial.config["trial"], result["rung"], result[SCORE])
        return TrialScheduler.STOP if ends else TrialScheduler.CONTINUE


def _inner(scheduler: Scheduler) -> TrialScheduler:
    """Tune's own where there is one."""
    path = scheduler.facts.tune
    return load_attribute(path)(scheduler) if path is not None else _RuleScheduler(make_rule(scheduler))


class Left(BaseException):
    """Ends Tune's loop where it stands. No Exception, upon which it would ask its cluster to clean up."""


class StudyScheduler(TrialScheduler):  # type: ignore[misc]
    """Asks the sweep's scheduler at every rung, and does what was decided there for good. Tells `died` of a trial whose
    process ended without a word: Tune itself starts it again, or goes on without it. Raises Left once the run is
    `over`.
    """

    def __init__(
        self,
        decisions: RungDecisions,
        died: Died = lambda *_: None,
        over: threading.Event | None = None,
    ) -> None:
        super().__init__()
        self._died = died
        self._over = over or threading.Event()
        self._decisions = decisions
        self._sweep = decisions.plan.sweep
        self._inner = _inner(self._sweep.scheduler)
        self._inner.set_search_properties(SCORE, "max")

    def __getstate__(self) -> dict[str, Any]:
        # Tune writes itself down, to be restored; assay never restores it: stored rungs replay.
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return True  # the sweep's, since the start

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        # HyperBand draws a trial's bracket: the same for the same trial of a study, in every run.
        state = np.random.get_state()
        np.random.seed(trial.config["trial"])
        try:
            self._inner.on_trial_add(tune_controller, trial)
        finally:
            np.random.set_state(state)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_error(tune_controller, trial)
        self._died(trial.config["trial"], _error_of(trial), trial.num_failures if trial.should_recover() else 0)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        if "rung" not in result:
            return TrialScheduler.CONTINUE  # it failed or pauses, and says so with a NaN
        rung, value = result["rung"], result[self._sweep.metric]
        seen = {**result, SCORE: score(value, self._sweep.mode), TIME: self._sweep.scheduler.divisor**rung}
        would_stop = self._inner.on_trial_result(tune_controller, trial, seen) == TrialScheduler.STOP
        decision = self._decisions(trial.config["trial"], rung, value, would_stop)
        return TrialScheduler.CONTINUE if decision == "go on" else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> None:
        pass  # its last result was seen at its rung

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        if self._over.is_set():
            raise Left
        return self._inner.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        return self._inner.debug_string()


def _error_of(trial: Any) -> Exception:
    """From the text that Tune has just written here: where the trial is stored it comes later, and the pickle beside it
    would run whatever is in it."""
    file = Path(trial.error_file or "")
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else "Ray does not say why"
    latest = text.rpartition("Failure # ")[2]
    return RayActorError(error_msg=latest) if "actor died" in latest else RuntimeError(one_line(latest))
