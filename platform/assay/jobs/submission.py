"""Submit a sweep: the job's name, its environment, and the number of the attempt."""

from __future__ import annotations

import json
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
from assay.home import JOB, user_name
from assay.jobs.cluster import Cluster
from assay.jobs.package import packed, staying_here, sweep_file
from assay.jobs.places import DEFAULT_HOME, Locations, environment, locations, refuse_paths_from_here, remark
from assay.planning import references_of
from assay.provenance import SUBMITTED, submission
from assay.sweep import Sweep
from assay.workload import digest

JOB_ID = re.compile(r"(?P<sweep>.+)-(?P<digest>[0-9a-f]{10})-(?P<attempt>\d+)")
"""The sweep's name and profile, a digest of what was uploaded, and the attempt."""
PAUSES_S = (0.5, 2.0, 5.0, None)
"""Pauses between attempts to submit; there is none after the last."""

What = Literal["submitted", "attached", "submitted again"]


@dataclass(frozen=True)
class Submitted:
    """The outcome of submitting."""

    job: str
    """The job's id."""
    what: What
    store: str
    """Where on the cluster's machines its results go."""
    before: str | None = None
    """The status of the previous attempt, if there was one."""
    remark: str | None = None
    """A warning about how it was submitted."""


def submit(
    cluster: Cluster, sweep: Sweep, *, workload_package: Path | None = None, store: str | None = None
) -> Submitted:
    """Run the sweep on the cluster, or attach to the job that is already running it.

    Raises UserError for requests that cannot work, and ClusterError if the cluster refuses.
    """
    where = locations(store)
    refuse_paths_from_here(sweep)
    _refuse_sweeps_from_here(sweep)
    cluster.refuse_other_versions()
    if where == Locations(DEFAULT_HOME, None):
        _refuse_several_machines(cluster)
    with tempfile.TemporaryDirectory(prefix="assay-job-") as name:
        folder = Path(name)
        content = packed(sweep, workload_package, folder)
        base = f"{_title(sweep)}-{digest([content, sweep.profile, where.home, where.store])[:10]}"
        _write_submission(sweep, folder)  # not in the digest: the same sweep attaches to its job from any commit
        warning = "; ".join(filter(None, (remark(), staying_here(sweep, folder)))) or None
        for pause in PAUSES_S:
            last = _last_attempt(cluster.jobs(), base)
            before = None if last is None else str(last.details.status.value)
            if last is not None and not last.details.status.is_terminal():
                return Submitted(f"{base}-{last.number}", "attached", where.results, before)
            job_id = f"{base}-{1 if last is None else last.number + 1}"
            try:
                _submit(cluster, job_id, sweep, folder, where)
            except ClusterError:
                # Another client submitted this attempt meanwhile, or the head has just started and was not ready.
                if pause is None:
                    raise
                time.sleep(pause)
            else:
                what: What = "submitted" if last is None else "submitted again"
                return Submitted(job_id, what, where.results, before, warning)
    raise AssertionError


def _refuse_sweeps_from_here(sweep: Sweep) -> None:
    """Refuse references to other sweeps, whose files stay here: keys mean the same everywhere."""
    references = references_of(sweep)
    if references:
        keys = "; ".join(f"instead of {reference!r}: {key}" for reference, key in references.items())
        raise UserError(f"the job does not have the sweeps that this one refers to; write the keys of results, {keys}")


def _write_submission(sweep: Sweep, folder: Path) -> None:
    """Tell the job which code and command it was submitted with: its folder has no repository."""
    packages = {type(sweep.find_workload(name)).__module__.partition(".")[0] for name in sweep.workloads}
    (folder / SUBMITTED).write_text(json.dumps(submission(packages)), encoding="utf-8")


def _refuse_several_machines(cluster: Cluster) -> None:
    """Refuse a cluster where every machine would have a store of its own."""
    machines = cluster.num_machines()
    if machines > 1 or cluster.starts_machines():
        several = f"has {machines} machines" if machines > 1 else "starts machines when they are needed"
        raise UserError(
            f"the cluster {several}: name a store that all of them can reach, as in --store /shared/assay or "
            "--store s3://bucket/assay (or set ASSAY_STORE)"
        )


def _submit(cluster: Cluster, job_id: str, sweep: Sweep, folder: Path, where: Locations) -> None:
    with cluster.translated_errors():
        cluster.client.submit_job(
            submission_id=job_id,
            entrypoint=entrypoint(sweep),
            runtime_env={"working_dir": str(folder), "env_vars": {**environment(where), JOB: job_id}},
            metadata=_metadata(sweep, where),
        )


def entrypoint(sweep: Sweep) -> str:
    """The command line. Ray passes it to a shell, so every word is quoted."""
    profile = [] if sweep.profile is None else [f"--profile={sweep.profile}"]
    return shlex.join(["assay", "run", sweep_file(sweep), *profile, "--plain", "--rows", "--address", "auto"])


def _metadata(sweep: Sweep, where: Locations) -> dict[str, str]:
    return {
        "assay.sweep": sweep.name,
        "assay.profile": sweep.profile or "",
        "assay.user": user_name(),
        "assay.version": version("assay"),
        "assay.store": where.results,
    }


def _title(sweep: Sweep) -> str:
    """A name for the job that is valid in URLs and file names."""
    title = f"{sweep.name}-{sweep.profile}" if sweep.profile else sweep.name
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", title)[:100]


@dataclass(frozen=True)
class _Attempt:
    number: int
    details: JobDetails


def _last_attempt(jobs: Sequence[JobDetails], base: str) -> _Attempt | None:
    """The last attempt among the jobs of the same sweep."""
    attempts = []
    for job in jobs:
        name = JOB_ID.fullmatch(job.submission_id or "")
        if name is not None and f"{name['sweep']}-{name['digest']}" == base:
            attempts.append(_Attempt(int(name["attempt"]), job))
    return max(attempts, key=lambda attempt: attempt.number, default=None)
