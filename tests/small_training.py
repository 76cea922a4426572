"""A training of adm in seconds, by each engine in each precision: what tests disturb, and compare with undisturbed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

import training_group
from adm.training.engines.deepspeed_engine import why_not
from assay.store import Store, StoredResult

BASE = "upsample_64_256"
STAGE = "train_upsampler"
"""It is all there is to do."""
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
    "train.batch_size": 8,
}
DEEPSPEED = {"train.engine": "deepspeed", "train.optimizer": "adam"}
TORCH = {"train.engine": "torch", "train.optimizer": "adamw"}
"""The engine is no part of a stage's key. So that each is trained by its own, something else differs too."""
ARMS: dict[str, dict[str, Any]] = {
    "PyTorch, fp32": {**TORCH, "train.precision": "fp32"},
    "PyTorch, bf16": {**TORCH, "train.precision": "bf16"},
    "DeepSpeed, fp32": {**DEEPSPEED, "train.precision": "fp32"},
    "DeepSpeed, bf16, ZeRO 1": {**DEEPSPEED, "train.precision": "bf16", "train.zero_stage": 1},
}
BOTH = {name: ARMS[name] for name in ("PyTorch, fp32", "DeepSpeed, bf16, ZeRO 1")}
"""Both engines and both precisions, for a test in which each training starts several times."""
Arms = Mapping[str, Mapping[str, Any]]


def trainable(arms: Arms) -> Arms:
    """Those that can be trained here: without a compiler, PyTorch's. Compiles DeepSpeed's operators, once a machine."""
    return {name: arm for name, arm in arms.items() if arm["train.engine"] == "torch" or why_not("cpu") is None}


def sweep(name: str, workers: int | list[int], arms: Arms, **config: Any) -> dict[str, Any]:
    """The arms, one after the other."""
    return {
        "version": 1,
        "name": name,
        "workload": "adm",
        "base": BASE,
        "config": {**CONFIG, **config},
        "arms": arms,
        "resources": {"train": {"workers": workers, "cpus_per_worker": 1}},
        "limits": {"retries": 3, "concurrent_trials": 1},
        "metric": "loss",
        "mode": "min",
    }


def undisturbed(folder: Path, arms: Arms, **config: Any) -> Store:
    """A store with every arm, each trained by two workers that nothing befalls."""
    store = folder / "undisturbed"
    jobs = [_job(arm, config, store) for arm in arms]
    training_group.train(jobs, 2, folder / "group")
    return Store(store)


def result(store: Store, arm: str, **config: Any) -> StoredResult:
    found = store.get(training_group.stage_of(_job(arm, config)).key)
    assert found is not None, f"{arm} was not trained"
    engine, precision = ARMS[arm]["train.engine"], ARMS[arm]["train.precision"]
    assert (found.notes["train.engine"], found.notes["train.precision"]) == (engine, precision)
    return found


def _job(arm: str, config: dict[str, Any], store: Path | str = "") -> training_group.Job:
    return {"base": BASE, "stage": STAGE, "store": str(store), "overrides": {**CONFIG, **config, **ARMS[arm]}}


def assert_the_same(disturbed: StoredResult, whole: StoredResult) -> None:
    """To the bit: losses, gradients and averaged weights."""
    assert disturbed.history == whole.history
    before, after = (load_file(found.file("model.safetensors")) for found in (whole, disturbed))
    assert before.keys() == after.keys()
    assert all(np.array_equal(weight.numpy(), after[name].numpy()) for name, weight in before.items())


def skip_the_rest(arms: Arms) -> None:
    """At the end of a test, which held for the arms that can be trained here: say so where those are not all."""
    if trainable(arms) != arms:
        pytest.skip(f"held for PyTorch; DeepSpeed's operators cannot be built here: {why_not('cpu')}")
