"""Where a job reads and writes: the settings of this shell that mean the same on the cluster's machines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from assay.errors import UserError
from assay.execution.ray.session import QUIET
from assay.home import LIVE, SYSTEM, Home
from assay.redaction import hide_secrets
from assay.store.url import refusal, resolve
from assay.sweep import Sweep
from assay.workload import JSON

DEFAULT_HOME = "${HOME}/.assay"
"""Ray expands it to the home folder on the cluster's machines."""
STOP_WAIT_S = 300
"""How long a stopped job may take to save its work. By default, Ray kills it after 3 s."""
TRACKING = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class Locations:
    """Where a job writes, as paths on the cluster's machines."""

    home: str
    store: str | None

    @property
    def results(self) -> str:
        return self.store if self.store is not None else f"{self.home.replace('${HOME}', '~')}/store"


def locations(store: str | None) -> Locations:
    """Use this shell's settings on the cluster, if they can mean the same place there."""
    home = os.environ.get("ASSAY_HOME", "")
    name, setting = ("--store", store) if store is not None else ("ASSAY_STORE", os.environ.get("ASSAY_STORE") or None)
    return Locations(home if _is_absolute(home) else DEFAULT_HOME, None if setting is None else _store(name, setting))


def _store(name: str, setting: str) -> str:
    setting = _without_password(name, setting)
    if not _is_absolute(setting) or (why := refusal(setting)):
        raise UserError(
            f"{name}: got {setting!r}, allowed: an absolute path on the cluster's machines, or a URL, as in "
            f"/shared/assay or s3://bucket/assay{f' ({why})' if _is_absolute(setting) else ''}"
        )
    return resolve(setting)


def environment(where: Locations) -> dict[str, str]:
    """For the job and its workers. The dashboard shows all of it: no token, no password."""
    variables = {**QUIET, "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), "ASSAY_HOME": where.home}
    if where.store is not None:
        variables["ASSAY_STORE"] = where.store
    if os.environ.get(LIVE):
        variables[LIVE] = f"{Home.default().live_interval_s:g}"
    if os.environ.get(SYSTEM):
        variables[SYSTEM] = f"{Home.system_interval_s():g}"
    if (tracking := os.environ.get(TRACKING)) and not _is_of_this_machine(tracking):
        variables[TRACKING] = _without_password(TRACKING, tracking)
    return variables


def remark() -> str | None:
    """A warning about settings that are not passed to the job."""
    tracking = os.environ.get(TRACKING)
    if not tracking or not _is_of_this_machine(tracking):
        return None
    return (
        f"{TRACKING} refers to this machine only, so it is not passed to the job, which tracks to the cluster's "
        "default instead"
    )


def refuse_paths_from_here(sweep: Sweep) -> None:
    """Raises UserError naming relative paths in the sweep: a job runs in a folder of its own, without those files."""
    content = sweep.model_dump(mode="json", include={"config", "arms", "parameters"})
    paths = [f"{where}: {text!r}" for where, text in _texts(content) if _is_path_from_here(text)]
    if paths:
        raise UserError(
            f"{'; '.join(paths)}: relative paths on this machine, allowed: absolute paths on the cluster's machines, "
            "as in /data/model.pt"
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
    """Whether it names an existing relative path. Words without a slash or a dot are not taken for paths."""
    return ("/" in text or "." in text) and not _is_absolute(text) and Path(text).exists()


def _is_absolute(path: str) -> bool:
    return "://" in path or PurePosixPath(path).is_absolute()


def _is_of_this_machine(uri: str) -> bool:
    """Whether a tracking URI means something else, or nothing, on another machine."""
    parts = urlsplit(uri)
    if parts.scheme in ("", "file", "sqlite"):
        return uri != "databricks"  # the one word that is a service, not a folder
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
