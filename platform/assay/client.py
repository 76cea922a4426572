"""Sweeps on a Ray cluster, from a script: submit, poll, read results and the ledger, stop.

    client = assay.Client("http://head:8265")
    job = client.submit("sweeps/quickstart.yaml", profile="smoke")
    for line in job.logs(follow=True):
        print(line)
    print(job.results())

Nothing here is cached: every call asks the cluster.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assay.errors import UserError
from assay.jobs import following
from assay.jobs.cluster import FORGOTTEN, Cluster
from assay.jobs.submission import JOB_ID, Submitted, submit
from assay.results import frames, log_rows
from assay.sweep import Sweep, load_sweep

if TYPE_CHECKING:
    import pandas as pd
    from ray.job_submission import JobDetails

Status = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
"""Ray's words. A sweep of which some trial failed is FAILED; the results of the others are there."""
OVER = ("STOPPED", "SUCCEEDED", "FAILED")
POLL_S = 1.0


@dataclass(frozen=True)
class About:
    """A job as it is now."""

    id: str
    status: Status
    sweep: str
    profile: str
    user: str
    version: str
    """The version of assay where the job was submitted."""
    started: datetime | None
    ended: datetime | None
    message: str
    """What Ray says of the status."""
    exit_code: int | None
    """The exit code of `assay run`, once the job is over and was not stopped."""


class Job:
    """A sweep on a cluster."""

    def __init__(self, cluster: Cluster, job_id: str, submitted: Submitted | None = None) -> None:
        self.id = job_id
        self.submitted = submitted
        """What `submit` did; None for a job that was looked up."""
        self._cluster = cluster

    def __repr__(self) -> str:
        return f"<assay.Job {self.id}>"

    def about(self) -> About:
        return _about(self._cluster.job(self.id))

    def status(self) -> Status:
        return self.about().status

    def logs(self, follow: bool = False) -> Iterator[str]:
        """What it printed, line by line; with `follow` until it is over, across dropped connections."""
        lines = following.follow(self._cluster, self.id) if follow else iter(self._cluster.log(self.id).splitlines())
        return (line for line in lines if not log_rows.is_row(line))

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until it is over, also while the cluster does not answer: for ten minutes, then raises ClusterError.

        Raises TimeoutError after `timeout` seconds, whatever the cluster does; the job goes on.
        """
        return self._wait(timeout, _deadline(timeout))

    def stop(self, timeout: float | None = None) -> Status:
        """Stop it, and wait until it is: its trainings have saved, and what it held is free. Raises what `wait` does.

        Submitting the same sweep again goes on from there. A job that is over stays as it is.
        """
        deadline = _deadline(timeout)
        following.patiently(lambda: self._cluster.stop(self.id), deadline)
        return self._wait(timeout, deadline)

    def _wait(self, timeout: float | None, deadline: float) -> Status:
        while (status := following.patiently(self.status, deadline)) not in OVER:
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError(f"{self.id} is {status} after {timeout:g} s")
            time.sleep(min(POLL_S, left))
        return status

    def results(self) -> pd.DataFrame:
        """So far: one row a trial and rung that it reached, in the order they came.

        Columns: trial, arm, seed; a column a config path that varies; with rungs, a column named as the budget's path;
        a column a metric; key, of the stored result; stages, the keys of all that it took (see `ledger`); failure, None
        or why the trial has no (further) result.
        """
        return frames.results(self._rows())

    def ledger(self) -> pd.DataFrame:
        """So far: one row a stage, whenever it was computed, with what it took.

        Columns: stage, key; serves, the trials it is for; amount and unit of its budget; device, count, seconds;
        done, items and flops: the part of the budget, items and operations that these seconds were for (a rung's: what
        it added to the one below); and, as soon as there is a row, device-days, by the name of the workload's unit, as
        a100_days. A device that is not in the declared table has NaN there: unknown, and not 0.
        """
        return frames.ledger(self._rows())

    def _rows(self) -> list[log_rows.LogRow]:
        return list(log_rows.read(self._cluster.log(self.id).splitlines()))


class Client:
    """A connection to the cluster whose jobs are served at `address`, as in http://head:8265.

    The token is the one in the file that RAY_AUTH_TOKEN_PATH names, unless one is given. Raises UserError where the
    address or the token is wrong, and ClusterError where nobody answers, here and in every method.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        self._cluster = Cluster(address, token)

    @property
    def address(self) -> str:
        return self._cluster.address

    def submit(
        self,
        sweep: Sweep | str | os.PathLike[str] | Mapping[str, object],
        overrides: Sequence[str] | Mapping[str, object] = (),
        profile: str | None = None,
        *,
        workload_package: str | os.PathLike[str] | None = None,
        store: str | None = None,
    ) -> Job:
        """Run a sweep on the cluster, and return at once.

        The same sweep again attaches to the job that runs it; after one that is over, a new attempt computes only what
        is missing. `overrides` are "path=value", or path → value, and go over a file or a dict. `workload_package` is a
        folder of modules that the job takes along. `store` is where all of the cluster's machines find the results.
        """
        if isinstance(sweep, Sweep):
            if overrides or profile is not None:
                raise UserError("overrides and profile go over a sweep's file: give them to assay.load_sweep")
            loaded = sweep
        else:
            loaded = load_sweep(sweep, profile=profile, sets=_as_sets(overrides))
        package = None if workload_package is None else Path(workload_package)
        done = submit(self._cluster, loaded, workload_package=package, store=store)
        return Job(self._cluster, done.job, done)

    def jobs(self) -> list[About]:
        """Every sweep that was submitted to the cluster, the newest first."""
        ours = [_about(job) for job in self._cluster.jobs() if JOB_ID.fullmatch(job.submission_id or "")]
        return sorted(ours, key=lambda job: job.started or datetime.now(UTC), reverse=True)

    def job(self, job_id: str) -> Job:
        """A job by its id, or by the beginning of its id when only one begins so."""
        known = [about.id for about in self.jobs()]
        matching = [job_id] if job_id in known else [name for name in known if name.startswith(job_id)]
        if len(matching) == 1:
            return Job(self._cluster, matching[0])
        if matching:
            raise UserError(f"{job_id} begins {len(matching)} jobs: {', '.join(matching)}")
        raise UserError(
            f"no job {job_id} on {self.address}; see them with: assay ls --address {self.address}. {FORGOTTEN}"
        )


def _deadline(timeout: float | None) -> float:
    return math.inf if timeout is None else time.monotonic() + timeout


def _as_sets(overrides: Sequence[str] | Mapping[str, object]) -> list[str]:
    if isinstance(overrides, Mapping):
        return [f"{path}={_as_json(path, value)}" for path, value in overrides.items()]
    if isinstance(overrides, str):
        raise UserError(f'overrides: got {overrides!r}, allowed: a list of "path=value", or a mapping of path to value')
    return list(overrides)


def _as_json(path: str, value: object) -> str:
    try:
        return json.dumps(value, default=os.fspath)
    except (TypeError, ValueError):  # ValueError: one that holds itself, as bytes do by fspath
        raise UserError(
            f"overrides: {path}: got {value!r}, allowed: a number, a string or a path, True, False, None, and lists "
            "and dicts of these"
        ) from None


def _about(job: JobDetails) -> About:
    told = job.metadata or {}
    return About(
        id=job.submission_id or "",
        status=job.status.value,
        sweep=told.get("assay.sweep", ""),
        profile=told.get("assay.profile", ""),
        user=told.get("assay.user", ""),
        version=told.get("assay.version", ""),
        started=_when(job.start_time),
        ended=_when(job.end_time),
        message=job.message or "",
        exit_code=job.driver_exit_code,
    )


def _when(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
