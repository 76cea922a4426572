"""The loop: batches that do not depend on the group, steps that overflow, trainings that diverge, the upsampler."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain, pairwise, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import adm.training.loop
from adm.config import TrainConfig
from adm.diffusion import low_resolution
from adm.diffusion.timesteps import LossSecondMoment
from adm.training.batches import Batch, Batches
from adm.training.engines.deepspeed_engine import unavailable_reason
from adm.training.loop import Task, Trainer
from adm.training.shares import micro_batches
from adm.workload import workload
from assay.errors import AssayError, AssayWarning, UserError
from assay.execution import inline
from assay.execution.contexts import WorkerContext
from assay.execution.ranks import ALONE
from assay.store import Store
from assay.workload import Budget, Checkpointing, Stage, topological
from imaging.config import DataConfig
from imaging.data import open_source

DIGITS = DataConfig(source="digits")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Twelve images of two classes, larger than they are trained at."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(12):
        pixels = np.random.default_rng(index).integers(0, 256, (24, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{'cat' if index % 2 else 'dog'}_{index}.png")
    return folder


@pytest.mark.parametrize("size", [2, 3, 4])
def test_any_number_of_workers_sees_the_same_global_batches(photographs: Path, size: int) -> None:
    data = DataConfig(source="folder", path=str(photographs), crop="random", flip=True)
    source = open_source(data, 8, 3)
    timesteps = LossSecondMoment(10)

    def batch(rank: int, size: int, step: int) -> Batch:
        batches = Batches(source, np.arange(12), data, seed=3, batch_size=8, rank=rank, world_size=size)
        return batches.draw(step, batches.read(step), timesteps, "cpu")

    for step in (0, 1, 7):
        whole, parts = batch(0, 1, step), [batch(rank, size, step) for rank in range(size)]
        for name in ("x0", "y", "t", "weights", "noise"):
            assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts])), name
        for part in parts:
            assert part.noise.untyped_storage().nbytes() == part.noise.nbytes, "that of other workers is not kept"
    assert not torch.equal(batch(0, 1, 0).noise, batch(0, 1, 1).noise)


def test_random_crops_and_mirroring_vary_from_epoch_to_epoch(photographs: Path) -> None:
    data = DataConfig(source="folder", path=str(photographs), crop="random", flip=True)
    batches = Batches(open_source(data, 8, 3), np.arange(12), data, seed=0, batch_size=12, rank=0, world_size=1)
    seen = [{image.tobytes() for image in batches.read(step).images} for step in range(3)]
    assert len(set.union(*seen)) > 30


def stage(iterations: int) -> Stage:
    return Stage(
        name="train",
        version=1,
        kind="train",
        body=("none:none",),
        config={"seed": 0},
        budget=Budget("train.iterations", iterations, "iterations"),
        checkpointing=Checkpointing(every=1, keep_last=100),
    )


def trainer(store: Store, error: Callable[[Tensor], Tensor], iterations: int = 4, **options: Any) -> Trainer:
    """A trainer of two weights that fit a line to noise; `error` has the last word on the loss."""
    torch.manual_seed(0)
    line = nn.Linear(1, 1)

    def objective(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        predicted = network(batch.x0.flatten(1).mean(1, keepdim=True))
        return {"loss": error((predicted - 1).float().square().squeeze(1))}

    config = TrainConfig.model_validate(
        {
            "iterations": iterations,
            "batch_size": 8,
            "engine": "torch",
            "precision": "fp32",
            "learning_rate": 0.1,
            **options,
        }
    )
    ctx = WorkerContext(
        stage(iterations),
        store,
        Path(),
        "cpu",
        1,
        lambda event: None,
        device_name="cpu",
        ranks=ALONE,
        is_leaving=lambda: False,
    )
    source = open_source(DIGITS, 8, 1)
    return Trainer(ctx, Task(line, objective, 10, source, np.arange(len(source)), DIGITS, 0), config)


def run(trainer: Trainer) -> None:
    for step in range(trainer.done, trainer.ctx.amount):
        trainer.step(trainer.batches.draw(step, trainer.batches.read(step), trainer.timesteps, "cpu"))


def weights(trainer: Trainer) -> list[Tensor]:
    return [weight.clone() for weight in trainer.engine.model.state_dict().values()]


def test_a_loss_that_is_no_number_names_its_step_and_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    store = Store(tmp_path)
    calls = iter([1.0, 1.0, math.nan])
    broken = trainer(store, lambda loss: loss * next(calls))
    with pytest.raises(AssayError, match=r"the loss is nan at step 3; the last checkpoint is kept"):
        run(broken)
    assert store.checkpoints(broken.ctx.stage).steps() == [1, 2]  # type: ignore[attr-defined]
    mended = trainer(store, lambda loss: loss)
    assert mended.done == 2
    run(mended)
    assert all(torch.isfinite(weight).all() for weight in weights(mended))


@pytest.fixture
def fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    """fp16 is refused on a CPU for its speed; of two weights it does not matter."""
    monkeypatch.setattr(adm.training.loop, "choose", lambda ctx, path, precision: "fp16")


@pytest.mark.usefixtures("fp16")
def test_a_step_that_overflows_is_tried_again_and_counts_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    factors = iter([1e-3, 1e-3, math.inf, math.inf, 1e-3, 1e-3])
    found = trainer(store, lambda loss: loss * next(factors), ema_rates=(0.9,))
    averages = weights(found)
    for step in range(4):
        found.step(found.batches.draw(step, found.batches.read(step), found.timesteps, "cpu"))
        averages = [0.9 * average + 0.1 * weight for average, weight in zip(averages, weights(found), strict=True)]
    assert found.skipped == 2
    assert found.engine.counters()["steps_taken"] == found.done == 4
    for average, expected in zip(found.ema.weights[0.9].values(), averages, strict=True):
        torch.testing.assert_close(average, expected)
    history = found.ctx.history  # type: ignore[attr-defined]
    assert [point["step"] for point in history] == [1, 2, 3, 4]
    assert [point["skipped_steps"] for point in history] == [0, 0, 2, 2]
    assert [point["loss_scale"] for point in history] == [2.0**16, 2.0**16, 2.0**14, 2.0**14]
    again = trainer(store, lambda loss: loss, ema_rates=(0.9,))
    assert again.skipped == found.skipped
    assert again.engine.counters() == found.engine.counters()


@pytest.mark.usefixtures("fp16")
def test_a_loss_scale_that_collapses_stops_the_training_at_its_last_good_checkpoint(tmp_path: Path) -> None:
    store = Store(tmp_path)
    factors = chain([1e-3, 1e-3], repeat(math.inf))
    found = trainer(store, lambda loss: loss * next(factors))
    with pytest.raises(AssayError, match=r"the loss is inf with a loss scale of 1 at step 3.*train.precision fp32"):
        run(found)
    assert store.checkpoints(found.ctx.stage).steps() == [1, 2]  # type: ignore[attr-defined]
    again = trainer(store, lambda loss: loss)
    assert again.done == 2
    assert again.engine.counters()["loss_scale"] == 2.0**16, "as it was there"


def test_the_learning_rate_falls_to_nothing(tmp_path: Path) -> None:
    found = trainer(Store(tmp_path), lambda loss: loss, anneal_iterations=3)
    before = [weights(found)]
    for step in range(4):
        found.step(found.batches.draw(step, found.batches.read(step), found.timesteps, "cpu"))
        before.append(weights(found))
    moved = [sum(float((b - a).abs().sum()) for a, b in zip(*pair, strict=True)) for pair in pairwise(before)]
    assert moved[0] > moved[1] > moved[2] > moved[3] == 0


def test_micro_batches_change_nothing(tmp_path: Path) -> None:
    whole = trainer(Store(tmp_path / "whole"), lambda loss: loss)
    parts = trainer(Store(tmp_path / "parts"), lambda loss: loss, micro_batch=3)  # 3, 3 and 2 of 8
    run(whole)
    run(parts)
    for one, other in zip(weights(whole), weights(parts), strict=True):
        torch.testing.assert_close(one, other)


def test_a_batch_too_small_for_its_workers_is_said() -> None:
    assert micro_batches(TrainConfig(iterations=1, batch_size=9, micro_batch=2), 2) == 3
    with pytest.raises(UserError, match="batch_size 2 is too small for 3 workers"):
        micro_batches(TrainConfig(iterations=1, batch_size=2), 3)
    with pytest.raises(UserError, match="workers that take 1 images at a time: use fewer workers"):
        micro_batches(TrainConfig(iterations=1, batch_size=8, micro_batch=1), 3)


@pytest.mark.slow
def test_an_upsampler_learns_from_images_made_small_by_area(photographs: Path, tmp_path: Path) -> None:
    x0 = torch.rand(2, 3, 8, 8)
    blocks = x0.reshape(2, 3, 4, 2, 4, 2).mean((3, 5))
    torch.testing.assert_close(low_resolution(x0, 4), blocks)
    small = {
        "data.path": str(photographs),
        "model.image_size": 8,
        "model.low_res_size": 4,
        "model.channels": 32,
        "model.num_res_blocks": 1,
        "model.channel_mult": [1, 2],
        "model.num_heads": 1,
        "model.num_classes": 2,
        "train.iterations": 12,
        "train.batch_size": 8,
        "train.learning_rate": 1e-3,
        "train.engine": "torch",
        "train.precision": "fp32",
    }
    (found,) = topological(workload.stages(workload.resolve("upsample_64_256", small)))
    store = Store(tmp_path / "store")
    inline.execute(found, store, 1, lambda event: None)
    result = store.get(found.key)
    assert result is not None
    history = [point["loss"] for point in result.history]
    assert history[-1] < history[0]
    assert result.metrics["loss"] == pytest.approx(np.mean(history), rel=0.2)


def out_of_memory_above(room: int) -> Callable[[Tensor], Tensor]:
    """The last word of a loss on a device that holds `room` images at a time."""

    def error(loss: Tensor) -> Tensor:
        if len(loss) > room:
            raise torch.OutOfMemoryError(f"CUDA out of memory: {len(loss)} images")
        return loss

    return error


@pytest.mark.parametrize("engine", ["torch", "deepspeed"])
def test_a_training_that_runs_out_of_memory_takes_the_same_steps_in_smaller_parts(engine: str, tmp_path: Path) -> None:
    if engine == "deepspeed" and (reason := unavailable_reason("cpu")) is not None:
        pytest.skip(reason)
    whole = trainer(Store(tmp_path / "whole"), lambda loss: loss, engine=engine)
    short = trainer(Store(tmp_path / "short"), out_of_memory_above(2), engine=engine, micro_batch="auto")
    run(whole)
    with pytest.warns(AssayWarning, match="memory ran out with") as warned:
        run(short)
    assert [str(each.message) for each in warned] == [
        f"memory ran out with {size} images at a time; going on with train.micro_batch {size // 2}" for size in (8, 4)
    ]
    assert short.ctx.notes["train.micro_batch"] == 2
    for one, other in zip(weights(whole), weights(short), strict=True):
        torch.testing.assert_close(one, other)


def test_where_not_even_one_image_fits_the_message_says_what_else_saves_memory(tmp_path: Path) -> None:
    short = trainer(Store(tmp_path), out_of_memory_above(0), micro_batch=3)
    with (
        pytest.warns(AssayWarning, match="memory ran out"),
        pytest.raises(UserError, match=r"1 image at a time, which is the least: CUDA out of memory: 1 images. Set"),
    ):
        run(short)
