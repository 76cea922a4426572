"""Submitting a sweep: the job's name, what it is told, and which attempt it is."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from ray.job_submission import JobDetails

from assay.errors import ClusterError, UserError
from assay.jobs.cluster import Cluster
from assay.jobs.package import packed, sweep_file
from assay.runner.on_ray.session import QUIET
from assay.spec import Sweep
from assay.workload import digest

JOB_ID = re.compile(r"(?P<sweep>.+)-(?P<digest>[0-9a-f]{10})-(?P<attempt>\d+)")
"""The sweep's name and profile, what the job was made of, and the attempt."""
DEFAULT_HOME = "${HOME}/.assay"
"""Ray fills in the home folder of the cluster's machines."""
STOP_WAIT_S = 300
"""How long a stopped job may take to save what it has. Ray's own 3 s would kill it before."""

PAUSES_S = (0.5, 2.0, 5.0, None)
"""Between one try to submit and the next; the last has none."""

What = Literal["submitted", "attached", "submitted again"]


@dataclass(frozen=True)
class Submitted:
    """What became of asking for it."""

    job: str
    """Its id."""
    what: What
    store: str
    """Where on the cluster's machines its results go."""
    before: str | None = None
    """The status of the attempt that was there, if one was."""


@dataclass(frozen=True)
class Place:
    """Where a job keeps what it makes, as the cluster's machines see it."""

    home: str
    store: str | None

    @property
    def told(self) -> str:
        return self.store if self.store is not None else f"{self.home.replace('${HOME}', '~')}/store"


def submit(
    cluster: Cluster, sweep: Sweep, *, workload_package: Path | None = None, store: str | None = None
) -> Submitted:
    """Run the sweep on the cluster. The same sweep again attaches to the job that runs it.

    Raises UserError for what cannot be as asked, and ClusterError when the cluster does not take it.
    """
    where = place(store)
    cluster.refuse_other_versions()
    if where == Place(DEFAULT_HOME, None):
        _refuse_several_machines(cluster)
    with tempfile.TemporaryDirectory(prefix="assay-job-") as name:
        folder = Path(name)
        content = packed(sweep, workload_package, folder)
        base = f"{_title(sweep)}-{digest([content, sweep.profile, where.home, where.store])[:10]}"
        for pause in PAUSES_S:
            last = _last_attempt(cluster.jobs(), base)
            before = None if last is None else str(last.details.status.value)
            if last is not None and not last.details.status.is_terminal():
                return Submitted(f"{base}-{last.number}", "attached", where.told, before)
            job_id = f"{base}-{1 if last is None else last.number + 1}"
            try:
                _submit(cluster, job_id, sweep, folder, where)
            except ClusterError:
                # Somebody else submitted this attempt since we looked, or a head that has just started was not ready.
                if pause is None:
                    raise
                time.sleep(pause)
            else:
                return Submitted(job_id, "submitted" if last is None else "submitted again", where.told, before)
    raise AssertionError


def _refuse_several_machines(cluster: Cluster) -> None:
    """Where each would have a store of its own."""
    machines = cluster.num_machines()
    if machines > 1 or cluster.starts_machines():
        several = f"has {machines} machines" if machines > 1 else "starts machines when they are needed"
        raise UserError(
            f"the cluster {several}: name a store that all of them reach, as in --store /shared/assay or "
            "--store s3://bucket/assay (or set ASSAY_STORE)"
        )


def _submit(cluster: Cluster, job_id: str, sweep: Sweep, folder: Path, where: Place) -> None:
    with cluster.told():
        cluster.client.submit_job(
            submission_id=job_id,
            entrypoint=entrypoint(sweep),
            runtime_env={"working_dir": str(folder), "env_vars": environment(where)},
            metadata=_metadata(sweep),
        )


def entrypoint(sweep: Sweep) -> str:
    """The command line. Ray gives it to a shell, so every word is quoted."""
    profile = [] if sweep.profile is None else [f"--profile={sweep.profile}"]
    return shlex.join(["assay", "run", sweep_file(sweep), *profile, "--plain", "--rows", "--address", "auto"])


def environment(where: Place) -> dict[str, str]:
    """For the job and its workers. Whatever is in here, the dashboard shows: no token, no password."""
    told = {**QUIET, "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), "ASSAY_HOME": where.home}
    if where.store is not None:
        told["ASSAY_STORE"] = where.store
    if (tracking := os.environ.get("MLFLOW_TRACKING_URI")) is not None:
        told["MLFLOW_TRACKING_URI"] = _without_password("MLFLOW_TRACKING_URI", tracking)
    return told


def _metadata(sweep: Sweep) -> dict[str, str]:
    return {
        "assay.sweep": sweep.name,
        "assay.profile": sweep.profile or "",
        "assay.user": getpass.getuser(),
        "assay.version": version("assay"),
    }


def _title(sweep: Sweep) -> str:
    """For the job's name, which is part of addresses and of files' names."""
    title = f"{sweep.name}-{sweep.profile}" if sweep.profile else sweep.name
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", title)[:100]


@dataclass(frozen=True)
class _Attempt:
    number: int
    details: JobDetails


def _last_attempt(jobs: Sequence[JobDetails], base: str) -> _Attempt | None:
    """Of the jobs that were made of the same."""
    found = []
    for job in jobs:
        name = JOB_ID.fullmatch(job.submission_id or "")
        if name is not None and f"{name['sweep']}-{name['digest']}" == base:
            found.append(_Attempt(int(name["attempt"]), job))
    return max(found, key=lambda attempt: attempt.number, default=None)


def place(store: str | None) -> Place:
    """What this shell says of its own store is for the cluster too, where it can mean the same place there."""
    if store is not None and not _is_whole(store):
        raise UserError(
            f"--store: got {store!r}, allowed: a whole path on the cluster's machines, or a URL, as in "
            "/shared/assay or s3://bucket/assay"
        )
    here = {name: os.environ[name] for name in ("ASSAY_HOME", "ASSAY_STORE") if _is_whole(os.environ.get(name, ""))}
    wanted = store if store is not None else here.get("ASSAY_STORE")
    return Place(here.get("ASSAY_HOME", DEFAULT_HOME), None if wanted is None else _without_password("--store", wanted))


def _is_whole(path: str) -> bool:
    return "://" in path or PurePosixPath(path).is_absolute()


def _without_password(name: str, url: str) -> str:
    parts = urlsplit(url)
    if (
        parts.password
        or (parts.username and "://" in url)
        or re.search(r"(?i)(password|token|secret|key)=", parts.query)
    ):
        raise UserError(
            f"{name}: got a URL with credentials in it, which every user of the cluster could read in the job; "
            "allowed: a URL without them. Set them on the cluster's machines (MLFLOW_TRACKING_USERNAME, AWS_…)"
        )
    return url
