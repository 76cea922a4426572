"""adm trained by two workers of Ray Train: killed in the middle, it ends in the weights of an undisturbed training."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

import training_group
from adm.training.engines.deepspeed_engine import why_not
from assay.store import Store, StoredResult
from terminal import LONGEST_S, User

pytestmark = pytest.mark.cluster

BASE = "upsample_64_256"
"""Its training is all there is to do."""
CONFIG: dict[str, Any] = {
    "data.source": "digits",
    "model.image_size": 8,
    "model.low_res_size": 4,
    "model.in_channels": 1,
    "model.out_channels": 2,
    "model.channels": 32,
    "model.num_res_blocks": 1,
    "model.channel_mult": [1, 2],
    "model.num_heads": 1,
    "model.num_classes": 10,
    "model.dropout": 0.1,
    "train.iterations": 120,
    "train.batch_size": 8,
    "train.checkpoint_every": 20,
}
ARMS = {
    "PyTorch": {"train.engine": "torch", "train.precision": "fp32"},
    "DeepSpeed": {"train.engine": "deepspeed", "train.precision": "bf16", "train.zero_stage": 1},
}
SWEEP = {
    "version": 1,
    "name": "engines",
    "workload": "adm",
    "base": BASE,
    "config": CONFIG,
    "arms": ARMS,
    "resources": {"train": {"workers": 2, "cpus_per_worker": 1}},
    "metric": "loss",
    "mode": "min",
}


def result(store: Path, arm: str) -> StoredResult:
    found = Store(store).get(training_group.stage_of(job(store, arm)).key)
    assert found is not None
    return found


def job(store: Path, arm: str) -> training_group.Job:
    return {"base": BASE, "stage": "train", "store": str(store), "overrides": {**CONFIG, **ARMS[arm]}}


def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    if (reason := why_not("cpu")) is not None:
        pytest.skip(f"needs DeepSpeed's operators, which cannot be built here: {reason}")
    user = User(tmp_path / "user", json.dumps(SWEEP))
    process = user.start("run", "sweep.yaml", "--plain", "--no-tracking")
    struck: set[Path] = set()

    def strike() -> bool:
        """Kill a worker of each training that has saved a checkpoint, once. Whether all have had their turn."""
        trainings = {checkpoint.parent for checkpoint in user.checkpoints()} - struck
        if trainings and (workers := user.training_workers()):
            os.kill(workers[-1], signal.SIGKILL)
            struck.update(trainings)
        return len(struck) == len(ARMS)

    user.until(process, strike)
    output, errors = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, output + errors
    assert output.count("a worker failed; retry 1 of 3") == len(ARMS)

    undisturbed = tmp_path / "undisturbed"
    training_group.train([job(undisturbed, arm) for arm in ARMS], 2, tmp_path / "group")
    for arm in ARMS:
        killed, whole = result(user.store, arm), result(undisturbed, arm)
        assert killed.history == whole.history
        before, after = (load_file(found.file("model.safetensors")) for found in (whole, killed))
        assert all(np.array_equal(weight.numpy(), after[name].numpy()) for name, weight in before.items())
        assert killed.notes["engine"] == ("torch" if arm == "PyTorch" else "deepspeed, ZeRO stage 1")
