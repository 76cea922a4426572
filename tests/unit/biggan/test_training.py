"""Two workers train what one does: batch norm, losses and gradients are those of the whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import training_group
from assay.store import Store, StoredResult
from biggan.training import WEIGHTS

SMALL: dict[str, Any] = {
    "generator.channel_width": 4,
    "generator.attention_layer_position": 0,
    "discriminator.channel_width": 4,
    "train.iterations": 6,
    "train.batch_size": 8,
    "train.discriminator_steps": 2,
    "train.standing_batches": 2,
    "generator.n_stats": 3,
}


def trained(folder: Path, workers: int) -> StoredResult:
    store = folder / "store"
    job = {"workload": "biggan", "base": "digits_gan", "overrides": SMALL, "stage": "train", "store": str(store)}
    training_group.train([job], workers, folder)
    result = Store(store).get(training_group.stage_of(job).key)
    assert result is not None
    return result


@pytest.mark.slow
def test_two_workers_train_what_one_does(tmp_path: Path) -> None:
    one, two = trained(tmp_path / "one", 1), trained(tmp_path / "two", 2)
    assert [point["step"] for point in one.history] == [point["step"] for point in two.history] == [1, 2, 3, 4, 5, 6]
    for alone, shared in zip(one.history, two.history, strict=True):
        assert shared == pytest.approx(alone, rel=1e-4)
    # Adam turns the rounding of a gradient near 0 into part of a step of its learning rate, 4e-4.
    weights = load_file(two.file(WEIGHTS))
    for name, weight in load_file(one.file(WEIGHTS)).items():
        assert weights[name].numpy() == pytest.approx(weight.numpy(), abs=1e-3), name
