"""The smallest trial of a workload, and checks of its result: for a workload's tests and `assay check`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from assay.errors import UserError
from assay.workload.contract import stage_graph
from assay.workload.protocol import Smoke, Workload
from assay.workload.stage import JSON, Stage

HEAVY = ("torch", "jax", "tensorflow", "ray", "mlflow")
"""Modules that take seconds to import: planning must not need them."""
ITEMS = 2
"""Every budget of the smallest trial, if the workload does not define one."""


def smoke_config(workload: Workload, smoke: Smoke | None = None) -> Mapping[str, JSON]:
    """The config of `smoke`, or of the workload's own `smoke`, or of its smallest preset with every budget at 2.

    Raises UserError if that is refused.
    """
    smoke = smoke or getattr(workload, "smoke", None)
    if smoke is not None:
        return workload.resolve(smoke.base, smoke.config)
    base, stages = smallest(workload)
    budgets = dict.fromkeys((stage.budget.path for stage in stages if stage.budget is not None), ITEMS)
    try:
        return workload.resolve(base, budgets)
    except UserError as error:
        advice = f"give workload {workload.name} a `smoke` that defines a trial of a few seconds"
        raise UserError(f"preset {base} with every budget at {ITEMS}: {error}; {advice}") from error


def smallest(workload: Workload) -> tuple[str, Sequence[Stage]]:
    """The preset with the fewest operations, and its stages; presets whose data are missing here are skipped."""
    graphs: dict[str, Sequence[Stage]] = {}
    refused = None
    for base in workload.presets():
        try:
            graphs[base] = stage_graph(workload, workload.resolve(base, {}))
        except UserError as error:
            refused = refused or error
    if not graphs:
        raise refused or UserError(f"workload {workload.name} has no presets")
    base = min(graphs, key=lambda base: sum(stage.flops or stage.amount for stage in graphs[base]))
    return base, graphs[base]


def omissions(
    workload: Workload,
    declared: Sequence[str],
    metrics: Collection[str],
    notes: Collection[str],
    files: Collection[str],
) -> Iterator[str]:
    """What a workload promises of its trials but this one lacks, given its last stage's `metrics`, `notes`, `files`."""
    returned = ", ".join(sorted(metrics)) or "none"
    if missing := [name for name in declared if name not in metrics]:
        yield f"metrics() declares {', '.join(missing)}, which the last stage did not return; it returned {returned}"
    hints = workload.report
    if not set(hints.metrics) & set(metrics):
        yield f"report.metrics leads with {', '.join(hints.metrics)}, none of which was returned, but {returned}"
    if hints.count and hints.count not in metrics:
        yield f"report.count is {hints.count}, which the last stage did not return; it returned {returned}"
    if hints.sample_grid is not None and hints.sample_grid not in files:
        committed = ", ".join(sorted(files)) or "none"
        yield f"report.sample_grid is {hints.sample_grid}, which the last stage did not commit; its files: {committed}"
    if missing := [name for name in hints.comparable if name not in metrics and name not in notes]:
        yield f"report.comparable names {', '.join(missing)}, neither a metric nor a note of the last stage"
