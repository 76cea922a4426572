"""`run`: read the store, compute what is missing, notify the listeners, and return the outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence, Set
from contextlib import ExitStack
from dataclasses import replace
from typing import Literal, Protocol, get_args

from assay.alerts import Notifier
from assay.costs.availability import StageStatus, stale_of, survey
from assay.errors import AssayError, ClusterLost, StageFailed, UserError, refuse_unless
from assay.events import Event
from assay.execution import inline
from assay.execution.executors import EXECUTORS, make_executor
from assay.execution.heartbeat import Heartbeat
from assay.execution.limits import Limiter, refuse_unpriced
from assay.execution.pause import Pause
from assay.execution.rung_decisions import RungDecisions, stored_estimates
from assay.execution.suggestions import grown
from assay.home import Home
from assay.planning import Plan, checked, computed_of, remembered
from assay.planning.plan import decisions_of
from assay.planning.stale import with_stale
from assay.provenance import origin
from assay.results.outcome import Outcome, TrialOutcome, trial_outcomes
from assay.settings import rates_of
from assay.store import Store, StoredResult
from assay.sweep import Sweep

StalePolicy = Literal["keep", "recompute"]


class Listener(Protocol):
    """Whoever follows a run: the display, the tracker. Called in the driver, one call at a time."""

    def begin(self, plan: Plan, before: dict[str, StageStatus], stored: dict[str, StoredResult]) -> None:
        """Called again with a larger plan whenever the searcher suggests more trials."""

    def event(self, event: Event) -> None:
        """A last warning, of alerts that were not delivered, comes after `end`."""

    def end(self, outcome: Outcome) -> None: ...


def run(
    plan: Plan,
    home: Home,
    *,
    executor: str = "ray",
    address: str | None = None,
    listeners: Sequence[Listener] = (),
    pause: Pause | None = None,
    stale: str | None = None,
) -> Outcome:
    """Compute every needed stage of the plan that the store does not hold intact.

    A failing stage does not stop trials that do not need it: its error is in the outcome. When `pause` or the sweep's
    limits ask for it, trainings save checkpoints and the outcome says why. KeyboardInterrupt leaves everything that is
    committed in the store. If the cluster is lost, the listeners get the partial outcome, and ClusterLost is raised. In
    all three cases the same call resumes. Whom the sweep's `notify` or the home's settings name is told.
    `stale`: what to do with stages whose code changed while their version did not; None keeps what is stored, and
    warns.
    """
    if stale is not None:
        refuse_unless("stale", stale, get_args(StalePolicy))
    refuse_unless("executor", executor, EXECUTORS.names())
    Home.system_interval_s()  # refuses a wrong setting before anything starts
    started = time.monotonic()

    def warn(message: str) -> None:
        for listener in listeners:
            listener.event(Event("warning", message=message))

    with Notifier(plan.sweep, home, warn) as notifier:
        listening = (*listeners, notifier)
        with _Run(plan.sweep, home, executor, address, listening, pause or Pause()) as work:
            plan = remembered(plan, work.store)
            if stale == "recompute":
                work.forget_stale(plan)
                plan = remembered(plan, work.store)
            work.keeps_stale_silently = stale == "keep"
            while True:
                plan, results = work.compute(plan)
                larger = None if work.pause.reason is not None else grown(plan, work.store, results)
                if larger is None:
                    break
                plan = larger
            outcome = work.outcome(plan, results, time.monotonic() - started)
        for listener in listening:
            listener.end(outcome)
        if work.lost is not None and outcome.paused is not None:
            raise work.lost from None
    return outcome


def _is_undecided(plan: Plan) -> bool:
    """Whether a trial climbs past a rung that this study has not decided yet."""
    scheduler = plan.sweep.scheduler
    if not scheduler.facts.races:  # decides by the target alone, and stores only who reached it
        return scheduler.target is not None and any(trial.ended(plan.decided) is None for trial in plan.trials)
    decided = plan.decided
    return any(trial.decision(rung, decided) is None for trial in plan.trials for rung in trial.climbs(decided))


def _unranked(trial: TrialOutcome) -> StageFailed | None:
    """The error if a stored result lacks the metric to rank by, as another sweep's may."""
    reached = trial.planned.reached(trial.results)
    if reached is None or (promise := reached[0].leaf.promise) is None or promise.metric in reached[1].metrics:
        return None
    stage, names = reached[0].leaf, ", ".join(reached[1].metrics) or "none"
    cause = f"AssayError: workload {promise.workload}: the stored result has no {promise.metric}; it has: {names}"
    return StageFailed(stage.name, stage.key, cause)


class _Run:
    """One call of `run`: its store, executor, listeners, and what happened so far."""

    def __init__(
        self,
        sweep: Sweep,
        home: Home,
        executor: str,
        address: str | None,
        listeners: Sequence[Listener],
        pause: Pause,
    ) -> None:
        self.pause = pause
        self.lost: ClusterLost | None = None
        self.computed: set[str] = set()
        self.failed: dict[str, str] = {}
        self.keeps_stale_silently = False
        self._home, self._address, self._listeners = home, address, listeners
        self._executor, self._is_in_process = make_executor(executor), EXECUTORS[executor].is_in_process
        self._log = home.ray_log(sweep.name, sweep.profile)
        self._warnings: list[str] = []
        self._told_once: set[str] = set()
        self._is_begun = False
        self._one_at_a_time = threading.RLock()
        self.store = Store(home.store_url, report=self._warn)
        self._charged = computed_of(sweep, self.store)
        self._decisions = decisions_of(sweep, self.store)
        self._rates = rates_of(home)
        self._limiter = Limiter(sweep.limits, sweep.find_workload().report.days, pause, self._emit, self._rates)
        self._heartbeat = Heartbeat(sweep, self.store, home)
        self.store.run = self._heartbeat.run
        self._resources = ExitStack()
        self._is_connected = False

    def __enter__(self) -> _Run:
        self._resources.callback(self._heartbeat.close)
        self._resources.enter_context(self._limiter.hours_counted())
        return self

    def __exit__(self, *error: object) -> None:
        self._resources.close()

    def compute(self, plan: Plan) -> tuple[Plan, dict[str, StoredResult]]:
        """Compute what is missing from a plan; returns it with the decisions, and its stored results."""
        if self.store.known():  # a run that is refused below leaves no new store
            self._heartbeat.uses(plan)
        stored = {key: result for key in plan.stages if (result := self.store.sound(key)) is not None}
        before = survey(plan, self.store, self._rates)
        missing = plan.needed.keys() - stored.keys()
        try:
            plan = checked(plan, stored, "refused" if self._is_in_process else "left")
            refuse_unpriced(plan.sweep, (plan.stages[key] for key in missing), self._rates)
        except UserError as error:
            raise UserError(f"{error}\nNothing was started.") from error
        if missing:
            self.store.probe()  # report its problems now, not once per stage
            self.store.begin(origin([*plan.stages.values()]))  # again when the plan grew: it may reach other modules
        self._heartbeat.uses(plan)
        if not self.keeps_stale_silently:
            plan = with_stale(plan, stale_of(before, self.store))
        self._heartbeat.begin(plan, before, stored)
        for listener in self._listeners:
            listener.begin(plan, before, stored)
        self._is_begun = True
        for warned, words in zip(plan.warned, plan.warnings, strict=True):
            self._emit(Event("warning", message=words, once=warned.message))
        while self._warnings:
            self._emit(Event("warning", message=self._warnings.pop(0)))
        if plan.waiting:
            message = (
                f"limits.trials is {plan.sweep.limits.trials}: {plan.waiting:,} more trials wait; raise it to run them"
            )
            self._emit(Event("warning", message=message))
        self._limiter.charge(stored[key] for key in self._charged.all() if key in stored)
        if (missing or _is_undecided(plan)) and self.pause.reason is None:
            read = stored_estimates(plan, self.store)
            decisions = RungDecisions(plan, dict(plan.decided), self._decisions.add, self._emit, read)
            if missing:
                try:
                    self._execute(plan, sorted(stored), decisions)
                except ClusterLost as error:
                    self.lost = error
                    self.pause.ask(str(error))
            else:  # another sweep stored everything: only decisions remain, which need no cluster
                inline.run_trials(plan, self.store, sorted(stored), decisions, self.pause)
            plan = replace(plan, decided=decisions.known)
        return plan, {key: result for key in plan.stages if (result := self.store.find(key)) is not None}

    def forget_stale(self, plan: Plan) -> None:
        """Set aside what is stored of stages whose code changed, and of all that read them."""
        stale = stale_of(survey(plan, self.store), self.store)
        changed = {each.stage.key: ", ".join(each.modules or each.inputs) for each in stale}
        for key, stage in plan.stages.items():
            if any(each is not None and each.key in changed for each in (*stage.sources, stage.rows)):
                changed.setdefault(key, "")
        self._refuse_in_use(changed.keys())
        kept, forgotten = self.store.shard_files(changed.keys()), dict[str, int]()
        # Readers first: an interrupted run leaves no result without what it was computed from.
        for stage in [stage for key, stage in plan.stages.items() if key in changed][::-1]:
            self._decisions.forget(stage.key)
            forgotten[stage.name] = forgotten.get(stage.name, 0) + self.store.forget(stage, kept)
        if any(forgotten.values()):
            stages = ", ".join(f"{name} ({count:,})" for name, count in [*forgotten.items()][::-1] if count)
            modules = ", ".join(dict.fromkeys(filter(None, changed.values())))
            self._warn(f"set aside, to be computed again, since code changed ({modules}): {stages}")

    def _refuse_in_use(self, keys: Set[str]) -> None:
        """Raise UserError if another run reads or computes one of these stages now."""
        for run in self.store.running():
            if not keys.isdisjoint(run.keys):
                raise UserError(
                    f"--stale recompute: {run.sweep} uses the same stages now ({run.user} on {run.host}, process "
                    f"{run.pid}); wait until it has ended, or stop it"
                )

    def outcome(self, plan: Plan, results: dict[str, StoredResult], seconds: float) -> Outcome:
        failed = {key: StageFailed(plan.stages[key].name, key, cause) for key, cause in self.failed.items()}
        trials = trial_outcomes(plan, results, self.computed, failed)
        trials = tuple(trial if trial.error else replace(trial, error=_unranked(trial)) for trial in trials)
        missing = plan.needed.keys() - results.keys() - self.failed.keys()
        if missing and not self.failed and self.pause.reason is None:
            raise AssayError(
                f"the run ended without {len(missing):,} of its stages, for an unknown reason; stored results are "
                "safe; rerun the same command to resume"
            )
        reason, is_limit = (self.pause.reason, self.pause.is_limit) if missing else (None, False)
        return Outcome(plan, trials, frozenset(self.computed), seconds, reason, is_limit)

    def _execute(self, plan: Plan, done: Sequence[str], decisions: RungDecisions) -> None:
        if not self._is_connected:
            self._resources.enter_context(self._executor.session(self._address, self._home.scratch_url, self._log))
            self._is_connected = True
        self._executor.check(plan, done, self._emit)
        self._executor.run(plan, self.store, done, decisions, self.pause)

    def _warn(self, message: str) -> None:
        """Emit a message of the store; kept until the listeners have begun."""
        if self._is_begun:
            self._emit(Event("warning", message=message))
        else:
            self._warnings.append(message)

    def _emit(self, event: Event) -> None:
        with self._one_at_a_time:
            if event.once in self._told_once:
                return
            if event.once:
                self._told_once.add(event.once)
            if event.kind == "committed" and not event.by_another:
                self.computed.add(event.key)
                self._charged.add(event.key)
                result = self.store.find(event.key)
                self._limiter.charge([result] if result is not None else [])
            elif event.kind == "failed":
                self.failed[event.key] = event.message
                self._limiter.failed(event.key)
            elif event.cost is not None:
                self._limiter.running(event.key, event.cost, is_more=event.advance)
            self._heartbeat.event(event)
            for listener in self._listeners:
                listener.event(event)
