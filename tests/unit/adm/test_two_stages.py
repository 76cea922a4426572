"""Two-stage sampling as a workload: its stages, what each reads, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adm.workload import workload
from assay.errors import ConfigError, UserError
from assay.store import Store
from assay.workload import Stage, topological
from imaging.config import DataConfig
from imaging.data import open_source
from quick_samples import compute, result, tensors

BASE = "digits_4_to_8"
TINY = {
    "train.iterations": 2,
    "train.batch_size": 4,
    "upsampler.train.iterations": 2,
    "upsampler.train.batch_size": 4,
    "classifier.train.iterations": 2,
    "classifier.train.batch_size": 4,
    "sample.steps": 2,
    "upsampler.steps": 3,
    "sample.batch_size": 5,
    "evaluate.num_samples": 12,
    "evaluate.num_reference": 20,
}


def graph(base: str = BASE, **overrides: Any) -> dict[str, Stage]:
    values = {**TINY, **{k.replace("__", "."): v for k, v in overrides.items()}} if base == BASE else overrides
    return {stage.name: stage for stage in topological(workload.stages(workload.resolve(base, values)))}


@pytest.mark.slow
def test_both_models_are_trained_and_one_stage_draws_with_them(tmp_path: Path) -> None:
    stages, store = graph(), Store(tmp_path)
    compute(stages, store)
    sample = result(stages, store, "features")
    assert tensors(sample, "image").shape == (12, 8, 8, 1)
    assert sample.read(["label"]).column("label").to_pylist() == [i % 10 for i in range(12)]
    assert tensors(result(stages, store, "reference"), "features").shape == (20, 64), "of 8×8, as what is drawn"
    assert result(stages, store, "evaluate").metrics["num_samples"] == 12


def test_each_model_is_trained_at_its_own_size_of_the_same_data() -> None:
    low, high = open_source(DataConfig(source="digits"), 4, 1), open_source(DataConfig(source="digits"), 8, 1)
    ids = np.arange(50)
    assert low.read(ids).images.shape == (50, 4, 4, 1)
    means = high.read(ids).images.astype(float).reshape(50, 4, 2, 4, 2, 1).mean(axis=(2, 4))
    assert np.abs(low.read(ids).images - means).max() < 1, "each pixel is the mean of four"
    assert np.array_equal(low.labels, high.labels)


def test_a_change_reaches_only_what_reads_it() -> None:
    def changed(**overrides: Any) -> set[str]:
        before, after = graph(), graph(**overrides)
        return {name for name, stage in after.items() if stage.key != before[name].key}

    assert changed(upsampler__steps=2) == {"features", "evaluate"}
    assert changed(upsampler__train__learning_rate=1e-4) == {"train_upsampler", "features", "evaluate"}
    assert changed(train__learning_rate=1e-4) == {"train", "features", "evaluate"}
    assert changed(sample__batch_size=3) == set()


def test_an_upsampler_is_shared_with_the_preset_that_trains_it_alone() -> None:
    alone, both = graph("upsample_64_256"), graph("imagenet64_to_256")
    assert alone["train_upsampler"].key == both["train_upsampler"].key


def test_the_second_stage_is_part_of_what_an_image_costs() -> None:
    with_upsampler, without = graph(), graph(upsampler=None)
    assert with_upsampler["features"].rows.flops > 2 * without["features"].rows.flops  # type: ignore[operator, union-attr]


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("upsampler.model.low_res_size", 2, r"upsampler\.model\.low_res_size.*got 2, allowed: 4"),
        ("upsampler.model.num_classes", 7, r"upsampler\.model\.num_classes.*got 7, but .* have 10 classes"),
        ("upsampler.model.out_channels", 1, r"upsampler\.model\.out_channels.*needs 2"),
        ("upsampler.model.in_channels", 3, r"upsampler\.model\.in_channels.*got 3, allowed: 1"),
        ("upsampler.model.channels", 33, r"upsampler\.model.*32"),
        ("upsampler.steps", 5000, r"upsampler\.steps.*asks for 5000 steps"),
        ("upsampler.eta", 0.5, r"upsampler\.eta: 0\.5 has no effect with upsampler\.sampler ddpm: it is for ddim"),
        (
            "upsampler.train.checkpoint",
            "nowhere.pt",
            r"upsampler\.train\.checkpoint 'nowhere\.pt': there is no such file",
        ),
        ("evaluate.extractor", "classifier", r"evaluate\.extractor.*images of 4×4 pixels.*upsampler's are 8×8"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_trained(path: str, value: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        graph(**{path: value})


def test_a_network_of_another_kind_enlarges_nothing() -> None:
    with pytest.raises(ConfigError, match=r"upsampler\.model\.kind.*got unet, allowed: super_res"):
        workload.resolve(BASE, {"upsampler.model.kind": "unet", "upsampler.model.low_res_size": None})


def test_a_base_without_an_upsampler_takes_no_option_of_one() -> None:
    with pytest.raises(ConfigError, match="this base has no upsampler"):
        workload.resolve("digits", {"upsampler.steps": 5})
