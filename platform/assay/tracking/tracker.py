"""The tracker: listens to a run, and logs it to MLflow from a thread of its own.

MLflow takes seconds to import and to open its database, and a server can be slow, gone or silent. None of that may
delay the sweep: a thread writes, and the first error is reported once and costs no result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from assay.costs.availability import StageStatus
from assay.events import Event
from assay.home import Home
from assay.planning import Plan, PlannedTrial
from assay.results import Outcome, TrialOutcome
from assay.store import Decision, Store, StoredResult
from assay.tracking import view
from assay.tracking.client import Status
from assay.tracking.comparison import Comparison, comparison
from assay.tracking.live import LiveCurves
from assay.tracking.logged import logged_runs
from assay.tracking.runs import Runs
from assay.tracking.writer import Writer

ABORT_WAIT_S = 15.0
"""How long an interrupted command waits for MLflow."""


class Tracker:
    """A listener of a run. Tracking never stops a sweep: `warn` is called at most once, in the caller's thread."""

    def __init__(self, home: Home, warn: Callable[[str], None]) -> None:
        self._home = home
        self._warn = warn
        self._warned = False
        self._writer: Writer | None = None
        self._plan: Plan | None = None
        self._runs: Runs | None = None
        self._results: dict[str, StoredResult] = {}
        self._computed: set[str] = set()
        self._finished: dict[int, str] = {}
        self._live = LiveCurves(home.live_interval_s)

    def begin(self, plan: Plan, before: Mapping[str, StageStatus], stored: Mapping[str, StoredResult]) -> None:
        if self._writer is None and plan.needed.keys() <= stored.keys() and self._trials_are_logged(plan, stored):
            return
        self._live.begin(plan, before)
        self._started().put(lambda: self._show_plan(plan, stored))

    def event(self, event: Event) -> None:
        if self._writer is None:
            return
        self._warn_once(self._writer)
        self._live.add(event)
        points = self._live.due(is_free=self._writer.is_free)
        if points:
            self._writer.put(lambda: self._show_live(points))
        if event.kind == "committed":
            key = event.key
            self._writer.put(lambda: self._show_stage(key))
        elif event.kind == "rung":
            leaf, decision = event.key, cast(Decision, event.message)
            self._writer.put(lambda: self._show_decision(leaf, decision))

    def end(self, outcome: Outcome, report: Path | None = None) -> None:
        """Log the outcome and the report's pictures. Waits until MLflow has everything, or stops answering."""
        sweep, table = outcome.plan.sweep, comparison(outcome)
        pictures = view.pictures_in(report or self._home.report(sweep.name, sweep.profile))
        over = [t for t in outcome.trials if view.is_over(t.planned, t.results, outcome.plan.decided)]
        digests = {t.planned.trial.index: view.trial_digest(t.planned, t.results) for t in over}
        sweep_digest = table.digest(outcome.plan, {str(i): d for i, d in digests.items()}, pictures)
        is_new = self._writer is None
        if is_new:
            files = {digests[t.planned.trial.index]: view.artifacts(t.planned, t.results) for t in over}
            files[sweep_digest] = view.parent_artifacts(sweep, pictures)
            logged = logged_runs(self._home, sweep.name)
            if all(digest in logged and logged[digest].is_whole(names) for digest, names in files.items()):
                return

        def show() -> None:
            if is_new:
                self._show_plan(outcome.plan, {})
            self._show_outcome(outcome, digests, table, pictures, sweep_digest)

        self._started().put(show, always=True)
        self._finish(None)

    def abort(self) -> None:
        """Mark unfinished runs as KILLED after an interrupt; the next command reopens them."""
        if self._writer is not None:
            self._writer.put(self._kill)
            self._finish(ABORT_WAIT_S)

    # In the caller's thread

    def _trials_are_logged(self, plan: Plan, stored: Mapping[str, StoredResult]) -> bool:
        logged = logged_runs(self._home, plan.sweep.name)
        for planned in plan.trials:
            results = {s.key: stored[s.key] for s in planned.climbed(plan.decided)}
            run = logged.get(view.trial_digest(planned, results))
            if run is None or not run.is_whole(view.artifacts(planned, results)):
                return False
        return True

    def _started(self) -> Writer:
        if self._writer is None:
            self._writer = Writer(self._home)
        return self._writer

    def _finish(self, timeout_s: float | None) -> None:
        if self._writer is not None:
            self._writer.finish(math.inf if timeout_s is None else timeout_s)
            self._warn_once(self._writer)
        self._writer = None
        self._runs = None

    def _warn_once(self, writer: Writer) -> None:
        if writer.problem is not None and not self._warned:
            self._warned = True
            self._warn(writer.problem)

    # In the writer's thread

    def _opened(self) -> Runs:
        if self._runs is None:
            assert self._plan is not None
            assert self._writer is not None
            self._runs = Runs(self._home, self._plan, self._writer.patience)
        return self._runs

    def _show_plan(self, plan: Plan, stored: Mapping[str, StoredResult]) -> None:
        """Show what the run starts with; again when its plan grew."""
        self._plan, self._results, self._runs = plan, dict(stored), None
        runs = self._opened()
        runs.status(runs.parent, "RUNNING")
        for planned in plan.trials:
            own = self._own(planned)
            if not view.is_over(planned, own, plan.decided):
                runs.status(runs.children[planned.trial.index], "RUNNING")
            self._show_so_far(planned, own, own)

    def _show_live(self, points: Mapping[str, Sequence[view.Point]]) -> None:
        """Show the curves of running stages, for every trial that uses them."""
        assert self._plan is not None
        of_trials: dict[int, list[view.Point]] = {}
        for key, each in points.items():
            for planned in self._plan.trials_of.get(key, ()):
                of_trials.setdefault(planned.trial.index, []).extend(each)
        runs = self._opened()
        for index, each in of_trials.items():
            runs.log_live(runs.children[index], each)

    def _show_stage(self, key: str) -> None:
        """A stage was committed: log its curve for every trial that uses it, and finish the trials whose leaf it is."""
        self._opened()
        assert self._plan is not None
        self._computed.add(key)
        result = Store(self._home.store_url, heals=False).find(key)
        if result is None:
            return
        self._results[key] = result
        for planned in self._plan.trials_of.get(key, ()):
            self._show_so_far(planned, self._own(planned), {key})

    def _show_decision(self, leaf: str, decision: Decision) -> None:
        """The scheduler decided on a trial at a rung: it ends, or the next rung's results belong to it too."""
        assert self._plan is not None
        trials = self._plan.trials_of.get(leaf, ())
        before = [self._own(planned) for planned in trials]
        self._plan = replace(self._plan, decided={**self._plan.decided, leaf: decision})
        for planned, shown in zip(trials, before, strict=True):
            own = self._own(planned)
            self._show_so_far(planned, own, own.keys() - shown.keys())

    def _show_so_far(self, planned: PlannedTrial, own: Mapping[str, StoredResult], new: Collection[str]) -> None:
        """Log what is new of a trial; everything once it is over."""
        assert self._plan is not None
        if view.is_over(planned, own, self._plan.decided):
            self._show_trial(TrialOutcome(planned, own, frozenset(own) & self._computed))
            return
        runs = self._opened()
        run, ours = runs.children[planned.trial.index], [key for key in own if key in new]
        for key in ours:
            runs.log_curve(run, own[key])
        if any(rung.leaf.key in ours for rung in planned.rungs):
            runs.log_metrics(run, planned, own)

    def _own(self, planned: PlannedTrial) -> dict[str, StoredResult]:
        """The results of rungs that it certainly climbs: MLflow cannot remove points, so none is logged too early."""
        assert self._plan is not None
        rungs = self._plan.climbs_for_sure(planned)
        keys = dict.fromkeys(stage.key for rung in rungs for stage in rung.stages)
        return {key: self._results[key] for key in keys if key in self._results}

    def _show_trial(self, trial: TrialOutcome) -> None:
        runs, index = self._opened(), trial.planned.trial.index
        digest = view.trial_digest(trial.planned, trial.results)
        if self._finished.get(index) != digest and not runs.is_logged(trial, digest):
            runs.log_trial(trial, digest)
        self._finished[index] = digest

    def _show_outcome(
        self,
        outcome: Outcome,
        digests: Mapping[int, str],
        table: Comparison,
        pictures: list[Path],
        sweep_digest: str,
    ) -> None:
        runs = self._opened()
        runs.refuse_unusable()  # MLflow would wait long for a lock, and the command for MLflow
        for trial in outcome.trials:
            index = trial.planned.trial.index
            if index in digests:
                self._show_trial(trial)
            elif trial.error is not None:
                runs.log_failure(runs.children[index], trial.error.stage, trial.error.cause)
            else:
                runs.status(runs.children[index], "KILLED")
        results = (result for trial in outcome.trials for result in trial.results.values())
        runs.log_diffs(sorted({origin for result in results for origin in result.provenance.origins}))
        failed = any(trial.error is not None for trial in outcome.trials)
        status: Status = "FAILED" if failed else "KILLED" if outcome.paused else "FINISHED"
        runs.log_sweep(table, pictures, sweep_digest, status)

    def _kill(self) -> None:
        runs = self._opened()
        for index, run in runs.children.items():
            if index not in self._finished:
                runs.status(run, "KILLED")
        runs.status(runs.parent, "KILLED")
