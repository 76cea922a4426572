"""What the parent run shows of its trials: the report's table, so that both name the same best trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from statistics import fmean

from assay.planning import Plan
from assay.report.tables.listing import Column, Listing
from assay.report.tables.neutral import markdown, markdown_table
from assay.results import Outcome, Row, Table, TrialOutcome, table
from assay.store import sha256_of
from assay.tracking import limits
from assay.tracking.registry import TrainedModel, best_model
from assay.tracking.view import FORMAT, budget_step
from assay.workload import JSON, digest


@dataclass(frozen=True)
class Pareto:
    """The Pareto front of several objectives."""

    objectives: tuple[str, ...]
    """As in "loss (min)"."""
    front: tuple[str, ...]
    """Its trials, or arms over seeds."""
    trials: frozenset[int]
    """The indices of its trials, or of its arms' trials."""
    costs: Mapping[int, Mapping[str, float]]
    """Trial → the costs among its objectives."""

    @property
    def front_in_words(self) -> str:
        return "; ".join(self.front)


@dataclass(frozen=True)
class Comparison:
    """The trials in the order of the report's table, with its ranks."""

    columns: tuple[str, ...]
    rows: tuple[tuple[JSON, ...], ...]
    best: str | None
    """The trial, or the arm over seeds, that the report calls best; None if it names none."""
    best_metrics: Mapping[str, float]
    """The metrics of the trial ranked first, or the means of the arm if there are seeds."""
    pareto: Pareto | None = None
    model: TrainedModel | None = None
    """The best trial's, of a finished study."""

    def split(self) -> dict[str, JSON]:
        """As a table for MLflow. Non-finite numbers become text, since JSON has none."""
        rows = [[None if _is_odd(value) else value for value in row] for row in self.rows]
        return {"columns": list(self.columns), "data": rows}

    def markdown(self) -> str:
        shown = [[_cell(value) for value in row] for row in self.rows]
        columns = [Column[list[str]](name, itemgetter(number)) for number, name in enumerate(self.columns)]
        lines = markdown_table(Listing(None, columns, shown))
        named = [f"Best: {markdown(self.best)}", ""] if self.best is not None else []
        if self.pareto is not None:
            about = ", ".join(map(markdown, self.pareto.objectives))
            named += [f"Pareto front of {about}: {markdown(self.pareto.front_in_words)}", ""]
        return "\n".join([*named, *lines])

    def digest(self, plan: Plan, trial_digests: Mapping[str, str], pictures: Sequence[Path]) -> str:
        """Changes when anything that MLflow shows of the sweep changes."""
        file = Path(plan.sweep.file) if plan.sweep.file else None
        is_there = file is not None and file.exists()
        several = {} if self.pareto is None else {"pareto": [self.pareto.objectives, self.pareto.front]}
        model = {} if self.model is None else {"model": self.model.tags}
        return digest(
            {
                "format": FORMAT,
                **several,
                **model,
                "profile": plan.sweep.profile,
                "best": self.best,
                "rows": [[_cell(value) for value in row] for row in self.rows],
                "trials": dict(trial_digests),
                "sweep": file.read_text(encoding="utf-8", errors="replace") if file is not None and is_there else "",
                "pictures": {picture.name: sha256_of(picture) for picture in pictures if picture.is_file()},
            }
        )


def comparison(outcome: Outcome) -> Comparison:
    ranking = table(outcome.plan, outcome.trials)
    trials = {trial.planned.name: trial for trial in outcome.trials}
    metrics = list(dict.fromkeys([*ranking.metrics, *sorted({name for row in ranking.rows for name in row.metrics})]))
    pareto, costs = ([], []) if ranking.front is None else (["pareto"], _costs(ranking))
    return Comparison(
        ("rank", "arm", *pareto, *metrics, *costs, "budget", "seconds", "status"),
        tuple(_cells(ranking, row, trials[row.trial], metrics, costs) for row in ranking.rows),
        None if ranking.best is None else limits.run_name(ranking.best),
        _first_metrics(ranking),
        _pareto(ranking, {name: trial.planned.trial.index for name, trial in trials.items()}),
        best_model(outcome, ranking),
    )


def _costs(ranking: Table) -> list[str]:
    """The costs among the objectives, but for the seconds that every row has."""
    return [o.name for o in ranking.objectives if o.name not in (*ranking.metrics, "seconds")]


def _pareto(ranking: Table, indices: Mapping[str, int]) -> Pareto | None:
    front, costs = ranking.front, _costs(ranking)
    if front is None:
        return None
    return Pareto(
        tuple(map(str, front.objectives)),
        tuple(map(limits.run_name, front.names)),
        frozenset(indices[row.trial] for row in ranking.rows if front.has(row)),
        {indices[r.trial]: {name: r.objectives[name] for name in costs if name in r.objectives} for r in ranking.rows},
    )


def _cells(
    ranking: Table, row: Row, trial: TrialOutcome, metrics: Sequence[str], costs: Sequence[str]
) -> tuple[JSON, ...]:
    status = "failed" if row.failure is not None else "done" if row.metrics else "not run"
    on_front = [] if ranking.front is None else ["front" if ranking.front.has(row) else None]
    values = [*(row.metrics.get(name) for name in metrics), *(row.objectives.get(name) for name in costs)]
    return row.rank, limits.run_name(row.trial), *on_front, *values, _step(trial), round(trial.seconds, 1), status


def _step(trial: TrialOutcome) -> int:
    reached = trial.planned.reached(trial.results)
    return budget_step(reached[0] if reached is not None else trial.planned.rungs[-1])


def _first_metrics(ranking: Table) -> dict[str, float]:
    ranked = [row for row in ranking.rows if row.rank is not None]
    first = [row for row in ranked if row.arm_name == ranking.arms[0].name] if ranking.arms else ranked[:1]
    names = dict.fromkeys(name for row in first for name in row.metrics)
    return {name: fmean(row.metrics[name] for row in first) for name in names if all(name in r.metrics for r in first)}


def _is_odd(value: JSON) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _cell(value: JSON) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
