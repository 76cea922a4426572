"""The parent run of a sweep: find it again, and add a rewritten report to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.home import Home
from assay.sweep import Sweep
from assay.tracking import view
from assay.tracking.client import Client
from assay.tracking.database import sqlite_file
from assay.tracking.writer import Writer

PROFILE = "assay.profile"
"""The tag with the sweep's profile. Absent without one: any word may be a profile's name."""


def parent_tags(sweep: Sweep) -> dict[str, str]:
    """Tags that identify the parent run. Each profile has a parent of its own."""
    return {"assay.role": "sweep", **({} if sweep.profile is None else {PROFILE: sweep.profile})}


def find_parent(client: Client, experiment_id: str, sweep: Sweep) -> Any | None:
    """The parent run, or None if there is none yet."""
    runs = client.search(experiment_id, "tags.`assay.role` = 'sweep'")
    return next((run for run in runs if run.data.tags.get(PROFILE) == sweep.profile), None)


def log_report(home: Home, sweep: Sweep, folder: Path) -> str:
    """Log a report's page and pictures on the parent run; returns what was done, or why not.

    Nothing else of the run changes: another command may be running the sweep. Never raises.
    """
    missing = f"{sweep.name} is not there yet; `assay sync` shows what is stored"
    database = sqlite_file(home.tracking_uri)
    if database is not None and not database.is_file():
        return missing
    message = [missing]

    def log() -> None:
        client = Client(home, writer.patience)
        experiment = client.experiment(sweep.name)
        parent = None if experiment is None else find_parent(client, experiment.experiment_id, sweep)
        if parent is not None:
            for file in view.pictures_in(folder):
                client.log_file(parent, file, view.REPORT)
            message[:] = [f"the report is on the run {parent.info.run_name}"]

    writer = Writer(home)
    writer.put(log)
    writer.finish()
    return message[0] if writer.problem is None else writer.problem.removeprefix("MLflow at ")
