"""adm trained by each engine, in fp32 and in bf16, on machines that are taken away with and without notice."""

import json
from pathlib import Path

import pytest

import assay
import small_training
from assay.execution import Event
from assay.home import Home
from assay.planning import make_plan
from assay.store import Store
from assay.sweep import load_sweep
from gated_training import GatedAdm
from machines import Deed, Machines, Witness
from small_training import ARMS, BOTH, Arms

pytestmark = pytest.mark.cluster

EVERY = 5
CONFIG = {"train.iterations": 16, "train.checkpoint_every": EVERY, "model.dropout": 0.0}
"""Dropout is drawn where it is used: without it, another number of workers computes the same but for rounding."""
ROUNDING = {"fp32": 1e-5, "bf16": 1e-3}
"""Relative, of a loss, when another number of workers shares the same global batches (measured: 1e-7, 4e-5)."""


@pytest.fixture(scope="module")
def arms() -> Arms:
    return small_training.trainable(BOTH)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, arms: Arms) -> Store:
    return small_training.undisturbed(tmp_path_factory.mktemp("whole"), arms, **CONFIG)


class OfEachTraining(Witness):
    """Each training of the sweep has its own gates."""

    def gate(self, event: Event) -> Path:
        return self.gates / event.key / f"shut-{event.done}"


def train(
    folder: Path, machines: Machines, arms: Arms, deeds: dict[int, Deed], workers: int | list[int]
) -> tuple[Store, list[str]]:
    """Every arm, one after the other, each with all the deeds. Its store, and what was said."""
    file, home, witness = folder / "losses.yaml", Home(folder / "home"), OfEachTraining(deeds)
    witness.gates = folder / "gates"
    file.write_text(json.dumps(small_training.sweep("losses", workers, arms, **CONFIG)))
    sweep = load_sweep(file, find_workload=lambda name: GatedAdm(witness.gates))
    for key in make_plan(sweep).stages:
        (witness.gates / key).mkdir(parents=True)
        for step in deeds:
            (witness.gates / key / f"shut-{step}").touch()
    outcome = assay.run(sweep, home, address=machines.address(), listeners=[witness])
    assert not outcome.failed, outcome.failed[0].error
    assert len(witness.struck) == len(arms) * len(deeds), "everything that was to happen did"
    return Store(home.store_url), witness.said


def test_a_machine_taken_away_after_notice_and_one_lost_without_change_nothing(
    tmp_path: Path, machines: Machines, arms: Arms, undisturbed: Store
) -> None:
    def announce() -> bool:
        machines.have(3)
        return machines.announce_the_end_of_a_machine()

    def lose() -> bool:
        machines.kill_a_machine()
        machines.have(2)
        return True

    machines.have(2)
    store, said = train(tmp_path, machines, arms, {EVERY + 2: announce, 2 * EVERY + 2: lose}, 2)
    for arm in arms:
        found = small_training.result(store, arm, **CONFIG)
        small_training.assert_the_same(found, small_training.result(undisturbed, arm, **CONFIG))
        assert found.cost.count == 2
    for arm in arms:
        left = (
            f"train_upsampler ({arm}): its machine is being taken away; saved at step {EVERY + 3}, resuming elsewhere"
        )
        assert said.count(left) == 1
    small_training.skip_the_rest(BOTH)


def test_with_fewer_machines_it_goes_on_with_fewer_workers(
    tmp_path: Path, machines: Machines, arms: Arms, undisturbed: Store
) -> None:
    """Two of the up to three workers there is room for, then one: the same to the bit, then but for rounding."""

    def recover() -> bool:
        machines.have(2)  # for the next training
        return True

    machines.have(2)
    store, _ = train(tmp_path, machines, arms, {EVERY + 2: machines.kill_a_machine, 2 * EVERY + 2: recover}, [1, 3])
    for arm in arms:
        found, whole = (small_training.result(of, arm, **CONFIG) for of in (store, undisturbed))
        assert (whole.cost.count, found.cost.count) == (2, 1)
        assert found.history[:EVERY] == whole.history[:EVERY]
        bound = ROUNDING[ARMS[arm]["train.precision"]]
        losses = ([point["loss"] for point in result.history] for result in (found, whole))
        assert next(losses) == pytest.approx(next(losses), rel=bound)
    small_training.skip_the_rest(BOTH)
