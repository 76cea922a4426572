"""The platform has no words of images or of diffusion: a workload's hints have them."""

from __future__ import annotations

import re

import pytest

from repository import ROOT

PLATFORM = ROOT / "platform" / "assay"
WORDS = r"images?|imgs?|imagenet|fid|diffusion|guidance|inception|extractors?|num_samples|v100s?|table \d+"
OF_A_WORKLOAD = re.compile(rf"(?<![a-z])({WORDS})(?![a-z])", re.IGNORECASE)
ELSEWHERE = {
    "report/html/": {"img", "image"},  # HTML's element, CSS's properties, PIL's class
    "report/pictures/": {"image"},  # matplotlib's module
    "report/omissions.py": {"image"},  # PIL's class
    "tracking/": {"image", "images"},  # MLflow's: log_image, charts of the type IMAGE, a run's folder of them
    "costs/devices.py": {"v100"},  # one of the devices in the table
    "costs/machines.py": {"v100"},  # the same, in machines
    "store/schema.py": {"images"},  # what records of older stores have in the place of items
}
"""Folder or file → what it may say, and why."""


def said(text: str) -> set[str]:
    return {word.lower() for word in OF_A_WORKLOAD.findall(text)}


def test_the_platform_speaks_of_no_workload() -> None:
    files = sorted(PLATFORM.rglob("*.py"))
    assert len(files) > 150
    found = {}
    for file in files:
        name = file.relative_to(PLATFORM).as_posix()
        allowed = set().union(*(words for place, words in ELSEWHERE.items() if name.startswith(place)))
        if words := said(file.read_text(encoding="utf-8")) - allowed:
            found[name] = words
    assert found == {}


@pytest.mark.parametrize("place", ELSEWHERE)
def test_no_exception_outlives_its_reason(place: str) -> None:
    path = PLATFORM / place
    text = "".join(file.read_text(encoding="utf-8") for file in (path.rglob("*.py") if path.is_dir() else [path]))
    assert said(text) >= ELSEWHERE[place]


@pytest.mark.parametrize("line", ["images_per_second: float", "limits.v100_days", "# as table 7 has it", 'unit="img"'])
def test_it_would_be_found(line: str) -> None:
    assert said(line)
