"""The parent run of a sweep: how it is found again, and how a report that was written again gets there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.home import Home
from assay.spec import Sweep
from assay.text import hide_secrets
from assay.tracking import view
from assay.tracking.logged import quiet_environment, sqlite_file

REPORT = "report"
"""Its folder of artifacts."""


PROFILE = "assay.profile"
"""The tag that says it. Without a profile there is none: any word may be a profile's name."""


def parent_tags(sweep: Sweep) -> dict[str, str]:
    """What tells it: a profile has a parent of its own."""
    return {"assay.role": "sweep", **({} if sweep.profile is None else {PROFILE: sweep.profile})}


def find_parent(client: Any, experiment_id: str, sweep: Sweep) -> Any | None:
    """Its run; None before there is one."""
    query, oldest = "tags.`assay.role` = 'sweep'", ["attributes.start_time"]
    found = client.search_runs([experiment_id], query, max_results=1000, order_by=oldest)
    return next((run for run in found if run.data.tags.get(PROFILE) == sweep.profile), None)


def log_report(home: Home, sweep: Sweep, folder: Path) -> str:
    """Put the page and the pictures in a report's folder on the parent run, and say so, or why they are not there.

    Nothing else of the run is touched: another command may be running the sweep. Never raises.
    """
    missing = f"{sweep.name} is not there yet; `assay sync` shows what is stored"
    database = sqlite_file(home.tracking_uri)
    if database is not None and not database.is_file():
        return missing
    try:
        quiet_environment()
        from mlflow.tracking import MlflowClient

        client: Any = MlflowClient(tracking_uri=home.tracking_uri)
        experiment = client.get_experiment_by_name(sweep.name)
        parent = None if experiment is None else find_parent(client, experiment.experiment_id, sweep)
        if parent is None:
            return missing
        for file in view.pictures_in(folder):
            client.log_artifact(parent.info.run_id, str(file), REPORT)
    except Exception as error:  # the boundary: whatever MLflow, its database or its server raise
        told = f"{home.tracking_uri} could not be written to: {first_line(error)}; the page is written all the same"
        return hide_secrets(told)
    return f"the report is on the run {parent.info.run_name}"


def first_line(error: Exception) -> str:
    text = hide_secrets(str(error)).strip()  # before it is cut: half a URL does not look like one
    return f"{type(error).__name__}: {text.splitlines()[0][:300]}" if text else type(error).__name__
