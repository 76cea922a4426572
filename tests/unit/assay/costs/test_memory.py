"""Whether a stage fits the memory of its device, and what to set if it does not."""

from __future__ import annotations

from typing import Any

import pytest

from assay.costs.devices import USABLE_MEMORY
from assay.costs.memory import GIB, MemoryNeed, memory_in_words, memory_need
from assay.errors import UserError
from assay.sweep import Resources
from assay.workload import Budget, Memory, Stage


def training(**changes: Any) -> Stage:
    """Of 256 items a step, 1 GiB each, beside 8 GiB of weights and the like."""
    options: dict[str, Any] = {"at_a_time": 8, "items": 256, "setting": "train.micro_batch", **changes}
    memory = Memory(fixed=8 * GIB, moments=((0, GIB),), **options)
    budget = Budget("train.iterations", 10, "iterations")
    return Stage("train", 1, "train", ("m:f",), {}, budget=budget, memory=memory)


def need(stage: Stage, **train: Any) -> MemoryNeed:
    resources = Resources.model_validate({"train": {"workers": 8, "gpus_per_worker": 1, **train}})
    found = memory_need(stage, resources, "V100")
    assert found is not None
    return found


def test_a_device_that_is_not_named_may_have_any_size_it_is_sold_with() -> None:
    found = need(training())
    assert (found.bytes, found.at_a_time) == (16 * GIB, 8)
    assert found.most == {16: 7, 32: 22}
    assert found.holding == (32,)
    assert memory_in_words(found) == (
        "train 16.0 GiB per worker at train.micro_batch 8; fits a V100 of 32 GB, not of 16: "
        "set train.micro_batch 7 for 16 GB."
    )
    assert memory_in_words(need(training(at_a_time=4))) == (
        "train 12.0 GiB per worker at train.micro_batch 4; fits a V100 of 16 or 32 GB."
    )


def test_a_gpu_that_is_named_is_the_only_one_that_counts() -> None:
    stage = training(at_a_time=None, remedies=("model.activation_checkpointing true",))
    assert memory_in_words(need(stage, gpu="V100-16GB")) == (
        "train 40.0 GiB per worker at train.micro_batch 32; more than a V100-16GB has: "
        "set train.micro_batch 7 or model.activation_checkpointing true; else it is halved by itself."
    )
    assert need(stage, gpu="A100-80GB").holding == (80,)


def test_auto_is_what_each_size_holds_up_to_a_worker_s_share() -> None:
    found = need(training(at_a_time="auto", items=160))
    assert found.most == {16: 7, 32: 20}
    assert memory_in_words(found) == (
        "train 15.0 GiB per worker at train.micro_batch auto: 7 on a V100 of 16 GB or 20 on a V100 of 32 GB."
    )


def test_what_does_not_fit_one_at_a_time_says_what_else_to_set() -> None:
    stage = training(divided=64 * GIB, items=2560, remedies=("model.activation_checkpointing true",))
    assert need(stage, workers=64).holding == (32,), "64 workers hold a part each"
    assert memory_in_words(need(stage, workers=[1, 64])) == (
        "train 80.0 GiB per worker at train.micro_batch 8; more than a V100 of 16 or 32 GB has, even one at a time: "
        "set model.activation_checkpointing true."
    )


def test_rows_that_are_computed_on_the_way_count_and_actors_may_share_a_gpu() -> None:
    memory = Memory(fixed=GIB, moments=((0, GIB // 8),), at_a_time="auto", setting="sample.batch_size")
    budget = Budget("num_samples", 1000, "images")
    draw = Stage("draw", 1, "map", ("m:f",), {}, budget=budget, streamed=True, memory=memory)
    features = Stage("features", 1, "map", ("m:g",), {}, budget=budget, rows=draw)

    def most(gpus: float) -> dict[int, int]:
        found = memory_need(features, Resources.model_validate({"sample": {"gpus_per_actor": gpus}}), "V100")
        assert found is not None
        return dict(found.most)

    assert most(1)[16] == int((16 * USABLE_MEMORY - 1) * 8)
    assert most(0.5)[32] == most(1)[16]


@pytest.mark.parametrize("reference", ["", "V100"])
def test_without_a_gpu_or_a_known_device_nothing_is_said(reference: str) -> None:
    on_gpus = Resources.model_validate({"train": {"gpus_per_worker": 1}})
    assert memory_need(training(), Resources() if reference else on_gpus, reference) is None


def test_a_gpu_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises((UserError, ValueError), match="got 'V99', which is not in the table of devices"):
        Resources.model_validate({"train": {"gpu": "V99"}})


def test_the_moment_that_needs_most_counts() -> None:
    memory = Memory(fixed=GIB, moments=((4 * GIB, GIB), (0, 2 * GIB), (9 * GIB, 0)), at_a_time=None, setting="n")
    assert [memory.of_worker(count) // GIB for count in (1, 5, 6, 7)] == [10, 11, 13, 15]
    assert [memory.most(gib * GIB) for gib in (9, 10, 11, 15)] == [0, 4, 5, 7]


def test_memory_is_no_part_of_the_key() -> None:
    assert training().key == training(at_a_time=1, divided=GIB).key


def test_a_process_also_holds_what_computes_the_rows_that_are_streamed_to_it() -> None:
    def rows(memory: Memory | None, **more: Any) -> Stage:
        budget = Budget("evaluate.num_samples", 100, "images")
        return Stage(more.pop("name"), 1, "map", ("m:f",), {}, budget=budget, memory=memory, **more)

    def of_one(fixed: int, per_item: int) -> Memory:
        return Memory(fixed * GIB, ((0, per_item * GIB),), at_a_time=2, setting="sample.batch_size")

    def bytes_of(draw: Memory | None, features: Memory | None) -> int | None:
        drawn = rows(draw, name="draw", streamed=True)
        found = memory_need(rows(features, name="features", rows=drawn), gpu, "V100")
        return None if found is None else found.bytes

    gpu = Resources.model_validate({"sample": {"gpus_per_actor": 1}})
    assert bytes_of(of_one(4, 3), of_one(1, 2)) == (4 + 1 + 2 * 3) * GIB, "one after the other, two at a time"
    assert bytes_of(of_one(4, 3), of_one(1, 5)) == (4 + 1 + 2 * 5) * GIB
    assert bytes_of(of_one(4, 3), None) == (4 + 2 * 3) * GIB
    assert bytes_of(None, of_one(1, 2)) is None, "what draws them may need any amount"
    alone = memory_need(rows(of_one(1, 2), name="reference"), gpu, "V100")
    assert alone is not None
    assert alone.bytes == 5 * GIB
