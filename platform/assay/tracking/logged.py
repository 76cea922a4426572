"""What MLflow's SQLite file says is logged, without importing MLflow: a re-run with nothing to log is fast.

Only the database is read, never a note of ours beside it: so a deleted database, run or folder of artifacts is noticed
at once.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from assay.home import Home
from assay.network import ask_this_machine_directly
from assay.tracking.database import RUN_DEPTH, place_here, recorded_folder, sqlite_file

LOGGED = "assay.logged"
"""The tag with the digest of what a run shows. Set last."""

QUERY = f"""
select tags.value, runs.status, runs.artifact_uri
from tags join runs using (run_uuid) join experiments using (experiment_id)
where tags.key = '{LOGGED}' and experiments.name = ?
and runs.lifecycle_stage = 'active' and experiments.lifecycle_stage = 'active'
"""


@dataclass(frozen=True)
class LoggedRun:
    status: str
    folder: Path
    """The folder of its artifacts."""

    def is_whole(self, artifacts: Iterable[str]) -> bool:
        """Whether the run ended and all its artifacts exist."""
        return self.status == "FINISHED" and are_there(self.folder, artifacts)


def logged_runs(home: Home, experiment: str) -> Mapping[str, LoggedRun]:
    """The experiment's completely logged runs, by digest. Empty if that cannot be found out without MLflow.

    Runs whose artifacts are recorded elsewhere, as before the home was moved, are left out.
    """
    file = sqlite_file(home.tracking_uri)
    if file is None or not file.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as database:
            rows = database.execute(QUERY, (experiment,)).fetchall()
    except sqlite3.Error:
        return {}
    recorded = ((digest, status, recorded_folder(uri)) for digest, status, uri in rows)
    return {
        digest: LoggedRun(status, folder)
        for digest, status, folder in recorded
        if folder is not None and place_here(home, folder, RUN_DEPTH) == folder
    }


def are_there(folder: Path, artifacts: Iterable[str]) -> bool:
    return all((folder / name).exists() for name in artifacts)


def quiet_environment() -> None:
    """No telemetry, no output of MLflow in the user's terminal, and short timeouts for a server that is down."""
    ask_this_machine_directly()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false")
