"""What cannot go on ends with an error that says why: nothing is tried for ever, and nothing is lost without a word."""

from pathlib import Path

import pytest

import assay
import toy_workload
from assay.errors import UserError
from assay.home import Home
from assay.runner import Outcome
from assay.spec import load_sweep
from machines import Machines, Witness

pytestmark = pytest.mark.cluster

SWEEP = """\
version: 1
name: losses
workload: toy
base: tiny
config: {{train.gates: {gates}, sample.dies: {dies}}}
resources: {{sample: {{actors: [1, 1]}}, reduce: {{cpus: {cpus}}}}}
limits: {{retries: {retries}}}
metric: distance
mode: min
"""


@pytest.fixture
def two_machines(machines: Machines) -> Machines:
    machines.have(2)
    return machines


def run(
    folder: Path, machines: Machines, witness: Witness, dies: bool = False, cpus: int = 1, retries: int = 0
) -> Outcome:
    witness.gates = folder
    for step in witness.deeds:
        (folder / f"shut-{step}").touch()
    file = folder / "losses.yaml"
    file.write_text(SWEEP.format(gates=folder, dies=str(dies).lower(), cpus=cpus, retries=retries))
    sweep = load_sweep(file, find_workload=lambda name: toy_workload.Toy())
    return assay.run(sweep, Home(folder / "home"), address=machines.cluster.address, listeners=[witness])


def test_a_trial_whose_process_is_gone_is_a_failed_trial(two_machines: Machines, tmp_path: Path) -> None:
    outcome = run(tmp_path, two_machines, Witness({12: two_machines.kill_a_trial}))
    (failed,) = outcome.failed
    assert failed.error is not None
    assert failed.error.stage == "train", "what it was computing then"
    assert "the trial's own process failed" in failed.error.cause


def test_a_process_that_dies_at_every_try_fails_its_stage(two_machines: Machines, tmp_path: Path) -> None:
    outcome = run(tmp_path, two_machines, Witness(), dies=True, retries=1)
    (failed,) = outcome.failed
    assert failed.error is not None
    assert failed.error.stage == "sample"
    assert "sample: its process died 2 times at the ids 0 to 5, allowed: limits.retries" in failed.error.cause
    assert {result.stage for result in failed.results.values()} >= {"train"}, "what was done is kept"


def test_what_fits_the_cluster_and_none_of_its_machines_is_refused(two_machines: Machines, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"stage evaluate needs 2 CPU on one machine \(the cluster's machines have room"
    ):
        run(tmp_path, two_machines, Witness(), cpus=2)
