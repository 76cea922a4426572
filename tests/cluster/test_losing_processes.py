"""What cannot go on ends with an error that says why: nothing is tried for ever, and nothing is lost without a word."""

from pathlib import Path

import pytest

import assay
import toy_workload
from assay.errors import ClusterLost, UserError
from assay.execution import Outcome
from assay.home import Home
from assay.sweep import load_sweep
from assay.text import one_line
from machines import Machines, Witness

pytestmark = pytest.mark.cluster

SWEEP = """\
version: 1
name: losses
workload: toy
base: tiny
config: {{train.gates: {gates}}}
arms: {arms}
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
    folder: Path,
    machines: Machines,
    witness: Witness,
    arms: str = "{}",
    cpus: int = 1,
    retries: int = 0,
) -> Outcome:
    witness.gates = folder
    for step in witness.deeds:
        (folder / f"shut-{step}").touch()
    file = folder / "losses.yaml"
    file.write_text(SWEEP.format(gates=folder, arms=arms, cpus=cpus, retries=retries))
    sweep = load_sweep(file, find_workload=lambda name: toy_workload.Toy())
    return assay.run(sweep, Home(folder / "home"), address=machines.address(), listeners=[witness])


def test_a_trial_whose_process_is_gone_is_a_failed_trial(two_machines: Machines, tmp_path: Path) -> None:
    outcome = run(tmp_path, two_machines, Witness({12: two_machines.kill_a_trial}))
    (failed,) = outcome.failed
    assert failed.error is not None
    assert failed.error.stage == "train", "what it was computing then"
    assert "the trial's own process failed" in failed.error.cause


def test_a_dead_trial_and_a_dead_controller_are_tried_again_like_workers(
    two_machines: Machines, tmp_path: Path
) -> None:
    helpers: list[int] = []

    def kill_a_controller() -> bool:
        helpers.extend(two_machines.on_the_head(b"DatasetManager") + two_machines.on_the_head(b"PlacementGroupCleaner"))
        return two_machines.kill_a_controller()

    witness = Witness({7: kill_a_controller, 12: two_machines.kill_a_trial})
    outcome = run(tmp_path, two_machines, witness, retries=1)
    assert not outcome.failed
    assert helpers == [], "a training starts without these, and what its controller held comes free all the same"
    controller, trial = witness.said
    assert controller.startswith("train (tiny): a worker failed; retry 1 of 1, from the last checkpoint: its process")
    assert trial.startswith("tiny: the trial's own process failed; retry 1 of 1, from what is stored: its process was")
    training = outcome.plan.trials[0].leaf.inputs["samples"].inputs["model"].key
    assert witness.started.count(training) == 2
    assert training in outcome.computed, "this run's, though its workers may have stored it while its trial was dead"


def test_the_one_process_that_cannot_be_replaced_ends_the_run_in_words(two_machines: Machines, tmp_path: Path) -> None:
    witness = Witness({12: two_machines.kill_the_broker})
    with pytest.raises(ClusterLost, match=r"the process that directs the trials is gone .*rerun the same"):
        run(tmp_path, two_machines, witness)
    assert witness.outcome is not None, "listeners hear how far it came: the report is written"
    assert witness.outcome.paused is not None


@pytest.fixture(scope="module")
def failing(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Witness]:
    """One trial whose sampler raises the same at every try, and one whose sampler dies."""
    machines.have(2)
    witness, arms = Witness(), "{raises: {sample.fail: true}, dies: {sample.dies: true}}"
    return run(tmp_path_factory.mktemp("failing"), machines, witness, arms=arms, retries=2), witness


def test_an_exception_is_tried_again_and_the_same_at_the_same_place_is_not(failing: tuple[Outcome, Witness]) -> None:
    outcome, witness = failing
    (failed,) = [trial for trial in outcome.failed if trial.planned.name == "raises"]
    assert failed.error is not None
    assert failed.error.stage == "sample"
    assert one_line(failed.error.cause) == "ValueError: cannot draw: no ink"
    assert "RayTaskError" not in failed.error.cause, "its own traceback, in none of Ray's wrapping"
    retry = "sample (raises): it failed; retry 1 of 2, from what is stored: ValueError: cannot draw: no ink"
    assert [said for said in witness.said if "(raises)" in said] == [retry], "another one would end alike"


def test_a_process_that_dies_at_every_try_fails_its_stage(failing: tuple[Outcome, Witness]) -> None:
    outcome, witness = failing
    (failed,) = [trial for trial in outcome.failed if trial.planned.name == "dies"]
    assert failed.error is not None
    assert failed.error.stage == "sample"
    assert "sample: its process died 3 times at the ids 0 to 5, allowed: limits.retries" in failed.error.cause
    assert "lower its batch_size" in failed.error.cause
    retries = [said for said in witness.said if "(dies)" in said]
    assert len(retries) == 2
    assert len(witness.said) == 3, "and nothing of anything else"
    for number, said in enumerate(retries, 1):
        why = f"sample (dies): its process ended at the ids 0 to 5; retry {number} of 2: its process was killed"
        assert said.startswith(why)
    assert {result.stage for result in failed.results.values()} >= {"train"}, "what was done is kept"


def test_what_fits_the_cluster_and_none_of_its_machines_is_refused(two_machines: Machines, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"stage evaluate needs 2 CPU on one machine \(the cluster's machines have room"
    ):
        run(tmp_path, two_machines, Witness(), cpus=2)
