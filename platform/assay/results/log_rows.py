"""A run's results as machine-readable lines of its log: a trial at a rung, a stage's cost, a failure.

`assay run --rows` prints them among its other lines, so the log is enough to get the results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from assay.costs.ledger import entries
from assay.errors import StageFailed
from assay.planning import Plan, PlannedTrial, Rung
from assay.planning.labels import serves
from assay.store import StoredResult
from assay.text import json_number, one_line

PREFIX = "assay-row "
"""The beginning of such a line."""
LogRow = Mapping[str, Any]


def as_line(row: LogRow) -> str:
    return PREFIX + json.dumps(row, ensure_ascii=False, allow_nan=False)


def is_row(line: str) -> bool:
    return line.startswith(PREFIX)


def read(lines: Iterable[str]) -> Iterator[LogRow]:
    """The rows among a log's lines, without truncated ones."""
    for line in lines:
        if is_row(line):
            try:
                yield json.loads(line.removeprefix(PREFIX))
            except ValueError:
                continue


def result_rows(plan: Plan, results: Mapping[str, StoredResult]) -> Iterator[LogRow]:
    """Every trial at every rung that it climbs and that has a result, lowest first."""
    for planned in plan.trials:
        yield from trial_rows(plan, planned, results)


def trial_rows(plan: Plan, planned: PlannedTrial, results: Mapping[str, StoredResult]) -> Iterator[LogRow]:
    """A trial at every rung that it climbs and that has a result. Results of higher rungs, stored by another sweep, do
    not count."""
    for rung in planned.climbs(plan.decided):
        if rung.leaf.key in results:
            yield _result_row(plan, planned, rung, results[rung.leaf.key])


def _result_row(plan: Plan, planned: PlannedTrial, rung: Rung, result: StoredResult) -> LogRow:
    return {
        "row": "result",
        **_about(planned),
        "budget": plan.sweep.scheduler.budget,
        "amount": rung.amount,
        "metrics": {name: json_number(value) for name, value in result.metrics.items()},
        "key": result.key,
        "stages": [stage.key for stage in rung.stages],
    }


def failure_row(planned: PlannedTrial, error: StageFailed) -> LogRow:
    return {
        "row": "failure",
        **_about(planned),
        "stage": error.stage,
        "key": error.key,
        "cause": one_line(error.cause),
    }


def stage_rows(plan: Plan, results: Iterable[StoredResult]) -> Iterator[LogRow]:
    """The stages' lines in the ledger."""
    unit = plan.hints.days
    for entry in entries(results, unit):
        stage, about = plan.stages[entry.key], asdict(entry)
        days = {unit.field: about.pop("device_days")}
        budget = {"amount": stage.amount, "unit": stage.unit} if stage.budget else {"amount": None, "unit": None}
        yield {"row": "stage", **about, **days, **budget, "serves": serves(plan, entry.key)}


def _about(planned: PlannedTrial) -> dict[str, Any]:
    trial, seed_path = planned.trial, planned.workload.seed_path
    varied = {path: value for path, value in trial.varied.items() if path != seed_path}
    return {"trial": trial.name, "arm": trial.arm, "seed": trial.seed, "varied": varied}
