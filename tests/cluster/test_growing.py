"""A sweep that needs more than the cluster has, on one that starts machines when it is asked to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import assay
import toy_workload
from assay.errors import UserError
from assay.home import Home
from assay.jobs.cluster import Cluster
from assay.jobs.submission import submit
from assay.sweep import Sweep, load_sweep
from growing_cluster import ENVIRONMENT, GrowingCluster
from machines import Witness
from repository import FIXTURES

pytestmark = pytest.mark.cluster

SWEEP = """\
version: 1
name: growing
workload: toy
base: tiny
resources: {{train: {{workers: {workers}}}}}
metric: loss
mode: min
"""


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrowingCluster]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "PYTHONPATH": str(FIXTURES)}.items():
            patch.setenv(name, value)
        cluster = GrowingCluster(tmp_path_factory.mktemp("growing"), most=1, cpus=2)
        yield cluster
        cluster.shutdown()


def sweep(folder: Path, workers: int) -> Sweep:
    file = folder / "sweep.yaml"
    file.write_text(SWEEP.format(workers=workers))
    return load_sweep(file, find_workload=lambda name: toy_workload.training)


def test_a_job_needs_a_store_that_machines_yet_to_come_will_reach(
    growing: GrowingCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ASSAY_HOME", "ASSAY_STORE"):
        monkeypatch.delenv(name, raising=False)
    growing.wait_for_its_autoscaler()
    with pytest.raises(UserError, match="the cluster starts machines when they are needed: name a store"):
        submit(Cluster(growing.dashboard), sweep(tmp_path, workers=1))


def test_a_training_that_the_head_cannot_hold_starts_a_machine_and_asks_for_none_once_it_runs(
    growing: GrowingCluster, tmp_path: Path
) -> None:
    witness = Witness()
    outcome = assay.run(sweep(tmp_path, workers=2), Home(tmp_path), address=growing.address, listeners=[witness])
    assert not outcome.failed
    assert witness.said == ["stage train needs 2 CPU (the cluster has 1); it waits for more machines"]
    assert ("workers", 2) in witness.notes
    assert growing.asked() == [], "it was asked, and is asked no more"


def test_what_it_can_never_hold_is_refused_before_anything_starts(growing: GrowingCluster, tmp_path: Path) -> None:
    growing.tell_its_limits(most=4, cpus=2)
    with pytest.raises(UserError, match=r"stage train needs 9 CPU \(the cluster grows to 8\)"):
        assay.run(sweep(tmp_path, workers=9), Home(tmp_path), address=growing.address)
