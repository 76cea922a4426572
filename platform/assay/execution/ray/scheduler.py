"""Ray Tune's schedulers at the rungs of a study, with memory: decisions are stored and never change."""

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
"""The time attribute of Tune's schedulers: divisor^rung, so that their milestones are the rungs."""
SCORE = "score"
"""The metric that they compare; higher is better."""
Died = Callable[[int, Exception, int], None]
"""Called when a trial's process died: the trial's number, why, and the number of the retry, 0 if there is none."""


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
    # Without a time slice it would pause trials, which keep their resources.
    return MedianStoppingRule(time_attr=TIME, grace_period=0, min_time_slice=math.inf)


class _RuleScheduler(FIFOScheduler):  # type: ignore[misc]
    """Decides by a rule of assay. Without one, and if trials wait for all, every trial continues: for those, Tune runs
    one rung at a time."""

    def __init__(self, rule: Rule | None) -> None:
        super().__init__()
        self._rule = rule

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        ends = self._rule is not None and self._rule.ends(trial.config["trial"], result["rung"], result[SCORE])
        return TrialScheduler.STOP if ends else TrialScheduler.CONTINUE


def _inner(scheduler: Scheduler) -> TrialScheduler:
    """Tune's own scheduler if there is one."""
    path = scheduler.facts.tune
    return load_attribute(path)(scheduler) if path is not None else _RuleScheduler(make_rule(scheduler))


class Left(BaseException):
    """Ends Tune's loop at once. Not an Exception, for which it would ask its cluster to clean up."""


class StudyScheduler(TrialScheduler):  # type: ignore[misc]
    """Asks the sweep's scheduler at every rung, and keeps to stored decisions. Calls `died` for a trial whose process
    ended without a report: Tune itself restarts it or drops it. Raises Left once the run is `over`.
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
        # Tune pickles its state in order to restore it, which assay never does: stored rungs replay.
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return True  # set by the sweep from the start

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        # HyperBand assigns a trial to a bracket: always the same for the same trial of a study.
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
            return TrialScheduler.CONTINUE  # it failed or pauses, reported as NaN
        rung, value = result["rung"], result[self._sweep.metric]
        seen = {**result, SCORE: score(value, self._sweep.mode), TIME: self._sweep.scheduler.divisor**rung}
        would_stop = self._inner.on_trial_result(tune_controller, trial, seen) == TrialScheduler.STOP
        decision = self._decisions(trial.config["trial"], rung, value, would_stop)
        return TrialScheduler.CONTINUE if decision == "go on" else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> None:
        pass  # its last result was handled at its rung

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        if self._over.is_set():
            raise Left
        return self._inner.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        return self._inner.debug_string()


def _error_of(trial: Any) -> Exception:
    """From the text that Tune has just written here: storage gets it later, and loading the pickle beside it would run
    arbitrary code."""
    file = Path(trial.error_file or "")
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else "Ray gives no reason"
    latest = text.rpartition("Failure # ")[2]
    return RayActorError(error_msg=latest) if "actor died" in latest else RuntimeError(one_line(latest))
