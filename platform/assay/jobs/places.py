"""Where a job finds things and keeps them: what this shell says of places that all machines know, and no more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from assay.errors import UserError
from assay.execution.ray.session import QUIET
from assay.store.url import refusal, resolve
from assay.sweep import Sweep
from assay.text import hide_secrets
from assay.workload import JSON

DEFAULT_HOME = "${HOME}/.assay"
"""Ray fills in the home folder of the cluster's machines."""
STOP_WAIT_S = 300
"""How long a stopped job may take to save what it has. Ray's own 3 s would kill it before."""
TRACKING = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class Place:
    """Where a job keeps what it makes, as the cluster's machines see it."""

    home: str
    store: str | None

    @property
    def told(self) -> str:
        return self.store if self.store is not None else f"{self.home.replace('${HOME}', '~')}/store"


def place(store: str | None) -> Place:
    """What this shell says of its own store is for the cluster too, where it can mean the same place there."""
    home = os.environ.get("ASSAY_HOME", "")
    name, wanted = ("--store", store) if store is not None else ("ASSAY_STORE", os.environ.get("ASSAY_STORE") or None)
    return Place(home if _is_whole(home) else DEFAULT_HOME, None if wanted is None else _store(name, wanted))


def _store(name: str, wanted: str) -> str:
    wanted = _without_password(name, wanted)
    if not _is_whole(wanted) or (why := refusal(wanted)):
        raise UserError(
            f"{name}: got {wanted!r}, allowed: a whole path on the cluster's machines, or a URL, as in "
            f"/shared/assay or s3://bucket/assay{f' ({why})' if _is_whole(wanted) else ''}"
        )
    return resolve(wanted)


def environment(where: Place) -> dict[str, str]:
    """For the job and its workers. Whatever is in here, the dashboard shows: no token, no password."""
    told = {**QUIET, "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), "ASSAY_HOME": where.home}
    if where.store is not None:
        told["ASSAY_STORE"] = where.store
    if (tracking := os.environ.get(TRACKING)) and not _is_of_this_machine(tracking):
        told[TRACKING] = _without_password(TRACKING, tracking)
    return told


def remark() -> str | None:
    """What the user should know of what the job is not told."""
    tracking = os.environ.get(TRACKING)
    if not tracking or not _is_of_this_machine(tracking):
        return None
    return (
        f"{TRACKING} names a place of this machine alone, so the job was not told of it: it tracks where "
        "its cluster does"
    )


def refuse_paths_from_here(sweep: Sweep) -> None:
    """Raises UserError that names them. A job starts in a folder of its own: what is found from here is not there."""
    content = sweep.model_dump(mode="json", include={"config", "arms", "parameters"})
    found = [f"{where}: {text!r}" for where, text in _texts(content) if _is_path_from_here(text)]
    if found:
        raise UserError(
            f"{'; '.join(found)}: paths from the folder where you are, allowed: whole paths, as the cluster's machines "
            "see them: /data/model.pt"
        )


def _texts(value: JSON, where: str = "") -> Iterator[tuple[str, str]]:
    """Every string, with its dotted path."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{where}.{name}" if where else name)
    elif isinstance(value, Sequence):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{where}.{number}")


def _is_path_from_here(text: str) -> bool:
    """A word without a slash or a dot may be anything; one with either that is there is a path."""
    return ("/" in text or "." in text) and not _is_whole(text) and Path(text).exists()


def _is_whole(path: str) -> bool:
    return "://" in path or PurePosixPath(path).is_absolute()


def _is_of_this_machine(uri: str) -> bool:
    """Whether a tracking URI means something else on another machine, or nothing."""
    parts = urlsplit(uri)
    if parts.scheme in ("", "file", "sqlite"):
        return uri != "databricks"  # the one word that names a service, and no folder
    host = parts.hostname or ""
    return host == "localhost" or host.endswith(".localhost") or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:  # a name
        return False
    return address.is_loopback or address.is_unspecified


def _without_password(name: str, url: str) -> str:
    if hide_secrets(url) != url:
        raise UserError(
            f"{name}: got a URL with credentials in it, which every user of the cluster could read in the job; "
            "allowed: a URL without them. Set them on the cluster's machines (MLFLOW_TRACKING_USERNAME, AWS_…)"
        )
    return url
