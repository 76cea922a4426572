"""The smallest trial of a workload, and what its result must have: for tests of workloads, and for `assay check`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from assay.errors import UserError
from assay.workload.contract import stage_graph
from assay.workload.protocol import Smoke, Workload
from assay.workload.stage import JSON, Stage

HEAVY = ("torch", "jax", "tensorflow", "ray", "mlflow")
"""Modules that take seconds to import: a plan of a thousand trials needs none of them."""
ITEMS = 2
"""How far every budget goes where the workload does not say what a small trial is."""


def smoke_config(workload: Workload, smoke: Smoke | None = None) -> Mapping[str, JSON]:
    """The config of `smoke`, else of the workload's own `smoke`, else of its smallest preset with every budget at 2.

    Raises UserError where that is refused.
    """
    smoke = smoke or getattr(workload, "smoke", None)
    if smoke is not None:
        return workload.resolve(smoke.base, smoke.config)
    base, stages = _smallest(workload)
    budgets = dict.fromkeys((stage.budget.path for stage in stages if stage.budget is not None), ITEMS)
    try:
        return workload.resolve(base, budgets)
    except UserError as error:
        advice = f"give workload {workload.name} a `smoke` that says what a trial of seconds is"
        raise UserError(f"preset {base} with every budget at {ITEMS}: {error}; {advice}") from error


def _smallest(workload: Workload) -> tuple[str, Sequence[Stage]]:
    """The preset of the fewest operations, and its stages. One whose data are not here is none of them."""
    found: dict[str, Sequence[Stage]] = {}
    refused = None
    for base in workload.presets():
        try:
            found[base] = stage_graph(workload, workload.resolve(base, {}))
        except UserError as error:
            refused = refused or error
    if not found:
        raise refused or UserError(f"workload {workload.name} has no presets")
    base = min(found, key=lambda base: sum(stage.flops or stage.amount for stage in found[base]))
    return base, found[base]


def lacking(
    workload: Workload,
    declared: Sequence[str],
    metrics: Collection[str],
    notes: Collection[str],
    files: Collection[str],
) -> Iterator[str]:
    """What a workload says of its trials and this one lacks: `metrics`, `notes` and `files` are its last stage's."""
    returned = ", ".join(sorted(metrics)) or "none"
    if missing := [name for name in declared if name not in metrics]:
        yield f"metrics() declares {', '.join(missing)}, which the last stage did not return; it returned {returned}"
    hints = workload.report
    if not set(hints.metrics) & set(metrics):
        yield f"report.metrics leads with {', '.join(hints.metrics)}, none of which was returned, but {returned}"
    if hints.sample_grid is not None and hints.sample_grid not in files:
        committed = ", ".join(sorted(files)) or "none"
        yield f"report.sample_grid is {hints.sample_grid}, which the last stage did not commit; its files: {committed}"
    if missing := [name for name in hints.comparable if name not in metrics and name not in notes]:
        yield f"report.comparable names {', '.join(missing)}, neither a metric nor a note of the last stage"
