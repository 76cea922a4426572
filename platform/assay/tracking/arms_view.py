"""The page of MLflow's UI that compares a sweep's arms, set up for the user: what she would click together herself.

MLflow keeps a shared view as JSON in a tag of the experiment, and opens it by its key. A version of MLflow that reads
it otherwise shows the runs as it always does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.planning import Plan
from assay.tracking import limits, view
from assay.workload import JSON, canonical_json

KEY = "arms"
MAX_COLUMNS = 15
MAX_AXES = 8
"""Axes of the parallel coordinates, beside the metric's."""
TAG = f"mlflow.sharedViewState.{KEY}"
STANDING, CURRENT, SUPERSEDED = "assay.standing", "current", "superseded"
"""A tag of a trial's run, and its values: whether the sweep, as it was run last, has that trial."""


def experiment_tags(plan: Plan, parent_run_id: str) -> dict[str, str]:
    """The description, and the view: the current arms alone, ranked, with what varies and what was measured."""
    sweep = plan.sweep
    measured = [name for trial in plan.trials for name in plan.workload.metrics(trial.trial.config)]
    varied = [path for trial in plan.trials for path in trial.trial.varied]
    names = list(dict.fromkeys(map(limits.key, [sweep.metric, *measured, "cost/seconds"])))
    paths = list(dict.fromkeys(map(limits.key, varied)))
    views = (_view(plan, parent_run_id, names, paths, most) for most in range(MAX_COLUMNS, -1, -1))
    fitting = next(text for text in views if len(text) <= limits.EXPERIMENT_TAG)  # the least always does
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": limits.key(sweep.metric),
        "mlflow.note.content": sweep.description,
        TAG: fitting,
    }


def _view(plan: Plan, parent_run_id: str, metrics: Sequence[str], varied: Sequence[str], most: int) -> str:
    """Its JSON, with so many columns and charts of metrics at most: with long names few fit into a tag."""
    columns = [*(f"metrics.`{name}`" for name in metrics), *(f"params.`{path}`" for path in varied)]
    state = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent_run_id}' AND tags.`{STANDING}` = '{CURRENT}'",
        "orderByKey": f"metrics.`{metrics[0]}`",
        "orderByAsc": plan.sweep.mode == "min",
        "selectedColumns": columns[:most],
        "compareRunSections": [{"uuid": "arms", "name": "Arms", "display": True, "isReordered": False}],
        "compareRunCharts": _charts(plan, metrics, varied, most),
    }
    return canonical_json(state)


def _charts(plan: Plan, metrics: Sequence[str], varied: Sequence[str], most: int) -> list[JSON]:
    """A bar an arm for every metric, a line an arm across what varies to the metric, the sample grids side by side.

    By itself MLflow draws a metric as a line, here of one point, since its step is the budget.
    """
    charts: list[dict[str, JSON]] = [{"type": "BAR", "metricKey": name, "displayName": name} for name in metrics[:most]]
    if len(varied) > 1:
        across = {"selectedParams": list(varied[: min(MAX_AXES, most)]), "selectedMetrics": [metrics[0]]}
        charts.insert(1, {"type": "PARALLEL", "showAllRuns": True, **across})  # beside the sweep's own metric
    if plan.workload.report.sample_grid is not None:
        name = limits.image_key(Path(plan.workload.report.sample_grid).stem)
        step = max((view.budget_step(trial.rungs[-1]) for trial in plan.trials), default=0)
        charts.append({"type": "IMAGE", "imageKeys": [name], "step": step, "displayName": name})
    place = {"metricSectionId": "arms", "isGenerated": False, "deleted": False}
    return [{"uuid": f"arms-{number}", **place, **chart} for number, chart in enumerate(charts)]


def address(server: str, experiment_id: str) -> str:
    """Where it opens. Without the workflow MLflow 3 shows its pages for language models."""
    return f"{server}/#/experiments/{experiment_id}/runs?viewStateShareKey={KEY}&workflowType=machine_learning"
