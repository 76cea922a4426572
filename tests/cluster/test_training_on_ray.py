"""adm trained by two workers of Ray Train: killed in the middle, it ends in the weights of an undisturbed training."""

import json
import os
import signal
from pathlib import Path

import pytest

import small_training
from assay.store import Store
from small_training import ARMS
from terminal import LONGEST_S, User

pytestmark = pytest.mark.cluster

LONG = {"train.iterations": 120, "train.checkpoint_every": 20}
"""Enough for a checkpoint to be seen before the end."""


def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    """Each engine in each precision."""
    arms = small_training.trainable(ARMS)
    user = User(tmp_path / "user", json.dumps(small_training.sweep("engines", 2, arms, **LONG)))
    process = user.start("run", "sweep.yaml", "--plain", "--no-tracking")
    struck: set[Path] = set()

    def strike() -> bool:
        """Kill a worker of each training that has saved a checkpoint, once. Whether all have had their turn."""
        trainings = {checkpoint.parent for checkpoint in user.checkpoints()} - struck
        if trainings and (workers := user.training_workers()):
            os.kill(workers[-1], signal.SIGKILL)
            struck.update(trainings)
        return len(struck) == len(arms)

    user.until(process, strike)
    output, errors = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, output + errors
    assert output.count("a worker failed; retry 1 of 3") == len(arms)

    undisturbed = small_training.undisturbed(tmp_path, arms, **LONG)
    for arm in arms:
        killed, whole = (small_training.result(store, arm, **LONG) for store in (Store(user.store), undisturbed))
        small_training.assert_the_same(killed, whole)
        steps = [point["step"] for point in killed.history]
        assert steps == sorted(set(steps)), "no step is logged twice"
        assert steps[-1] == LONG["train.iterations"]
    small_training.skip_the_rest(ARMS)
