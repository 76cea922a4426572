"""Ray Tune's schedulers at the rungs of a study, with a memory: what was decided once is decided for good."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from assay.runner.judge import Judge
from assay.spec import Scheduler

TIME = "rung_time"
"""What Tune's schedulers take for time: divisor^rung, so that their milestones are the rungs."""
WORST = 1e300
"""What a metric that is no number counts as. Finite, since cutoffs are interpolated."""
Lost = Callable[[int, str], None]
"""Told of a trial, by its number, and why it is lost."""


def rung_time(scheduler: Scheduler, rung: int) -> int:
    return int(scheduler.divisor**rung)


def tune_scheduler(scheduler: Scheduler) -> TrialScheduler:
    """Tune's own, by the sweep's settings.

    asha: a trial goes on from a rung if it is among the best 1/divisor of those that came there so far. hyperband: the
    asynchronous one (https://arxiv.org/abs/1810.05934): several such brackets, each starting at a higher rung. median:
    a trial stops when its best is worse than the median of the others' running means. For halving Tune runs one rung at
    a time, and the judge decides between them.
    """
    beyond = rung_time(scheduler, len(scheduler.rungs))
    if scheduler.name in ("asha", "hyperband"):
        brackets = len(scheduler.rungs) if scheduler.name == "hyperband" else 1
        return AsyncHyperBandScheduler(
            time_attr=TIME, max_t=beyond, grace_period=1, reduction_factor=scheduler.divisor, brackets=brackets
        )
    if scheduler.name == "median":
        # Without a time slice it would pause trials, which then hold what they were given.
        return MedianStoppingRule(time_attr=TIME, grace_period=0, min_time_slice=math.inf)
    return FIFOScheduler()


class StudyScheduler(TrialScheduler):  # type: ignore[misc]
    """Asks the inner scheduler at every rung, and does what the judge says. Tells `lost` of a trial that ended for good
    without a word, and why: Tune itself goes on without it."""

    def __init__(
        self, inner: TrialScheduler, judge: Judge, metric: str, mode: str, lost: Lost = lambda trial, cause: None
    ) -> None:
        super().__init__()
        self._lost = lost
        self._inner = inner
        self._judge = judge
        self._metric = metric
        self._worst = WORST if mode == "min" else -WORST
        inner.set_search_properties(metric, mode)

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
        if not trial.should_recover():  # or it is tried again
            self._lost(trial.config["trial"], str(trial.get_error()).strip())

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        if "rung" not in result:
            return TrialScheduler.CONTINUE  # it failed or pauses, and says so with a NaN
        value = result[self._metric]
        seen = {**result, self._metric: self._worst if math.isnan(value) else value}
        would_stop = self._inner.on_trial_result(tune_controller, trial, seen) == TrialScheduler.STOP
        decision = self._judge(trial.config["trial"], result["rung"], value, would_stop)
        return TrialScheduler.CONTINUE if decision == "go on" else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> None:
        pass  # its last result was seen at its rung

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        return self._inner.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        return self._inner.debug_string()
