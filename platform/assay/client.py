"""Sweeps on a Ray cluster, from a script: submit, poll, read results and costs, stop.

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

from assay.errors import AssayError, UserError
from assay.jobs import following
from assay.jobs.cluster import FORGOTTEN, Cluster
from assay.jobs.submission import JOB_ID, Submitted, submit
from assay.results import frames, log_rows
from assay.sweep import Sweep, load_sweep

if TYPE_CHECKING:
    import pandas as pd
    from ray.job_submission import JobDetails

Status = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
"""As Ray names them. A sweep with a failed trial is FAILED; the results of the others are stored."""
OVER = ("STOPPED", "SUCCEEDED", "FAILED")
POLL_S = 1.0


@dataclass(frozen=True)
class About:
    """A job's current state."""

    id: str
    status: Status
    sweep: str
    profile: str
    user: str
    version: str
    """The version of assay where the job was submitted."""
    store: str
    """Where its results go, on the cluster's machines."""
    started: datetime | None
    ended: datetime | None
    message: str
    """Ray's message about the status."""
    exit_code: int | None
    """The exit code of `assay run`; None while the job runs, and if it was stopped."""


class Job:
    """A sweep on a cluster."""

    def __init__(self, cluster: Cluster, job_id: str, submitted: Submitted | None = None) -> None:
        self.id = job_id
        self.submitted = submitted
        """The submission; None for a job that was looked up."""
        self._cluster = cluster

    def __repr__(self) -> str:
        return f"<assay.Job {self.id}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: its current state."""
        from assay.report.html.shown import facts_html

        try:
            about = self.about()
        except AssayError as error:  # the cluster may be gone while the notebook is still open
            return facts_html(self.id, str(error), {})
        facts = {
            "status": about.status,
            "sweep": about.sweep,
            "profile": about.profile,
            "user": about.user,
            "started": _in_words(about.started),
            "ended": _in_words(about.ended),
            "message": about.message,
        }
        return facts_html(self.id, "", facts)

    def about(self) -> About:
        return _about(self._cluster.job(self.id))

    def status(self) -> Status:
        return self.about().status

    def logs(self, follow: bool = False) -> Iterator[str]:
        """Its log, line by line; with `follow` until the job ends, across dropped connections."""
        lines = following.follow(self._cluster, self.id) if follow else iter(self._cluster.log(self.id).splitlines())
        return (line for line in lines if not log_rows.is_row(line))

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until the job ends. Raises ClusterError if the cluster does not answer for ten minutes.

        Raises TimeoutError after `timeout` seconds, whatever the cluster does; the job keeps running.
        """
        return self._wait(timeout, _deadline(timeout))

    def stop(self, timeout: float | None = None) -> Status:
        """Checkpoint the job's trainings, release its resources, and wait until it has ended. Raises as `wait` does.

        Submit the same sweep again to resume. A job that has ended is left as it is.
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
        """The results so far: one row per trial and rung that it reached, in the order they were printed.

        Columns: trial, arm, seed; one per config path that varies; with rungs, one named as the budget's path; one per
        metric; key, of the stored result; stages, the keys of its stages (see `ledger`); failure, None or why the trial
        has no (further) result.
        """
        return frames.results(self._rows())

    def ledger(self) -> pd.DataFrame:
        """The costs so far: one row per stage, whenever it was computed.

        Columns: stage, key; serves, the trials it is for; amount and unit of its budget; device, count, seconds;
        done, items and flops: the part of the budget, items and operations of these seconds (for a rung, what it added
        to the one below); and, if there are rows, device-days under the name of the workload's unit, such as a100_days:
        NaN, not 0, for a device that is not in the declared table.
        """
        return frames.ledger(self._rows())

    def _rows(self) -> list[log_rows.LogRow]:
        return list(log_rows.read(self._cluster.log(self.id).splitlines()))


class Client:
    """A connection to the cluster whose job server is at `address`, such as http://head:8265.

    The token defaults to the one in the file that RAY_AUTH_TOKEN_PATH names. Raises UserError if the address or the
    token is wrong, and ClusterError if the cluster does not answer, here and in every method.
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

        Submitting a sweep that is running returns its job; submitting it after that job ended starts a new attempt,
        which computes only what is missing. `overrides` to a file or dict are "path=value" or path → value.
        `workload_package` is a folder of modules to send along. `store` is where all machines of the cluster find the
        results.
        """
        if isinstance(sweep, Sweep):
            if overrides or profile is not None:
                raise UserError("overrides and profile apply to a sweep file or dict: pass them to assay.load_sweep")
            loaded = sweep
        else:
            loaded = load_sweep(sweep, profile=profile, sets=_as_sets(overrides))
        package = None if workload_package is None else Path(workload_package)
        submitted = submit(self._cluster, loaded, workload_package=package, store=store)
        return Job(self._cluster, submitted.job, submitted)

    def jobs(self) -> list[About]:
        """Every sweep that was submitted to the cluster, newest first."""
        ours = [_about(job) for job in self._cluster.jobs() if JOB_ID.fullmatch(job.submission_id or "")]
        return sorted(ours, key=lambda job: job.started or datetime.now(UTC), reverse=True)

    def job(self, job_id: str) -> Job:
        """A job by its id, or by a prefix of it that no other job's id has."""
        known = [about.id for about in self.jobs()]
        matching = [job_id] if job_id in known else [name for name in known if name.startswith(job_id)]
        if len(matching) == 1:
            return Job(self._cluster, matching[0])
        if matching:
            raise UserError(
                f"ambiguous job id {job_id} ({len(matching)} matches): {', '.join(matching)}; type more of it"
            )
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
    except (
        TypeError,
        ValueError,
    ):  # ValueError: a container inside itself, and bytes, which fspath returns as they are
        raise UserError(
            f"overrides: {path}: got {value!r}, allowed: a number, a string or a path, True, False, None, and lists "
            "and dicts of these"
        ) from None


def _about(job: JobDetails) -> About:
    metadata = job.metadata or {}
    return About(
        id=job.submission_id or "",
        status=job.status.value,
        sweep=metadata.get("assay.sweep", ""),
        profile=metadata.get("assay.profile", ""),
        user=metadata.get("assay.user", ""),
        version=metadata.get("assay.version", ""),
        store=metadata.get("assay.store", ""),
        started=_time(job.start_time),
        ended=_time(job.end_time),
        message=job.message or "",
        exit_code=job.driver_exit_code,
    )


def _in_words(time: datetime | None) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M} UTC"


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
