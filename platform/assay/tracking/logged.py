"""Before MLflow is imported: what its own SQLite file says is logged, so that a re-run with nothing to log is fast.

Only the database itself is asked, never a note of ours beside it: a wiped database, a deleted run or a removed folder
of artifacts shows at once.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from assay.network import ask_this_machine_directly

LOGGED = "assay.logged"
"""The tag that says what a run shows: the digest of it. Set last."""

QUERY = f"""
select tags.value, runs.status, runs.artifact_uri
from tags join runs using (run_uuid) join experiments using (experiment_id)
where tags.key = '{LOGGED}' and experiments.name = ?
and runs.lifecycle_stage = 'active' and experiments.lifecycle_stage = 'active'
"""


def sqlite_file(tracking_uri: str) -> Path | None:
    """The database file of a local tracking URI; None for a server."""
    scheme = "sqlite:///"
    if not tracking_uri.startswith(scheme):
        return None
    return Path(unquote(tracking_uri.removeprefix(scheme).split("?")[0]))


def logged_runs(tracking_uri: str, experiment: str) -> Mapping[str, str]:
    """Digest → status, of the experiment's runs that are whole. Empty when that cannot be told without MLflow."""
    file = sqlite_file(tracking_uri)
    if file is None or not file.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as database:
            rows = database.execute(QUERY, (experiment,)).fetchall()
    except sqlite3.Error:
        return {}
    return {digest: status for digest, status, artifacts in rows if Path(unquote(urlsplit(artifacts).path)).is_dir()}


def quiet_environment() -> None:
    """No telemetry, nothing in the user's terminal but what we say, and a server that is down is given up soon."""
    ask_this_machine_directly()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # with the password that the URL has
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    logging.getLogger("alembic").setLevel(logging.WARNING)


@contextmanager
def one_at_a_time(database: Path | None) -> Iterator[None]:
    """Two commands that create one database at once leave it half-made for good, and find or create runs twice."""
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
