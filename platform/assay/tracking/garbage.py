"""What MLflow has of sweeps that are not kept: find it, and delete it. Runs with their artifacts, and the versions of
registered models that are of these runs, or whose weights the store loses."""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from assay.home import Home
from assay.store.contents import bytes_in
from assay.store.folders import KEY
from assay.store.garbage import Author
from assay.tracking.client import Client
from assay.tracking.database import recorded_folder, sqlite_file
from assay.tracking.parent import PROFILE
from assay.tracking.registry import place_of_weights
from assay.tracking.view import LEAF
from assay.tracking.writer import Writer

ROLE, PARENT, STAGES = "assay.role", "mlflow.parentRunId", "assay.stages"
Why = Literal["running", "elsewhere"]
"""Why an old run is left: it has not ended; this store has no result of it, so that another one may."""


@dataclass(frozen=True)
class OldRun:
    """One that can be deleted."""

    sweep: str
    profile: str | None
    bytes: int | None
    """Of its artifacts; None if they are on a server."""
    run: Any


@dataclass(frozen=True)
class OldVersion:
    """A version of a registered model that would point to nothing."""

    model: str
    version: str
    author: Author | None
    key: str | None
    """The training whose weights go; None if it is the run that goes."""


@dataclass
class Found:
    """What can be deleted of MLflow, or was."""

    runs: list[OldRun] = field(default_factory=list)
    versions: list[OldVersion] = field(default_factory=list)
    left: Counter[tuple[str, Why]] = field(default_factory=Counter)
    """Sweep and why → how many of its runs are left though they are old."""
    problem: str | None = None
    """Why not everything could be found, or deleted."""


@dataclass(frozen=True)
class StoredKeys:
    """What this store has of results before anything is deleted."""

    keys: Collection[str]
    sweeps: Collection[str]
    """The names of the sweeps that computed something."""
    going: Mapping[str, Author | None]
    """Key → the sweep that computed it, for results that are to be deleted."""


def find_old(home: Home, kept: Collection[str], older_than_s: float, stored: StoredKeys) -> Found:
    """The runs of sweeps with other names than these that ended so long ago, with results in this store, and versions
    of models. Never raises. Without a database or a server there are none, and MLflow is not imported.
    """
    database, found = sqlite_file(home.tracking_uri), Found()
    until_ms = (time.time() - older_than_s) * 1000

    def find(client: Client) -> None:
        for experiment in client.experiments():
            if experiment.name not in kept and (database is not None or experiment.name in stored.sweeps):
                _find_runs(found, client, experiment, until_ms, stored.keys, is_local=database is not None)
        if found.runs or stored.going:
            found.versions.extend(_old_versions(client, home, found.runs, stored.going))

    if database is None or database.is_file():
        found.problem = _asked(home, find)
    return found


def delete_old(home: Home, old: Found) -> Found:
    """Delete it; returns what was: nothing if not everything could be found, since versions of models may be missing.

    On this machine the artifacts of runs go, too; a server keeps them until its `mlflow gc`.
    """
    deleted = Found(left=old.left, problem=old.problem)

    def delete(client: Client) -> None:
        for version in old.versions:  # first: a version without its run would point to nothing
            client.delete_version(version.model, version.version)
            deleted.versions.append(version)
        for each in old.runs:
            client.delete_run(each.run)
            folder = recorded_folder(each.run.info.artifact_uri)
            if each.bytes is not None and folder is not None and folder.parent.is_dir():
                shutil.rmtree(folder.parent)
            deleted.runs.append(each)
        for experiment in {each.run.info.experiment_id for each in deleted.runs}:
            client.delete_if_empty(experiment)

    if (old.runs or old.versions) and old.problem is None:
        deleted.problem = _asked(home, delete)
    return deleted


def _find_runs(
    found: Found, client: Client, experiment: Any, until_ms: float, keys: Collection[str], *, is_local: bool
) -> None:
    runs = list(client.search(experiment.experiment_id, ""))
    if not any(run.data.tags.get(ROLE) == "sweep" for run in runs):
        return  # not one of ours
    profiles = {run.info.run_id: run.data.tags.get(PROFILE) for run in runs}
    parents_that_stay = set[str]()
    for run in sorted(runs, key=_is_parent):  # its trials first
        why = _why_left(run, keys)
        is_old = (run.info.end_time or run.info.start_time) <= until_ms
        if why is None and is_old and run.info.run_id not in parents_that_stay:
            folder = recorded_folder(run.info.artifact_uri) if is_local else None
            profile = profiles.get(run.data.tags.get(PARENT, run.info.run_id))
            found.runs.append(OldRun(experiment.name, profile, None if folder is None else bytes_in(folder), run))
            continue
        parents_that_stay.add(run.data.tags.get(PARENT, ""))
        if why is not None and is_old:
            found.left[experiment.name, why] += 1


def _is_parent(run: Any) -> bool:
    return run.data.tags.get(ROLE) == "sweep"


def _why_left(run: Any, keys: Collection[str]) -> Why | None:
    if run.info.status == "RUNNING":
        return "running"
    return None if _is_parent(run) or _is_of_store(run, keys) else "elsewhere"


def _is_of_store(run: Any, keys: Collection[str]) -> bool:
    """Whether the store has the leaf of a finished trial, at whichever rung; or any stage of one that was killed.

    A finished trial of another store may share a stage with this one: the statistics of a reference, say.
    """
    leaf = run.data.tags.get(LEAF, "")
    stages = {key: name for name, key in re.findall(rf"(\S+) ({KEY})", run.data.tags.get(STAGES, ""))}
    ends = {key for key, name in stages.items() if name == stages.get(leaf)} if run.info.status == "FINISHED" else set()
    return any(key in keys for key in ends or {leaf, *stages})


def _old_versions(
    client: Client, home: Home, runs: Iterable[OldRun], going: Mapping[str, Author | None]
) -> Iterator[OldVersion]:
    by_id = {old.run.info.run_id: old for old in runs}
    here = f"{place_of_weights(home.store_url)};"
    for each in client.versions():
        old = by_id.get(each.run_id)
        lost = [key for name, key in each.tags.items() if name.startswith("assay.") and key in going]
        if old is not None:
            yield OldVersion(each.name, str(each.version), (old.sweep, old.profile), None)
        elif lost and here in (each.description or ""):  # another store may have the same training
            yield OldVersion(each.name, str(each.version), going[lost[0]], lost[0])


def _asked(home: Home, task: Callable[[Client], None]) -> str | None:
    """Run a task with a client, waiting as long as MLflow answers; returns what went wrong."""
    writer = Writer(home)
    writer.put(lambda: task(Client(home, writer.patience)), always=True)
    writer.finish()
    return writer.problem
