"""adm trained by each engine, in fp32 and in bf16, whose workers are killed and whose machines are taken away."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import assay
import small_training
from assay.home import Home
from assay.planning import make_plan
from assay.store import Store, StoredResult
from assay.sweep import load_sweep
from gated_training import GatedAdm
from machines import Deed, Machines, Witness
from small_training import ARMS, BOTH, OTHERS

pytestmark = pytest.mark.cluster

EVERY = 5
SAVED = 3 * EVERY
"""The last step whose checkpoint two workers save in a training that goes on with one."""
KILLED: Mapping[str, Any] = {"train.iterations": 2 * EVERY + 2, "train.checkpoint_every": EVERY}
REDUCED: Mapping[str, Any] = {
    "train.iterations": SAVED + 3,
    "train.checkpoint_every": EVERY,
    "train.keep_every": SAVED,
    "model.dropout": 0.0,
}
"""Dropout is drawn where it is used: without it, another number of workers computes the same but for rounding."""
ROUNDING = {"fp32": 1e-5, "bf16": 1e-3}
"""Relative, of a loss, when another number of workers shares the same global batches (measured: 1e-7, 4e-5)."""


@dataclass(frozen=True)
class Disturbed:
    """A training that something befell."""

    arm: str
    config: Mapping[str, Any]
    store: Store
    said: list[str]
    whole: Store
    """Has the same training, which nothing befell."""

    def results(self) -> tuple[StoredResult, StoredResult]:
        """Its own, and the undisturbed one."""
        found, whole = (small_training.result(of, self.arm, **self.config) for of in (self.store, self.whole))
        return found, whole

    def assert_each_failure_is_retried_once(self, failures: int) -> None:
        """Each after progress, which starts the count again; and every step is logged once."""
        assert sum(f"({self.arm}): a worker failed; retry 1 of 3" in line for line in self.said) == failures
        assert not any(f"({self.arm}): a worker failed; retry 2" in line for line in self.said)
        steps = [point["step"] for point in self.results()[0].history]
        assert steps == sorted(set(steps)), "no step is logged twice"
        assert steps[-1] == self.config["train.iterations"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    others, both = small_training.trainable(OTHERS), small_training.trainable(BOTH)
    return small_training.undisturbed(tmp_path_factory.mktemp("whole"), (others, KILLED), (both, REDUCED))


def train(
    folder: Path,
    machines: Machines,
    whole: Store,
    arm: str,
    workers: int | list[int],
    deeds: Mapping[int, Deed],
    **config: Any,
) -> Disturbed:
    """One training with all of its deeds, each of which costs a start of its workers."""
    small_training.skip_untrainable(arm)
    file, home, gates = folder / "losses.yaml", Home(folder / "home"), folder / "gates"
    file.write_text(json.dumps(small_training.sweep("losses", workers, arm, **config)))
    sweep = load_sweep(file, find_workload=lambda name: GatedAdm(gates))
    (key,) = make_plan(sweep).stages
    assert key == small_training.key(arm, **config)
    witness = Witness(deeds)
    witness.gates = gates / key
    witness.gates.mkdir(parents=True)
    for step in deeds:
        (witness.gates / f"shut-{step}").touch()
    outcome = assay.run(sweep, home, address=machines.address(), listeners=[witness])
    assert not outcome.failed, outcome.failed[0].error
    assert len(witness.struck) == len(deeds), "everything that was to happen did"
    return Disturbed(arm, config, Store(home.store_url), witness.said, whole)


@pytest.mark.parametrize("arm", OTHERS)
def test_a_killed_worker_changes_nothing(tmp_path: Path, machines: Machines, undisturbed: Store, arm: str) -> None:
    """Each engine in each precision: the others' workers are killed with their machine, below."""
    machines.have(2)
    disturbed = train(tmp_path, machines, undisturbed, arm, 2, {EVERY + 2: machines.kill_a_worker}, **KILLED)
    found, whole = disturbed.results()
    small_training.assert_the_same(found, whole)
    assert found.cost.count == 2
    disturbed.assert_each_failure_is_retried_once(1)


@pytest.fixture(scope="module", params=BOTH)
def reduced(
    request: pytest.FixtureRequest, machines: Machines, undisturbed: Store, tmp_path_factory: pytest.TempPathFactory
) -> Disturbed:
    """Two workers lose a machine after notice, and one without; both are replaced. The next one is not."""

    def lose() -> bool:
        machines.have(3)  # the other is there before: else it would go on with one worker
        return machines.kill_a_machine()

    machines.have(3)
    notice = machines.announce_the_end_of_a_machine
    deeds = {EVERY + 2: notice, 2 * EVERY + 2: lose, SAVED + 2: machines.kill_a_machine}
    folder = tmp_path_factory.mktemp("reduced")
    return train(folder, machines, undisturbed, request.param, [1, 2], deeds, **REDUCED)


def test_a_machine_taken_away_after_notice_and_one_lost_without_change_nothing(reduced: Disturbed) -> None:
    found, whole = reduced.results()
    assert found.history[:SAVED] == whole.history[:SAVED]
    after, before = (
        small_training.checkpoint(store, reduced.arm, SAVED, **REDUCED) for store in (reduced.store, reduced.whole)
    )
    small_training.assert_same_tensors(after, before)
    left = f"its machine is being taken away; saved at step {EVERY + 3}, resuming elsewhere"
    assert reduced.said.count(f"train_upsampler ({reduced.arm}): {left}") == 1
    reduced.assert_each_failure_is_retried_once(2)


def test_with_fewer_machines_it_goes_on_with_fewer_workers(reduced: Disturbed) -> None:
    """The same to the bit with two, then but for rounding with one."""
    found, whole = reduced.results()
    assert (whole.cost.count, found.cost.count) == (2, 1)
    losses = ([point["loss"] for point in result.history] for result in (found, whole))
    assert next(losses) == pytest.approx(next(losses), rel=ROUNDING[ARMS[reduced.arm]["train.precision"]])
    continued = [line for line in reduced.said if "continues with" in line]
    assert continued == [f"train_upsampler ({reduced.arm}): continues with 1 of at most 2 workers"], "until then with 2"
