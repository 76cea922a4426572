"""The final table of a sweep: its trials ranked, the paper's numbers beside ours, and notes.

Pure functions of a plan and its trials' outcomes, after a run or as read from the store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from assay.costs.devices import DeviceDays
from assay.costs.ledger import Total, entries, total
from assay.costs.priced_metrics import NOT_PRICED, PricedMetrics
from assay.errors import passing_warnings
from assay.planning import Plan, Rung
from assay.planning.comparability import conditions_of, differing
from assay.results.intervals import read_estimates
from assay.results.outcome import TrialOutcome
from assay.results.pareto import Front, front_of, objectives_of
from assay.results.races import race_notes
from assay.results.ranking import arms_over_seeds, ranked, rows_by_arm
from assay.results.reference import config_at, matching_row
from assay.results.rows import ArmSummary, Row, TrialFailure
from assay.shown import Shown
from assay.store import Decision, StoredResult
from assay.sweep.expansion import in_words
from assay.sweep.objectives import Objective
from assay.sweep.search import same
from assay.text import counted, one_line, plural, took
from assay.workload import JSON, at_path, with_value

if TYPE_CHECKING:
    import pandas as pd

NOTED = "†"
"""Marks the paper's numbers that have a note."""
HOW_IT_ENDED: Mapping[Decision, str] = {"reached": "reached the target", "won": "won", "tied": "tied"}
"""Decisions that end a trial not because others are better."""
MARKS = "A difference from the best is marked * if it exceeds that noise, else ~."


@dataclass(frozen=True)
class Table(Shown):
    sweep: str
    objectives: tuple[Objective, ...]
    """The first ranks the rows."""
    metrics: tuple[str, ...]
    """Columns: the metrics among the objectives, then the workload's leading metrics, as far as some trial has them."""
    rows: tuple[Row, ...]
    """Best first, then those without a value, then those that failed."""
    reference_source: str = ""
    notes: tuple[str, ...] = ()
    arms: tuple[ArmSummary, ...] = ()
    """Averages over seeds; empty for one seed."""
    front: Front | None = None
    """The Pareto front of several objectives."""
    days: DeviceDays = field(default_factory=DeviceDays)
    """The unit of its rows' costs."""
    count: str = ""
    """The name of the metric that is N."""

    @property
    def metric(self) -> str:
        """The metric that ranks the rows."""
        return self.objectives[0].name

    @property
    def mode(self) -> str:
        return self.objectives[0].mode

    @property
    def reference_metrics(self) -> tuple[str, ...]:
        """The metrics that the paper reports for some arm, our columns first."""
        known = {name for row in self.rows for name in row.reference}
        return (*(n for n in self.metrics if n in known), *sorted(known - set(self.metrics)))

    def to_pandas(self) -> pd.DataFrame:
        """One row per trial, best first.

        Columns: rank; trial, arm, seed; one per config path that varies; one per metric; half_width, of the 95%
        interval of the sweep's metric; from_best, and noise, the half width of that difference; seconds; state. With
        several objectives also pareto, whether it is on their front, and one per cost among them.
        """
        from assay.results import frames

        return frames.ranking(self)

    @property
    def failures(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.failure is not None)

    @cached_property
    def best(self) -> str | None:
        """The best trial, or the best arm over several seeds; None if it is the only one, unless the scheduler stopped
        all others."""
        ranked = (row.trial for row in self.rows if row.rank is not None)
        names = [arm.name for arm in self.arms if not arm.lacks] if self.arms else list(ranked)
        if len(names) != 1:
            return names[0] if names else None
        measured = (row for row in self.rows if row.rank is not None or row.unranked)
        others = [row for row in measured if names[0] not in (row.trial, row.arm_name)]
        return names[0] if others and all(row.is_stopped for row in others) else None


def table(
    plan: Plan,
    trials: Sequence[TrialOutcome],
    logs: Mapping[str, Path] | None = None,
    by_ledger: PricedMetrics = NOT_PRICED,
) -> Table:
    """The table of a sweep. `logs`: key of a failed stage → the file of its traceback."""
    sweep, hints = plan.sweep, plan.hints
    rows = [_row(plan, trial, logs or {}, by_ledger) for trial in trials]
    if any(planned.workload.report.days != hints.days for planned in plan.trials):  # units differ
        rows = [replace(row, cost=Total()) for row in rows]
    ranking = _ranking(sweep.name, sweep.objectives, hints.metrics, rows, sweep.reference.source)
    notes = (
        *race_notes(plan, trials),
        *_seed_note(plan, ranking),
        *_cost_note(trials),
        *_days_note(hints.days, rows),
        *by_ledger.notes,
    )
    return replace(ranking, notes=(*ranking.notes, *notes), days=hints.days, count=hints.count)


def joint(tables: Sequence[Table]) -> Table | None:
    """One ranking of several sweeps; None if they have different objectives."""
    first = tables[0]
    if len(tables) < 2 or any(t.objectives != first.objectives for t in tables):
        return None
    rows = [replace(row, trial=f"{t.sweep}: {row.trial}") for t in tables for row in t.rows]
    if any(t.days != first.days for t in tables):  # units differ
        rows = [replace(row, cost=Total()) for row in rows]
    metrics = dict.fromkeys(name for t in tables for name in t.metrics)
    sources = dict.fromkeys(t.reference_source for t in tables if t.reference_source)
    names = " + ".join(t.sweep for t in tables)
    ranking = _ranking(names, first.objectives, list(metrics), rows, "; ".join(sources))
    return replace(ranking, days=first.days, count=first.count)


def _ranking(
    name: str, objectives: Sequence[Objective], leading: Sequence[str], rows: Sequence[Row], source: str
) -> Table:
    """The table of ranked rows, with notes about the ranking."""
    metric, mode = objectives[0].name, objectives[0].mode
    in_order = ranked(rows, metric, mode)
    arms = arms_over_seeds(in_order, metric, mode)
    if len({row.seed for row in in_order if row.rank is not None}) > 1:
        # A seed's difference from the luckiest seed means nothing.
        in_order = tuple(replace(row, from_best=None) for row in in_order)
    front = None if len(objectives) < 2 else _front(in_order, arms, objectives)
    wanted = dict.fromkeys([*(objective.name for objective in objectives), *leading])
    columns = tuple(name for name in wanted if any(name in row.estimates for row in in_order))
    notes = [
        *_reference_notes(in_order),
        *_unranked_notes(in_order),
        *_seeds_notes(in_order, arms),
        *_noise_notes(in_order, arms, metric),
        *([] if front is None else front.notes("arm" if arms else "trial")),
    ]
    return Table(name, tuple(objectives), columns, in_order, source, tuple(notes), arms, front)


def _front(rows: Sequence[Row], arms: Sequence[ArmSummary], objectives: Sequence[Objective]) -> Front:
    """The front of the ranked trials, or of the arms that have all seeds."""
    rows = [row for row in rows if row.rank is not None]
    rows = [_as_measured_in(rows[0], row) for row in rows]
    of_arms = rows_by_arm(rows)
    over_seeds = {arm.name: of_arms[arm.name] for arm in arms if not arm.lacks}
    return front_of(over_seeds if arms else {row.trial: [row] for row in rows}, objectives)


def _as_measured_in(first: Row, row: Row) -> Row:
    """The row without the objectives that were measured under other conditions than the first row's."""
    theirs = first.conditions_of
    alike = {
        n: v for n, v in row.objectives.items() if not differing([row.conditions_of.get(n, {}), theirs.get(n, {})])
    }
    return replace(row, objectives=alike)


def _row(plan: Plan, trial: TrialOutcome, logs: Mapping[str, Path], by_ledger: PricedMetrics) -> Row:
    about, results = trial.planned.trial, trial.results.values()
    reached, ended = trial.planned.reached(trial.results), trial.planned.ended(plan.decided)
    rung, leaf = reached or (trial.planned.rungs[-1], None)
    hints, error = plan.hints, trial.error
    failure = (
        None if error is None else TrialFailure(error.stage, error.key, one_line(error.cause), logs.get(error.key))
    )
    count = leaf.metrics.get(hints.count, math.nan) if leaf is not None else math.nan
    config = config_at(plan, trial.planned, rung)
    paper = matching_row(plan.sweep.reference, config)
    is_at_end = rung is trial.planned.rungs[-1] or trial.planned.decision(rung, plan.decided) in HOW_IT_ENDED
    return Row(
        trial=about.name,
        arm=about.arm,
        seed=about.seed,
        estimates=read_estimates(leaf) if leaf is not None else {},
        seconds=trial.seconds if results else None,
        cost=total(entries(results, hints.days)),
        count=int(count) if math.isfinite(count) else None,
        status=_status(plan, trial),
        varied=about.varied,
        is_stopped=ended is not None and plan.decided[ended.leaf.key] == "stop",
        reached_amount=math.inf if is_at_end or rung.amount is None else rung.amount,
        conditions=_conditions(plan, rung, leaf, plan.sweep.objective.name),
        reference={} if paper is None else paper.metrics,
        reference_note="" if paper is None else paper.note,
        measured_otherwise={} if paper is None else _measured_otherwise(plan, trial, config),
        ledger=by_ledger.amounts.get(rung.leaf.key, {}),
        objectives=objectives_of(plan, trial),
        conditions_of={o.name: _conditions(plan, rung, leaf, o.name) for o in plan.sweep.objectives[1:]},
        failure=failure,
    )


def _measured_otherwise(plan: Plan, trial: TrialOutcome, config: Mapping[str, JSON]) -> Mapping[str, tuple[JSON, JSON]]:
    """As `Row.measured_otherwise`; without paths that another workload does not have."""
    wanted = plan.sweep.reference.measured_with.items()
    both = {path: (at_path(config, path), value) for path, value in wanted if path in trial.planned.trial.base.paths}
    return {path: (ours, theirs) for path, (ours, theirs) in both.items() if not same(ours, theirs)}


def _reference_notes(rows: Sequence[Row]) -> list[str]:
    """What is to be known about the paper's numbers, and which trials were measured otherwise than those."""
    about: dict[str, list[str]] = {}
    for row in rows:
        if row.reference_note:
            about.setdefault(row.reference_note, []).append(row.arm_name)
    notes = [f"{NOTED} {'; '.join(dict.fromkeys(arms))}: {note}" for note, arms in about.items()]
    others: dict[str, list[str]] = {}
    for row in rows:
        for path, (ours, theirs) in row.measured_otherwise.items():
            told = f"the paper's numbers were measured with {path} {in_words(theirs)}, and not {in_words(ours)} as"
            others.setdefault(told, []).append(row.arm_name)
    papers = len({row.arm_name for row in rows if row.reference})
    for told, arms in others.items():
        different = list(dict.fromkeys(arms))
        notes.append(f"{told} {'here' if len(different) == papers else '; '.join(different)}")
    return notes


def _conditions(plan: Plan, rung: Rung, leaf: StoredResult | None, metric: str) -> Mapping[str, JSON]:
    """The conditions that a metric was measured under, as far as the result reports them."""
    if leaf is None:
        return {}
    planned, of_metric = rung.leaf.conditions, conditions_of(metric, rung.leaf.conditions)
    per_metric = {name: of_metric[name] for name, value in planned.items() if isinstance(value, Mapping)}
    reported = {**leaf.notes, **leaf.metrics, **per_metric}
    return {name: reported[name] for name in plan.hints.comparable if name in reported}


def _status(plan: Plan, trial: TrialOutcome) -> str:
    planned = trial.planned
    if trial.error is not None:
        return f"failed: {trial.error.stage}"
    reached, ended = planned.reached(trial.results), planned.ended(plan.decided)
    if ended is not None and reached is not None and reached[0].amount == ended.amount:
        how = HOW_IT_ENDED.get(plan.decided[ended.leaf.key], "stopped")
        return f"{how} at {ended.amount:,}"
    if planned.leaf.key not in trial.results:
        if reached is not None:
            return f"not finished: at {reached[0].amount:,} of {planned.rungs[-1].amount:,}"
        return f"not finished: {len(trial.results)} of {len(planned.stages)} stages"
    computed = [stage.name for stage in planned.stages if stage.key in trial.computed]
    if not computed:
        return "cached"
    return "computed" if len(computed) == len(planned.stages) else f"computed: {counted(computed)}"


def _unranked_notes(rows: Sequence[Row]) -> list[str]:
    """Which trials are not comparable with the ranked ones, and why."""
    reasons: dict[str, list[str]] = {}
    stopped = sum(bool(row.unranked) and row.is_stopped for row in rows)
    for row in rows:
        if row.unranked and not row.is_stopped:
            reasons.setdefault(row.unranked, []).append(row.trial)
    notes = [
        f"not ranked: measured under different conditions ({reason}): {'; '.join(names)}"
        for reason, names in reasons.items()
    ]
    if stopped:
        notes.append(f"not ranked: stopped before being comparable: {plural(stopped, 'trial')}")
    return notes


def _seeds_notes(rows: Sequence[Row], arms: Sequence[ArmSummary]) -> list[str]:
    """Which arms have missing seeds, and whether the scheduler stopped some of an arm's seeds."""
    missing = [f"{arm.name} ({', '.join(map(str, arm.lacks))})" for arm in arms if arm.lacks]
    notes = [f"not ranked: missing seeds that other arms have: {'; '.join(missing)}"] if missing else []
    stopped = {row.arm_name for row in rows if row.is_stopped}
    left = {row.arm_name for row in rows if row.rank is not None and not row.is_stopped}
    if stopped & left:
        notes.append("the scheduler stops seeds one by one: an arm's mean over its remaining seeds is too favourable")
    return notes


def _noise_notes(rows: Sequence[Row], arms: Sequence[ArmSummary], metric: str) -> list[str]:
    if arms:
        return [
            f"{metric} over seeds: mean ± half the width of its 95% interval (Student's t). {MARKS} Differences are "
            "paired by seed, over the seeds that both have."
        ]
    known = any(row.from_best is not None and row.from_best.noise is not None for row in rows)
    if not known:
        return []
    return [
        f"± is half the width of a 95% interval (Student's t), by the jackknife over blocks of samples. {MARKS} This "
        "is sampling noise alone: training with another seed changes a metric more."
    ]


def _seed_note(plan: Plan, ranking: Table) -> list[str]:
    seeds = plan.sweep.seeds
    if len(seeds) > 1 or sum(row.rank is not None for row in ranking.rows) < 2 or not _depends_on_seed(plan):
        return []
    more = f"[{seeds[0]}, {seeds[0] + 1}, {seeds[0] + 2}]"
    return [f"one seed: differences may be noise. Give several, such as seeds: {more}, before calling one a finding."]


def _depends_on_seed(plan: Plan) -> bool:
    """Whether another seed would give another computation."""
    first, workload = plan.trials[0], plan.trials[0].workload
    reseeded = with_value(first.trial.config, workload.seed_path, first.trial.seed + 1)
    with passing_warnings(None):  # planning passes them on
        return workload.stages(reseeded)[-1].key != first.leaf.key


def _cost_note(trials: Sequence[TrialOutcome]) -> list[str]:
    distinct = {key: result.cost.seconds for trial in trials for key, result in trial.results.items()}
    uses = sum(len(trial.results) for trial in trials)
    if uses == len(distinct):
        return []
    return [
        f"shared stages count in every trial that reads them; counted once, all took {took(sum(distinct.values()))}."
    ]


def _days_note(unit: DeviceDays, rows: Sequence[Row]) -> list[str]:
    if all(row.cost.unknown in (0, row.cost.stages) for row in rows):
        return []
    return [f"+? after {unit.name}: without stages on devices that are not declared, such as CPUs."]
