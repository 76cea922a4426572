"""Settings that change nothing that is computed: stages are shared, and a plan says of which trials that is so."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from adm import models, presets
from adm.workload import workload
from assay.errors import AssayWarning
from assay.planning import make_plan
from assay.sweep import load_sweep
from assay.workload import topological


def keys(base: str, overrides: dict[str, Any]) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssayWarning)
        return [stage.key for stage in topological(workload.stages(workload.resolve(base, overrides)))]


DDIM = {"sample.sampler": "ddim"}
FIXED = {"model.out_channels": 1, "diffusion.variance": "fixed_small"}
ONE_RESOLUTION = {"model.channel_mult": [1.0], "model.attention_resolutions": []}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"model.attention_resolutions": [4, 5, 4]}),
        ({"model.attention_resolutions": [8, 4]}, {"model.attention_resolutions": [4, 8]}),
        ({}, {"model.num_heads_up": 4}),
        ({}, {"model.pool": "spatial"}),
        ({}, {"classifier.model.num_heads_up": 2}),
        (ONE_RESOLUTION, {**ONE_RESOLUTION, "model.updown": "conv"}),
        ({"model.head_channels": None}, {"model.head_channels": None, "model.qkv_order": "new"}),
        ({}, {"model.dropout": -0.0}),
        ({}, {"train.optimizer": "adam"}),
        ({}, {"train.optimizer": "adam", "train.weight_decay": -0.0}),
        ({"train.precision": "fp32"}, {"train.precision": "fp32", "train.compress_gradients": True}),
        ({"train.ema_rates": [0.9, 0.99, 0.999]}, {"train.ema_rates": [0.9, 0.999, 0.99]}),
        ({"sample.steps": 20}, {"sample.steps": [20]}),
        ({"sample.steps": 20}, {"sample.steps": " 20 "}),
        ({"sample.steps": [10, 10]}, {"sample.steps": "10, 10"}),
        ({"sample.steps": 1000}, {"sample.steps": ""}),
        ({"sample.steps": 20, "sample.density": [4, 2]}, {"sample.steps": "spline20:2,1"}),
        ({"sample.steps": 1000}, {"sample.steps": "ddim1000"}),
        ({"sample.steps": 1000}, {"sample.steps": [500, 500]}),
        ({**DDIM, "sample.eta": 0.0}, {**DDIM, "sample.eta": -0.0}),
        ({}, {"sample.guidance_at": "mean"}),
        ({}, {"sample.guidance_scale": -0.0}),
        ({}, {"sample.temperature_scales": "epsilon"}),
        ({"model.num_classes": None}, {"model.num_classes": None, "sample.labels": "drawn"}),
        (FIXED, {**FIXED, "diffusion.loss": "mse"}),
        ({**FIXED, **DDIM}, {**FIXED, **DDIM, "diffusion.variance": "fixed_large"}),
        ({"figures.draw": ["column", "diversity"]}, {"figures.draw": ["diversity", "column", "column"]}),
        ({"figures.draw": ["column"]}, {"figures.draw": ["column"], "figures.num_neighbours": 7}),
    ],
)
def test_what_changes_nothing_shares_all_stages(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert keys("digits", one) == keys("digits", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"model.attention_resolutions": [8, 4]}),
        ({"model.head_channels": None, "model.num_heads": 2}, {"model.head_channels": None, "model.num_heads": 1}),
        ({"train.weight_decay": 0.1}, {"train.weight_decay": 0.1, "train.optimizer": "adam"}),
        ({"train.precision": "bf16"}, {"train.precision": "bf16", "train.compress_gradients": True}),
        ({"train.ema_rates": [0.9, 0.99]}, {"train.ema_rates": [0.99, 0.9]}),
        ({"sample.steps": 25}, {"sample.steps": "ddim25"}),
        ({"sample.labels": "balanced"}, {"sample.labels": "drawn"}),
        (FIXED, {**FIXED, "diffusion.variance": "fixed_large"}),
        ({}, {"diffusion.loss": "rescaled_mse"}),
    ],
)
def test_what_changes_something_does_not(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert keys("digits", one) != keys("digits", other)


def test_the_published_upsamplers_resolutions_are_as_the_table_prints_them() -> None:
    """8 pixels are never reached, and the key says them as it always did."""
    (stage,) = workload.stages(workload.resolve("upsample_128_512", {}))
    assert stage.config["model"]["attention_resolutions"] == [32, 16, 8]
    same = {"model.attention_resolutions": [16, 32]}
    assert keys("upsample_128_512", same) == keys("upsample_128_512", {})


def test_how_weights_from_a_file_were_trained_changes_no_sample(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(models.build(presets.load("digits").model).state_dict(), path)
    loaded = {"train.checkpoint": str(path)}
    assert keys("digits", loaded) == keys("digits", {**loaded, "diffusion.loss": "kl", "train.learning_rate": 0.5})
    learned = {**loaded, "diffusion.variance": "learned"}
    assert keys("digits", {**loaded, **DDIM}) == keys("digits", {**learned, **DDIM})
    assert keys("digits", loaded) != keys("digits", learned)


SWEEP = """
version: 1
name: t
workload: adm
base: digits
{}
metric: fd_classifier
mode: min
"""


def told(tmp_path: Path, varied: str) -> list[str]:
    path = tmp_path / "t.yaml"
    path.write_text(SWEEP.format(varied))
    return list(make_plan(load_sweep(path)).warnings)


def test_trials_that_are_one_computation_are_named(tmp_path: Path) -> None:
    (said,) = told(tmp_path, "arms: {Adam: {train.optimizer: adam}, AdamW: {train.optimizer: adamw}}")
    assert said == (
        "trials 'Adam' and 'AdamW' compute exactly the same and will share one result: whether "
        'train.optimizer is "adam" or "adamw" makes no difference here'
    )


def test_one_remark_for_all_trials_that_a_setting_does_not_change(tmp_path: Path) -> None:
    varied = "arms: {a: {}, b: {train.micro_batch: 4}}\nparameters: {sample.guidance_scale: {values: [0.0, 1.0, 2.0]}}"
    (said,) = told(tmp_path, varied)
    assert "train.micro_batch is null or 4" in said


def test_a_setting_that_matters_elsewhere_in_the_grid_is_no_mistake(tmp_path: Path) -> None:
    varied = (
        "parameters: {sample.temperature: {values: [0.9, 1.0]}, sample.temperature_scales: {values: [noise, epsilon]}}"
    )
    assert told(tmp_path, varied) == []


def test_trials_that_differ_are_not_remarked_upon(tmp_path: Path) -> None:
    assert told(tmp_path, "arms: {a: {}, b: {model.dropout: 0.1}}\nseeds: [0, 1]") == []
