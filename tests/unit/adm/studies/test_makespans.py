"""Runs of the paper's studies on 64 GPUs, simulated, come close to what no order of their stages could beat."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from assay.cli.commands.simulate import On, simulated
from assay.costs.availability import survey
from assay.costs.machines import parse_fleet
from assay.planning import make_plan
from assay.store import Store
from assay.sweep import load_sweep
from repository import ROOT

pytestmark = pytest.mark.slow

GOAL = 1.15


@pytest.mark.parametrize(
    "study",
    ["appendix_k_guidance", "figure5_architecture", "table10_compute", "table15_racing", "table16_lsun_schedules"],
)
def test_a_study_ends_within_15_percent_of_the_lower_bound(study: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = make_plan(load_sweep(ROOT / "sweeps" / f"{study}.yaml"))
    statuses = survey(plan, Store(tmp_path))
    simulation = simulated(plan, statuses, On(parse_fleet("8x(8xV100-32GB,512CPU)"), 0))
    assert 0 < simulation.bound_s <= simulation.seconds <= GOAL * simulation.bound_s
