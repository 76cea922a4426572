"""The page of MLflow's UI that compares a sweep's arms, set up for the user: what she would click together herself.

MLflow keeps a shared view as JSON in a tag of the experiment, and opens it by its key. A version of MLflow that reads
it otherwise shows the runs as it always does.
"""

from __future__ import annotations

from assay.plan import Plan
from assay.workload import canonical_json

KEY = "arms"
MAX_COLUMNS = 40
"""MLflow refuses a tag of an experiment over 5000 characters."""
TAG = f"mlflow.sharedViewState.{KEY}"


def experiment_tags(plan: Plan, parent_run_id: str) -> dict[str, str]:
    """The description, and the view: the arms without their parent, ranked, with what varies and what was measured."""
    sweep = plan.sweep
    measured = [name for trial in plan.trials for name in plan.workload.metrics(trial.trial.config)]
    varied = [path for trial in plan.trials for path in trial.trial.varied]
    columns = [
        *(f"metrics.`{name}`" for name in dict.fromkeys([sweep.metric, *measured, "cost/seconds"])),
        *(f"params.`{path}`" for path in dict.fromkeys(varied)),
    ]
    state = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent_run_id}'",
        "orderByKey": f"metrics.`{sweep.metric}`",
        "orderByAsc": sweep.mode == "min",
        "selectedColumns": columns[:MAX_COLUMNS],
    }
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": sweep.metric,
        "mlflow.note.content": sweep.description,
        TAG: canonical_json(state),
    }


def address(server: str, experiment_id: str) -> str:
    """Where it opens. Without the workflow MLflow 3 shows its pages for language models."""
    return f"{server}/#/experiments/{experiment_id}/runs?viewStateShareKey={KEY}&workflowType=machine_learning"
