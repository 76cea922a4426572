"""What Ray and MLflow do not promise is used in one place, written for the versions that are installed."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement

import assay.execution.ray.private as private
from repository import ROOT

RAY_INSIDES = re.compile(
    r"\bray(\.\w+)*\._[a-z]\w+|_do_request|ray\.core\.generated|ray\.experimental|ray\.autoscaler\.v2"
)
MLFLOW_INSIDES = re.compile(r"\bmlflow(\.\w+)*\._\w+|\bmlflow\.(server|store|utils)\b")


def test_the_insides_of_ray_are_those_of_the_version_that_is_installed() -> None:
    """After an upgrade: look through both modules named private, then raise the VERSION and the bound."""
    assert version("ray").startswith(f"{private.VERSION}.")
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (ray,) = [need for need in map(Requirement, needs) if need.name == "ray"]
    major, minor = map(int, private.VERSION.split("."))
    assert f"<{major}.{minor + 1}" in str(ray.specifier).split(",")


@pytest.mark.parametrize(
    ("insides", "places"),
    [(RAY_INSIDES, ["assay/execution/ray/private.py", "assay/jobs/private.py"]), (MLFLOW_INSIDES, [])],
)
def test_insides_are_used_in_one_place(insides: re.Pattern[str], places: list[str]) -> None:
    using = [
        file.relative_to(ROOT / folder).as_posix()
        for folder in ("platform", "workloads")
        for file in (ROOT / folder).rglob("*.py")
        if insides.search(file.read_text())
    ]
    assert sorted(using) == places
