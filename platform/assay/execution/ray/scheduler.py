"""What Ray Tune asks at the rungs of a study, with memory: decisions are stored and never change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray.exceptions import RayActorError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from assay.execution.racing import make_rule, score
from assay.execution.rung_decisions import RungDecisions
from assay.text import one_line

Died = Callable[[int, Exception, int], None]
"""Called when a trial's process died: the trial's number, why, and the number of the retry, 0 if there is none."""


class Left(BaseException):
    """Ends Tune's loop at once. Not an Exception, for which it would ask its cluster to clean up."""


class StudyScheduler(FIFOScheduler):  # type: ignore[misc]
    """Asks the sweep's rule at every rung, and keeps to stored decisions. Without a rule, and if trials wait for all,
    every trial continues: for those, Tune runs one rung at a time. Calls `died` for a trial whose process ended without
    a report: Tune itself restarts it or drops it. Raises Left once the run is `over`.
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
        self._sweep, self._objective = decisions.plan.sweep, decisions.plan.sweep.objective
        self._rule = make_rule(self._sweep.scheduler)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its state in order to restore it, which assay never does: stored rungs replay.
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return True  # set by the sweep from the start

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._died(trial.config["trial"], _error_of(trial), trial.num_failures if trial.should_recover() else 0)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        if "rung" not in result:
            return TrialScheduler.CONTINUE  # it failed or pauses, reported as NaN
        number, rung, value = trial.config["trial"], result["rung"], result[self._objective.name]
        would_stop = self._rule is not None and self._rule.ends(number, rung, score(value, self._objective.mode))
        decision = self._decisions(number, rung, value, would_stop)
        return TrialScheduler.CONTINUE if decision == "go on" else TrialScheduler.STOP

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        if self._over.is_set():
            raise Left
        return super().choose_trial_to_run(tune_controller)


def _error_of(trial: Any) -> Exception:
    """From the text that Tune has just written here: storage gets it later, and loading the pickle beside it would run
    arbitrary code."""
    file = Path(trial.error_file or "")
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else "Ray gives no reason"
    latest = text.rpartition("Failure # ")[2]
    return RayActorError(error_msg=latest) if "actor died" in latest else RuntimeError(one_line(latest))
