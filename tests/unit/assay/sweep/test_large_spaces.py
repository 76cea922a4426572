"""Spaces of more trials than can be listed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from assay.sweep import Sweep

Lines = Callable[..., list[str]]
Load = Callable[..., Sweep]
# HEAD of conftest takes lines 1 to 6: what a test writes begins on line 7.

HUGE = "parameters:\n  sample.steps: {partition: {total: 250, parts: 5}}\n"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (HUGE, "169,362,501"),
        (HUGE + "  train.batch_size: {values: [1, 2, 3], when: {sample.steps: [50, 50, 50, 50, 50]}}\n", "169,362,503"),
        (HUGE.replace("250, parts: 5", "1000000, parts: 3000"), "more than 1,000,000,000,000,000"),
    ],
)
def test_a_huge_grid_is_counted_and_not_listed(lines: Lines, body: str, told: str) -> None:
    began = time.monotonic()
    assert lines(body) == [
        f"x.yaml:8: parameters.sample.steps: got {told} trials in all, allowed: at most 20,000; use a larger step in "
        "the partition, or searcher: {name: random, num_trials: …}"
    ]
    assert time.monotonic() - began < 60, "it takes minutes to list them"


def test_a_huge_axis_is_not_listed_where_its_condition_does_not_hold(lines: Lines) -> None:
    began = time.monotonic()
    assert lines(HUGE.replace("5}}", "5}, when: {sample.eta: 0.5}}")) == [
        "x.yaml:8: parameters.sample.steps.when.sample.eta: got 0.5 (float), which no trial has; allowed: 0.0"
    ]
    assert time.monotonic() - began < 60, "it takes minutes to list them"


@pytest.mark.slow
def test_too_many_trials_of_a_range_without_points_are_told(lines: Lines) -> None:
    found = lines(f"seeds: {list(range(20_001))}\nparameters: {{sample.eta: {{min: 0, max: 1}}}}\n")
    assert found[0].startswith("x.yaml:7: seeds: got 20,001 trials in all, allowed: at most 20,000")


@pytest.mark.slow
def test_large_grids_are_checked_by_a_sample_that_has_the_corners(load: Load, lines: Lines) -> None:
    grid = "parameters:\n  sample.steps: {min: 1, max: 5000, int: true}\n  sample.eta: {min: %s, max: 1, num: 2}\n"
    assert load(grid % "0").num_trials() == 10_000
    assert lines(grid % "-1") == [
        "x.yaml:9: parameters.sample.eta.min: got -1.0 (float), allowed: a number ≥ 0 and ≤ 1"
    ]
