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

from assay.execution.rung_decisions import Judge
from assay.sweep import Scheduler
from assay.text import one_line

TIME = "rung_time"
"""What Tune's schedulers take for time: divisor^rung, so that their milestones are the rungs."""
WORST = 1e300
"""What a metric that is no number counts as. Finite, since cutoffs are interpolated."""
Died = Callable[[int, Exception, int], None]
"""Observation of a trial's process that died: the trial's number, why, and which retry follows; 0 where it is lost."""


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


class Left(BaseException):
    """Ends Tune's loop where it stands. No Exception, upon which it would ask its cluster to clean up."""


class StudyScheduler(TrialScheduler):  # type: ignore[misc]
    """Asks the inner scheduler at every rung, and does what the judge says. Tells `died` of a trial whose process ended
    without a word: Tune itself starts it again, or goes on without it. Raises Left once the run is `over`."""

    def __init__(
        self,
        inner: TrialScheduler,
        judge: Judge,
        metric: str,
        mode: str,
        died: Died = lambda *_: None,
        over: threading.Event | None = None,
    ) -> None:
        super().__init__()
        self._died = died
        self._over = over or threading.Event()
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
        self._died(trial.config["trial"], _error_of(trial), trial.num_failures if trial.should_recover() else 0)

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
