"""The final table of a sweep: its trials ranked, the paper's numbers beside ours, and what must be said about both.

Pure: from a plan and what is known of its trials, whether a run just ended or the store is only looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Protocol

from assay.errors import StageFailed
from assay.planning import Plan, PlannedTrial
from assay.report.words import counted, decimals, metric, one_line, took
from assay.spec import Reference
from assay.spec.expand import at_path
from assay.store import StoredResult
from assay.workload import JSON, canonical_json


class TrialResults(Protocol):
    """What the report needs to know of a trial: the runner's TrialOutcome has it, and so has `Standing`."""

    @property
    def planned(self) -> PlannedTrial: ...
    @property
    def results(self) -> Mapping[str, StoredResult]: ...
    @property
    def computed(self) -> Set[str]: ...
    @property
    def error(self) -> StageFailed | None: ...


@dataclass(frozen=True)
class Failure:
    """Why a trial has no result: the stage, one line of the cause, and where the rest of it is."""

    stage: str
    key: str
    cause: str
    log: Path | None = None


@dataclass(frozen=True)
class Row:
    """One trial."""

    trial: str
    arm: str | None
    seed: int
    rank: int | None
    """From 1; None without a value of the sweep's metric."""
    metrics: Mapping[str, float]
    """Everything its last stage reported."""
    seconds: float | None
    """What its stages took, whenever they were computed; None before any was."""
    status: str
    varied: Mapping[str, JSON]
    reference: Mapping[str, float] = field(default_factory=dict)
    """The paper's numbers for this arm."""
    failure: Failure | None = None

    @property
    def num_samples(self) -> int | None:
        count = self.metrics.get("num_samples")
        return None if count is None else int(count)


@dataclass(frozen=True)
class Table:
    sweep: str
    metric: str
    mode: str
    metrics: tuple[str, ...]
    """Columns: the workload's leading metrics that some trial has, the sweep's own first."""
    rows: tuple[Row, ...]
    """Best first, then those without a value, then those that failed."""
    reference_source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def reference_metrics(self) -> tuple[str, ...]:
        """What the paper reports for some arm here: our columns first."""
        known = {name for row in self.rows for name in row.reference}
        return (*(n for n in self.metrics if n in known), *sorted(known - set(self.metrics)))

    @property
    def failures(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.failure is not None)


def table(plan: Plan, trials: Sequence[TrialResults], logs: Mapping[str, Path] | None = None) -> Table:
    """The table of a sweep. `logs` says where each failed stage's traceback is, by key."""
    sweep = plan.sweep
    leaves = [_metrics(trial) for trial in trials]
    order = sorted(range(len(trials)), key=lambda i: _place(trials[i], leaves[i], sweep.metric, sweep.mode))
    rows = []
    for rank, index in enumerate(order, start=1):
        trial, metrics = trials[index], leaves[index]
        about = trial.planned.trial
        ranked = trial.error is None and math.isfinite(metrics.get(sweep.metric, math.nan))
        rows.append(
            Row(
                trial=about.name,
                arm=about.arm,
                seed=about.seed,
                rank=rank if ranked else None,
                metrics=metrics,
                seconds=sum(r.cost.seconds for r in trial.results.values()) if trial.results else None,
                status=_status(trial),
                varied=about.varied,
                reference=_reference(sweep.reference, about.config),
                failure=_failure(trial.error, logs or {}),
            )
        )
    wanted = dict.fromkeys([sweep.metric, *plan.workload.report.metrics])
    columns = tuple(name for name in wanted if any(name in row.metrics for row in rows))
    notes = [*_seed_notes(plan, rows), *_cost_note(trials)]
    return Table(sweep.name, sweep.metric, sweep.mode, columns, tuple(rows), sweep.reference.source, tuple(notes))


def _metrics(trial: TrialResults) -> dict[str, float]:
    leaf = trial.planned.result(trial.results)
    return dict(leaf.metrics) if leaf is not None else {}


def _place(trial: TrialResults, metrics: Mapping[str, float], name: str, mode: str) -> tuple[int, float]:
    value = metrics.get(name, math.nan)
    if trial.error is not None:
        return 3, 0.0
    if not metrics:
        return 2, 0.0
    if not math.isfinite(value):
        return 1, 0.0
    return 0, value if mode == "min" else -value


def _status(trial: TrialResults) -> str:
    stages = trial.planned.stages
    if trial.error is not None:
        return f"failed: {trial.error.stage}"
    if trial.planned.leaf.key not in trial.results:
        return f"not finished: {len(trial.results)} of {len(stages)} stages"
    computed = [stage.name for stage in stages if stage.key in trial.computed]
    if not computed:
        return "cached"
    return "computed" if len(computed) == len(stages) else f"computed: {counted(computed)}"


def _failure(error: StageFailed | None, logs: Mapping[str, Path]) -> Failure | None:
    return None if error is None else Failure(error.stage, error.key, one_line(error.cause), logs.get(error.key))


def _reference(reference: Reference, config: Mapping[str, JSON]) -> Mapping[str, float]:
    """The row whose `when` holds for this config; of several, the one that asks for most."""
    matching = [row for row in reference.rows if all(_same(at_path(config, p), v) for p, v in row.when.items())]
    return max(matching, key=lambda row: len(row.when)).metrics if matching else {}


def _same(ours: JSON, theirs: JSON) -> bool:
    """Equal as JSON, and 1 is 1.0."""
    numbers = (int, float)
    if isinstance(ours, numbers) and isinstance(theirs, numbers) and not isinstance(ours, bool):
        return float(ours) == float(theirs)
    return canonical_json(ours) == canonical_json(theirs)


def _seed_notes(plan: Plan, rows: Sequence[Row]) -> list[str]:
    sweep = plan.sweep
    ranked = [row for row in rows if row.rank is not None]
    if len(ranked) < 2:
        return []
    if len(sweep.seeds) == 1:
        return [
            f"one seed: differences may be noise. Give several, such as seeds: [{sweep.seeds[0]}, "
            f"{sweep.seeds[0] + 1}, {sweep.seeds[0] + 2}], before calling one a finding."
        ]
    by_arm: dict[str, list[float]] = {}
    for row in ranked:
        by_arm.setdefault(row.trial.removesuffix(f", seed {row.seed}"), []).append(row.metrics[sweep.metric])
    places = decimals(value for values in by_arm.values() for value in values)
    spreads = [
        f"{arm} {metric(fmean(values), places)} ± {metric(stdev(values), places)}"
        for arm, values in by_arm.items()
        if len(values) > 1
    ]
    return [f"{sweep.metric}, mean ± standard deviation over seeds: {'; '.join(spreads)}"] if spreads else []


def _cost_note(trials: Sequence[TrialResults]) -> list[str]:
    distinct = {key: result.cost.seconds for trial in trials for key, result in trial.results.items()}
    uses = sum(len(trial.results) for trial in trials)
    if uses == len(distinct):
        return []
    return [f"shared stages count in every trial that reads them; each once, they took {took(sum(distinct.values()))}."]
