"""What the driver of a run writes down about itself."""

from __future__ import annotations

import platform
import shlex
import socket
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from assay.home import Home, user_name
from assay.provenance.repository import repositories
from assay.provenance.source import code_of, module_hashes, module_spec, packages_of
from assay.redaction import hide_secrets
from assay.store.schema import CommandEntry
from assay.workload import JSON, Stage

PACKAGES = ("assay", "torch", "ray", "deepspeed", "mlflow", "numpy", "scipy", "pyarrow")
"""Distributions whose versions are written down, where they are installed."""
SUBMITTED = "submitted.json"
"""The file in a job's folder with what `submission` says of the machine that it was submitted from."""


def origin(stages: Collection[Stage]) -> dict[str, JSON]:
    """Everything that a run knows of where its results come from, as far as stages do not differ in it."""
    packages = packages_of(stages)
    return {
        **_command(packages),
        "python": python_version(),
        "platform": platform.platform(),
        "versions": dict(_versions()),
        "modules": module_hashes((path for stage in stages for path in code_of(stage)), packages),
        "submitted": _submitted(),
    }


def submission(packages: Collection[str]) -> dict[str, JSON]:
    """What only the machine knows that a job is submitted from. `packages`: the top-level ones of its workloads."""
    return _command(packages)


def python_version() -> str:
    """Hashes of modules compare only within the same one: "3.11"."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _command(packages: Collection[str]) -> dict[str, JSON]:
    return {
        "command": " ".join(shlex.quote(hide_secrets(word)) for word in [Path(sys.argv[0]).name, *sys.argv[1:]]),
        "user": user_name(),
        "host": socket.gethostname(),
        "repositories": repositories([Path.cwd(), *_folders(packages)]),
    }


def _folders(packages: Collection[str]) -> Iterator[Path]:
    """Where packages lie, unless they are installed like any other: then the version is what counts."""
    for name in sorted(packages):
        spec = module_spec(name)
        if spec is not None and spec.origin is not None and "site-packages" not in Path(spec.origin).parts:
            yield Path(spec.origin).parent


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


def _submitted() -> JSON:
    """What the submitting machine said, if this is a job."""
    if Home.default().job is None:
        return None
    try:
        text = Path(SUBMITTED).read_text(encoding="utf-8")
        return CommandEntry.model_validate_json(text).model_dump(mode="json")
    except (OSError, ValueError):  # submitted by a version that did not say it
        return None
