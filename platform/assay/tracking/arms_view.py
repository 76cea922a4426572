"""The page of MLflow's UI that compares a sweep's arms, preconfigured as a user would set it up by hand.

MLflow keeps a shared view as JSON in a tag of the experiment, and opens it by its key. A version of MLflow that reads
it differently shows the runs in its default way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.planning import Plan
from assay.tracking import limits, view
from assay.workload import JSON, canonical_json

KEY = "arms"
MAX_COLUMNS = 15
MAX_POINTS = 100
"""Runs in the chart of two objectives."""
MAX_AXES = 8
"""Axes of the parallel coordinates, besides the metric's."""
TAG = f"mlflow.sharedViewState.{KEY}"
STANDING, CURRENT, SUPERSEDED = "assay.standing", "current", "superseded"
"""A tag of a trial's run, and its values: whether the sweep, as last run, has that trial."""
PARETO = "assay.pareto"
"""The tag with the Pareto front of several objectives, on the parent; "true" on the runs of its trials."""


def experiment_tags(plan: Plan, parent_run_id: str) -> dict[str, str]:
    """The description, and the view of the current arms: ranked, with what varies and what was measured."""
    sweep = plan.sweep
    measured = [name for trial in plan.trials for name in trial.workload.metrics(trial.trial.config)]
    varied = [path for trial in plan.trials for path in trial.trial.varied]
    objectives = [o.name if o.name in measured else f"{view.COST}/{o.name}" for o in sweep.objectives]
    names = list(dict.fromkeys(map(limits.key, [*objectives, *measured, f"{view.COST}/seconds"])))
    paths = list(dict.fromkeys(map(limits.key, varied)))
    views = (_view(plan, parent_run_id, names, paths, most) for most in range(MAX_COLUMNS, -1, -1))
    fitting = next(text for text in views if len(text) <= limits.EXPERIMENT_TAG)  # the smallest always fits
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": limits.key(sweep.objective.name),
        "mlflow.note.content": sweep.description,
        TAG: fitting,
    }


def _view(plan: Plan, parent_run_id: str, metrics: Sequence[str], varied: Sequence[str], most: int) -> str:
    """The view as JSON with at most `most` columns and charts of metrics: long names leave room for few in a tag."""
    front = [f"tags.`{PARETO}`"] if len(plan.sweep.objectives) > 1 else []
    columns = [*front, *(f"metrics.`{name}`" for name in metrics), *(f"params.`{path}`" for path in varied)]
    state = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent_run_id}' AND tags.`{STANDING}` = '{CURRENT}'",
        "orderByKey": f"metrics.`{metrics[0]}`",
        "orderByAsc": plan.sweep.objective.mode == "min",
        "selectedColumns": columns[:most],
        "compareRunSections": [{"uuid": "arms", "name": "Arms", "display": True, "isReordered": False}],
        "compareRunCharts": _charts(plan, metrics, varied, most),
    }
    return canonical_json(state)


def _charts(plan: Plan, metrics: Sequence[str], varied: Sequence[str], most: int) -> list[JSON]:
    """Per metric a bar chart over arms, then parallel coordinates of what varies and the metric, then sample grids.

    By default MLflow draws a metric as a line, here of one point, since its step is the budget.
    """
    charts: list[dict[str, JSON]] = [{"type": "BAR", "metricKey": name, "displayName": name} for name in metrics[:most]]
    if len(varied) > 1:
        across = {"selectedParams": list(varied[: min(MAX_AXES, most)]), "selectedMetrics": [metrics[0]]}
        charts.insert(1, {"type": "PARALLEL", "showAllRuns": True, **across})  # next to the sweep's own metric
    if len(plan.sweep.objectives) > 1 and most:
        x, y = ({"key": name, "type": "METRIC"} for name in metrics[:2])
        charts.insert(0, {"type": "SCATTER", "xaxis": x, "yaxis": y, "runsCountToCompare": MAX_POINTS})
    grids = [trial.workload.report.sample_grid for trial in plan.trials]
    for name in dict.fromkeys(limits.image_key(Path(grid).stem) for grid in grids if grid is not None):
        step = max((view.budget_step(trial.rungs[-1]) for trial in plan.trials), default=0)
        charts.append({"type": "IMAGE", "imageKeys": [name], "step": step, "displayName": name})
    place = {"metricSectionId": "arms", "isGenerated": False, "deleted": False}
    return [{"uuid": f"arms-{number}", **place, **chart} for number, chart in enumerate(charts)]


def address(server: str, experiment_id: str) -> str:
    """The URL of the view. Without the workflow parameter, MLflow 3 shows its pages for language models."""
    return f"{server}/#/experiments/{experiment_id}/runs?viewStateShareKey={KEY}&workflowType=machine_learning"
