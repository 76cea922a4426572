"""What an alert says: made from a plan, its failures and its outcome. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from assay.costs.ledger import entries, total, total_days
from assay.errors import AssayError
from assay.planning import Plan, PlannedTrial
from assay.redaction import hide_secrets, printable
from assay.results import Outcome, Table, table
from assay.sweep import Sweep
from assay.sweep.notify import AlertKind
from assay.text import LONGEST_LINE, first_line, json_number, listed, one_line, plural, shorten, took
from assay.workload import JSON

RESUME = "Finished work is stored; rerun the same command to resume."


@dataclass(frozen=True)
class Alert:
    """A message about a run. Its texts are without secrets, and each of its lines is one line."""

    kind: AlertKind | str
    """A test has a kind of its own: "test"."""
    sweep: str
    profile: str | None
    title: str
    lines: tuple[str, ...] = ()
    facts: Mapping[str, JSON] = field(default_factory=dict)
    """The same for programs."""
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", _safe(self.title))
        object.__setattr__(self, "lines", tuple(_safe(line) for line in self.lines if line))


def failed_trials(plan: Plan, key: str, cause: str) -> Alert:
    """A stage failed for good, and with it the trials that need it."""
    stage, names, why = plan.stages[key].name, [trial.name for trial in plan.trials_of[key]], _cause(cause)
    lines = [listed(names), f"stage {stage} failed: {why}"]
    if len(names) < len(plan.trials):
        lines.append("The other trials go on.")
    facts: dict[str, JSON] = {"failed": list(names), "stage": stage, "key": key, "cause": why}
    return _about(plan.sweep, "failed", f"{plural(len(names), 'trial')} failed", lines, facts)


def reached_target(plan: Plan, trial: PlannedTrial, amount: int, value: float) -> Alert:
    """A trial's metric is as good as the scheduler's target."""
    metric, scheduler = plan.sweep.objective.name, plan.sweep.scheduler
    line = f"{trial.name}: {metric} {value:.4g} at {scheduler.budget} {amount:,}; the target is {scheduler.target:g}"
    facts: dict[str, JSON] = {"reached": [trial.name], "metric": metric, "value": json_number(value), "amount": amount}
    return _about(plan.sweep, "target_reached", "a trial reached the target", (line,), facts)


def also_reached(plan: Plan, names: Sequence[str]) -> Alert:
    """How many trials reached the target, once the run ended."""
    title = f"{plural(len(names), 'trial')} reached the target"
    return _about(plan.sweep, "target_reached", title, (listed(names),), {"reached": list(names)})


def ended(outcome: Outcome) -> Alert:
    """The run returned: it finished, paused, reached a limit, or trials failed."""
    plan, ranking, unit = outcome.plan, table(outcome.plan, outcome.trials), outcome.plan.hints.days
    done = sum(trial.planned.climbs(plan.decided)[-1].leaf.key in trial.results for trial in outcome.trials)
    failed = [trial.planned.name for trial in outcome.failed]
    cause = next((trial.error for trial in outcome.failed), None)
    results = {key: result for trial in outcome.trials for key, result in trial.results.items()}
    cost = total(entries((results[key] for key in outcome.computed & results.keys()), unit))
    days, (first, value) = total_days(cost), _first(ranking)
    arms = dict.fromkeys(trial.planned.trial.arm for trial in outcome.trials)
    lines = [
        f"{done:,} of {plural(len(outcome.trials), 'trial')} done" + (f", {len(failed):,} failed" if failed else ""),
        "" if cause is None else f"stage {cause.stage} failed: {_cause(cause.cause)}",
        "" if value is None else f"{'best: ' if ranking.best else ''}{first}, {ranking.metric} {value:.4g}",
        f"this run took {took(outcome.seconds)}; {unit.name}: {'unknown' if days == '?' else days}",
    ]
    facts: dict[str, JSON] = {
        "trials": len(outcome.trials),
        "done": done,
        "failed": list(failed),
        "arms": [name for name in arms if name is not None],
        "best": ranking.best,
        "first": first or None,
        "metric": ranking.metric,
        "value": None if value is None else json_number(value),
        "seconds": round(outcome.seconds, 1),
        unit.field: None if cost.unknown else cost.device_days,
    }
    kind, title, reason = _end(outcome)
    if reason:
        lines, facts = [reason, *lines], {**facts, "reason": reason}
    return _about(plan.sweep, kind, title, [*lines, RESUME if outcome.paused is not None else ""], facts)


def _end(outcome: Outcome) -> tuple[AlertKind, str, str]:
    """How the run ended: the kind, in words, and why if not all was done."""
    failed, waiting = len(outcome.failed), outcome.plan.waiting
    if outcome.paused is not None:
        reason = _safe(outcome.paused)
        return ("budget", "a limit is reached", reason) if outcome.is_limited else ("paused", "paused", reason)
    if failed:
        return "failed", f"ended, {plural(failed, 'trial')} failed", ""
    if waiting:
        reason = f"limits.trials is {outcome.plan.sweep.limits.trials}: {waiting:,} more trials wait"
        return "budget", "a limit is reached", reason
    return "finished", "finished", ""


def broken_off(sweep: Sweep, error: BaseException) -> Alert:
    """The run raised an error, or was interrupted before it could save what is under way."""
    if isinstance(error, KeyboardInterrupt):
        return _about(sweep, "paused", "stopped at once", (RESUME,), {"reason": "stopped at once"})
    why = _safe(first_line(error, with_type=not isinstance(error, AssayError)))
    return _about(sweep, "failed", "ended with an error", (why, "Finished work is stored."), {"cause": why})


def trial_message(sweep: Sweep | None) -> Alert:
    """To try whether it arrives."""
    name, profile = ("assay", None) if sweep is None else (sweep.name, sweep.profile)
    return Alert("test", name, profile, f"{name}: a test", ("Alerts of runs will look like this.",))


def _about(sweep: Sweep, kind: AlertKind, title: str, lines: Sequence[str], facts: Mapping[str, JSON]) -> Alert:
    name = sweep.name if sweep.profile is None else f"{sweep.name} ({sweep.profile})"
    return Alert(kind, sweep.name, sweep.profile, f"{name}: {title}", tuple(lines), facts)


def _first(ranking: Table) -> tuple[str, float | None]:
    """The arm that ranks first over seeds, or the trial that does, and its metric; None if none is ranked."""
    if ranking.arms:
        return ranking.arms[0].name, ranking.arms[0].mean
    return next(((r.trial, r.metrics[ranking.metric]) for r in ranking.rows if r.rank is not None), ("", None))


def _cause(cause: str) -> str:
    return shorten(_safe(one_line(cause)), LONGEST_LINE)


def _safe(text: str) -> str:
    return printable(hide_secrets(text), is_line=True)
