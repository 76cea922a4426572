"""Which micro-batch "auto" stands for on a device with so much memory. What runs out of memory is in test_loop.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import adm.training.fitting
from adm import presets
from adm.compute.memory import training_memory
from adm.training.fitting import fitting_micro_batches

GIB = 2**30


def fitted(gib: float, workers: int, monkeypatch: pytest.MonkeyPatch, **train: Any) -> tuple[int, dict[str, Any]]:
    """Micro-batches of the 256×256 model where the smallest device has so much memory, and what was noted."""
    c, notes = presets.load("imagenet256"), dict[str, Any]()
    monkeypatch.setattr(adm.training.fitting, "free_memory", lambda device: gib * GIB)
    ctx: Any = SimpleNamespace(world_size=workers, device="cuda:0", note=notes.__setitem__)
    config = c.train.model_copy(update={"micro_batch": "auto", **train})
    return fitting_micro_batches(ctx, config, c.model, "fp16"), notes


@pytest.mark.parametrize("gib", [15, 30, 75])
def test_auto_is_the_largest_that_the_estimate_allows(gib: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count, notes = fitted(gib, 8, monkeypatch)
    c = presets.load("imagenet256")
    memory = training_memory(c.model, c.train, "train", "model")
    assert memory is not None
    size = notes["train.micro_batch"]
    assert size == -(-32 // count)
    assert memory.of_worker(size, 8) <= gib * GIB
    fewer = -(-32 // (count - 1)) if count > 1 else 33
    assert fewer > 32 or memory.of_worker(fewer, 8) > gib * GIB


def test_auto_tries_one_image_where_the_estimate_allows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitted(4, 8, monkeypatch) == (32, {"train.micro_batch": 1})
    assert fitted(4, 2, monkeypatch, batch_size=9) == (4, {"train.micro_batch": 2}), "shares are of 4 and 5 images"


def test_precision_counts_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(precision: str) -> int:
        return fitted(40, 8, monkeypatch, precision=precision)[0]

    assert counted("fp16") == counted("fp32"), "what was chosen, and not what was asked for"
