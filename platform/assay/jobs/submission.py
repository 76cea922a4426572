"""Submitting a sweep: the job's name, what it is told, and which attempt it is."""

from __future__ import annotations

import getpass
import re
import shlex
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from ray.job_submission import JobDetails

from assay.errors import ClusterError, UserError
from assay.jobs.cluster import Cluster
from assay.jobs.package import packed, sweep_file, without_its_package
from assay.jobs.places import DEFAULT_HOME, Place, environment, place, refuse_paths_from_here, remark
from assay.sweep import Sweep
from assay.workload import digest

JOB_ID = re.compile(r"(?P<sweep>.+)-(?P<digest>[0-9a-f]{10})-(?P<attempt>\d+)")
"""The sweep's name and profile, what the job was made of, and the attempt."""
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
    remark: str | None = None
    """What the user should know of how it was submitted."""


def submit(
    cluster: Cluster, sweep: Sweep, *, workload_package: Path | None = None, store: str | None = None
) -> Submitted:
    """Run the sweep on the cluster. The same sweep again attaches to the job that runs it.

    Raises UserError for what cannot be as asked, and ClusterError when the cluster does not take it.
    """
    where = place(store)
    refuse_paths_from_here(sweep)
    cluster.refuse_other_versions()
    if where == Place(DEFAULT_HOME, None):
        _refuse_several_machines(cluster)
    with tempfile.TemporaryDirectory(prefix="assay-job-") as name:
        folder = Path(name)
        content = packed(sweep, workload_package, folder)
        base = f"{_title(sweep)}-{digest([content, sweep.profile, where.home, where.store])[:10]}"
        lacking = None if workload_package is not None else without_its_package(sweep.workload)
        said = "; ".join(filter(None, (remark(), lacking))) or None
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
                what: What = "submitted" if last is None else "submitted again"
                return Submitted(job_id, what, where.told, before, said)
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
    """The last attempt among the jobs that were made from the same sweep."""
    found = []
    for job in jobs:
        name = JOB_ID.fullmatch(job.submission_id or "")
        if name is not None and f"{name['sweep']}-{name['digest']}" == base:
            found.append(_Attempt(int(name["attempt"]), job))
    return max(found, key=lambda attempt: attempt.number, default=None)
