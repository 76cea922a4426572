"""Runs in MLflow of sweeps that are not kept: find them, and delete them with their artifacts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from assay.home import Home
from assay.store.contents import bytes_in
from assay.tracking.client import Client
from assay.tracking.database import recorded_folder, sqlite_file
from assay.tracking.parent import PROFILE
from assay.tracking.writer import Writer

ROLE = "assay.role"


@dataclass(frozen=True)
class OldRun:
    """One that can be deleted."""

    sweep: str
    profile: str | None
    bytes: int | None
    """Of its artifacts; None if they are on a server."""
    run: Any


def find_old_runs(
    home: Home, kept: Collection[str], older_than_s: float, ours: Collection[str] = ()
) -> tuple[list[OldRun], str | None]:
    """The runs of sweeps with other names than these that ended so long ago, and why they cannot be told. Never raises.

    A server may also have the runs of other stores: there, only those of `ours`. Without a database or a server there
    are none, and MLflow is not imported.
    """
    database, found = sqlite_file(home.tracking_uri), list[OldRun]()
    until_ms = (time.time() - older_than_s) * 1000

    def find(client: Client) -> None:
        for experiment in client.experiments():
            if experiment.name not in kept and (database is not None or experiment.name in ours):
                found.extend(_old(client, experiment, until_ms, is_local=database is not None))

    has_some = database is None or database.is_file()
    return found, _asked(home, find) if has_some else None


def delete_old_runs(home: Home, runs: Iterable[OldRun]) -> tuple[list[OldRun], str | None]:
    """Delete them; returns those that were, and why not all. On this machine their artifacts go, too; a server keeps
    them until its `mlflow gc`."""
    deleted: list[OldRun] = []

    def delete(client: Client) -> None:
        for old in runs:
            client.delete_run(old.run)
            folder = recorded_folder(old.run.info.artifact_uri)
            if old.bytes is not None and folder is not None and folder.parent.is_dir():
                shutil.rmtree(folder.parent)
            deleted.append(old)
        for experiment in {old.run.info.experiment_id for old in deleted}:
            client.delete_if_empty(experiment)

    return deleted, _asked(home, delete)


def _old(client: Client, experiment: Any, until_ms: float, *, is_local: bool) -> Iterator[OldRun]:
    runs = list(client.search(experiment.experiment_id, ""))
    if not any(run.data.tags.get(ROLE) == "sweep" for run in runs):
        return  # not one of ours
    profiles = {run.info.run_id: run.data.tags.get(PROFILE) for run in runs}
    for run in runs:
        if (run.info.end_time or run.info.start_time) <= until_ms:
            parent = run.data.tags.get("mlflow.parentRunId", run.info.run_id)
            folder = recorded_folder(run.info.artifact_uri) if is_local else None
            size = None if folder is None else bytes_in(folder)
            yield OldRun(experiment.name, profiles.get(parent), size, run)


def _asked(home: Home, task: Callable[[Client], None]) -> str | None:
    """Run a task with a client, waiting as long as MLflow answers; returns what went wrong."""
    writer = Writer(home)
    writer.put(lambda: task(Client(home, writer.patience)), always=True)
    writer.finish()
    return writer.problem
