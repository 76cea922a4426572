"""adm trained by each engine, in fp32 and in bf16, whose workers are killed and whose machines are taken away."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from small_training import ARMS, BOTH, OTHERS, Arms

pytestmark = pytest.mark.cluster

EVERY = 5
CONFIG: Mapping[str, Any] = {"train.iterations": 16, "train.checkpoint_every": EVERY}
ALIKE: Mapping[str, Any] = {**CONFIG, "model.dropout": 0.0}
"""Dropout is drawn where it is used: without it, another number of workers computes the same but for rounding."""
ROUNDING = {"fp32": 1e-5, "bf16": 1e-3}
"""Relative, of a loss, when another number of workers shares the same global batches (measured: 1e-7, 4e-5)."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    every, both = small_training.trainable(ARMS), small_training.trainable(BOTH)
    return small_training.undisturbed(tmp_path_factory.mktemp("whole"), (every, CONFIG), (both, ALIKE))


class OfEachTraining(Witness):
    """Each training of the sweep has gates of its own, and deeds by its key."""

    def __init__(self, gates: Path, deeds: Mapping[str, Mapping[int, Deed]]) -> None:
        super().__init__()
        self.gates, self.deeds_of = gates, deeds
        for key, steps in deeds.items():
            (gates / key).mkdir(parents=True)
            for step in steps:
                (gates / key / f"shut-{step}").touch()

    def gate(self, event: Event) -> Path:
        return self.gates / event.key / f"shut-{event.done}"

    def deed(self, event: Event) -> Deed | None:
        return self.deeds_of.get(event.key, {}).get(event.done)


def train(
    folder: Path,
    machines: Machines,
    deeds: Mapping[str, Mapping[int, Deed]],
    config: Mapping[str, Any],
    workers: int | list[int],
) -> tuple[Store, list[str]]:
    """Every arm, one after the other, each with all of its deeds. Its store, and what was said."""
    file, home, gates = folder / "losses.yaml", Home(folder / "home"), folder / "gates"
    arms = {arm: ARMS[arm] for arm in deeds}
    file.write_text(json.dumps(small_training.sweep("losses", workers, arms, **config)))
    sweep = load_sweep(file, find_workload=lambda name: GatedAdm(gates))
    keys = {arm: small_training.key(arm, **config) for arm in arms}
    assert make_plan(sweep).stages.keys() == set(keys.values())
    witness = OfEachTraining(gates, {keys[arm]: steps for arm, steps in deeds.items()})
    outcome = assay.run(sweep, home, address=machines.address(), listeners=[witness])
    assert not outcome.failed, outcome.failed[0].error
    assert len(witness.struck) == sum(map(len, deeds.values())), "everything that was to happen did"
    return Store(home.store_url), witness.said


@pytest.fixture(scope="module")
def disturbed(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[str]]:
    """One sweep of all arms. Both engines lose machines, and in the other precision a worker."""

    def announce() -> bool:
        machines.have(3)
        return machines.announce_the_end_of_a_machine()

    def lose() -> bool:
        machines.kill_a_machine()
        machines.have(2)
        return True

    machines.have(2)
    losses = {EVERY + 2: announce, 2 * EVERY + 2: lose}
    killed = {EVERY + 2: machines.kill_a_worker}
    deeds = {arm: losses if arm in BOTH else killed for arm in small_training.trainable(ARMS)}
    return train(tmp_path_factory.mktemp("disturbed"), machines, deeds, CONFIG, 2)


def assert_undisturbed(arms: Arms, disturbed: tuple[Store, list[str]], undisturbed: Store) -> None:
    store, said = disturbed
    for arm in small_training.trainable(arms):
        found = small_training.result(store, arm, **CONFIG)
        small_training.assert_the_same(found, small_training.result(undisturbed, arm, **CONFIG))
        assert found.cost.count == 2
        steps = [point["step"] for point in found.history]
        assert steps == sorted(set(steps)), "no step is logged twice"
        assert steps[-1] == CONFIG["train.iterations"]
        assert sum(f"({arm}): a worker failed; retry 1 of 3" in line for line in said) == 1
        assert not any(f"({arm}): a worker failed; retry 2" in line for line in said)


def test_a_killed_worker_changes_nothing(disturbed: tuple[Store, list[str]], undisturbed: Store) -> None:
    """Each engine in each precision: the others' workers are killed with their machine, below."""
    assert_undisturbed(OTHERS, disturbed, undisturbed)
    small_training.skip_the_rest(OTHERS)


def test_a_machine_taken_away_after_notice_and_one_lost_without_change_nothing(
    disturbed: tuple[Store, list[str]], undisturbed: Store
) -> None:
    assert_undisturbed(BOTH, disturbed, undisturbed)
    for arm in small_training.trainable(BOTH):
        left = (
            f"train_upsampler ({arm}): its machine is being taken away; saved at step {EVERY + 3}, resuming elsewhere"
        )
        assert disturbed[1].count(left) == 1
    small_training.skip_the_rest(BOTH)


def test_with_fewer_machines_it_goes_on_with_fewer_workers(
    tmp_path: Path, machines: Machines, undisturbed: Store
) -> None:
    """Two of the up to three workers there is room for, then one: the same to the bit, then but for rounding."""

    def recover() -> bool:
        machines.have(2)  # for the next training
        return True

    machines.have(2)
    arms = small_training.trainable(BOTH)
    deeds = {arm: {EVERY + 2: machines.kill_a_machine, 2 * EVERY + 2: recover} for arm in arms}
    store, _ = train(tmp_path, machines, deeds, ALIKE, [1, 3])
    for arm in arms:
        found, whole = (small_training.result(of, arm, **ALIKE) for of in (store, undisturbed))
        assert (whole.cost.count, found.cost.count) == (2, 1)
        assert found.history[:EVERY] == whole.history[:EVERY]
        bound = ROUNDING[ARMS[arm]["train.precision"]]
        losses = ([point["loss"] for point in result.history] for result in (found, whole))
        assert next(losses) == pytest.approx(next(losses), rel=bound)
    small_training.skip_the_rest(BOTH)
