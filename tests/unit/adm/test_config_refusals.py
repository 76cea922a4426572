"""Parts of a config that do not go together, or would have no effect: said before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adm.config import TrainConfig
from adm.workload import workload
from assay.errors import AssayWarning, ConfigError, UserError
from assay.workload import load_attribute

GUIDED = {"sample.guidance_scale": 1.0}
PHOTOGRAPHS = {"data.source": "npz", "data.path": "images.npz", "evaluate.extractor": "pixels"}
ZERO_SNR = {"diffusion.schedule": "cosine_zero_snr", "diffusion.mean": "v"}
LENGTHS = {"train.ema_lengths": [0.05, 0.1], "sample.ema_length": 0.1}
EDM = {
    "diffusion.schedule": "karras",
    "diffusion.mean": "edm",
    "diffusion.sigma_data": 0.6,
    "diffusion.variance": "fixed_small",
    "model.out_channels": 1,
    "train.timestep_sampler": "log_normal",
}
DETERMINISTIC = {"sample.sampler": "ddim", "sample.eta": 0.0}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            {**PHOTOGRAPHS, "classifier.model.in_channels": 3},
            r"classifier\.model\.in_channels is 3, but it sees images of model\.in_channels 1",
        ),
        (
            {**PHOTOGRAPHS, **GUIDED, "classifier.model.out_channels": 7},
            r"classifier\.model\.out_channels is 7, .* images of model\.num_classes 10",
        ),
        (
            {"train.engine": "deepspeed", "train.zero_stage": 1, "train.compress_gradients": True},
            r"compress_gradients has no effect with zero_stage 1, .* exchanged in 32 bits",
        ),
        ({**DETERMINISTIC, "sample.temperature": 0.9}, r"sample\.temperature: 0\.9 has no effect.*eta 0 adds none"),
        (
            {"train.checkpoint": "w.pt", "train.ema_rates": [0.99, 0.9], "sample.ema_rate": 0.9},
            r"sample\.ema_rate: 0\.9 names an average from training, but train\.checkpoint 'w\.pt' has a",
        ),
        (
            {"diffusion.schedule": "linear_zero_snr"},
            r"diffusion\.mean: got epsilon, allowed: x0, v, edm, previous with diffusion\.schedule linear_zero_snr",
        ),
        (
            {**ZERO_SNR, "sample.sampler": "edm_heun"},
            r"sample\.sampler: edm_heun goes by σ/√ᾱ, which is infinite at the last step of cosine_zero_snr",
        ),
        (
            {"sample.steps": "karras10", "sample.density": [2, 1]},
            r"density is for a count of steps, but steps is 'karras10': leave one of them out",
        ),
        (
            {**ZERO_SNR, "sample.steps": 10, "sample.density": [2, 1]},
            r"sample\.steps: spline10:2,1 goes by σ/√ᾱ, which",
        ),
        ({**ZERO_SNR, "sample.steps": "karras10"}, r"sample\.steps: karras10 goes by σ/√ᾱ, which is infinite"),
        (
            {**ZERO_SNR, **GUIDED, "sample.sampler": "ddim"},
            r"sample\.guidance_scale: 1 with sample\.sampler ddim changes the predicted noise.*: use ddpm",
        ),
        (
            {**ZERO_SNR, "sample.temperature": 0.9, "sample.temperature_scales": "epsilon"},
            r"sample\.temperature_scales: epsilon changes the predicted noise, and x_0 by that divided by √ᾱ",
        ),
        (
            {"diffusion.min_snr_gamma": 1.0},
            r"diffusion\.min_snr_gamma: 1 has no effect with diffusion\.loss mse: it is for min_snr; leave it out",
        ),
        (
            {"diffusion.sigma_data": 0.6},
            r"diffusion\.sigma_data: 0\.6 has no effect with diffusion\.mean epsilon: it is for edm; leave it out",
        ),
        (
            {**EDM, "diffusion.schedule": "cosine"},
            r"train\.timestep_sampler: log_normal draws .* where diffusion\.schedule cosine has no noise level",
        ),
        (
            {**EDM, "diffusion.variance": "learned_range", "model.out_channels": 2},
            r"train\.timestep_sampler: log_normal draws .* no variational bound: use diffusion\.variance fixed_small",
        ),
        ({**EDM, "diffusion.loss": "kl"}, r"and no loss of the bound \(diffusion\.loss kl\)"),
        (
            {"sample.ema_length": 0.1},
            r"sample\.ema_length: 0\.1 is reconstructed from snapshots .* there are none: set",
        ),
        ({**LENGTHS, "sample.ema_rate": 0.99}, r"sample\.ema_rate: has no effect with sample\.ema_length"),
        (
            {"train.ema_lengths": [0.05, 0.1]},
            r"sample\.ema_length: is null, so that nothing reads train\.ema_lengths",
        ),
        (
            {**LENGTHS, "train.checkpoint": "w.pt"},
            r"sample\.ema_length: 0\.1 needs snapshots, but train\.checkpoint has",
        ),
        ({**LENGTHS, "train.ema_lengths": [0.1]}, r"got ema_lengths \[0\.1\], allowed: none, or two or more distinct"),
        ({"train.snapshot_every": 10}, r"snapshot_every has no effect without ema_lengths"),
        (
            {"classifier.train.ema_lengths": [0.05, 0.1]},
            r"classifier\.train\.ema_lengths: nothing reads them; leave them out",
        ),
        (
            {"seed": 2**64},
            r"seed: got 18446744073709551616 \(int\), allowed: an integer ≥ 0 and ≤ 18446744073709551615",
        ),
    ],
)
def test_refused(overrides: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        workload.resolve("digits", overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        {**PHOTOGRAPHS, "classifier.model.out_channels": 7},
        {**PHOTOGRAPHS, **GUIDED, "classifier.model.out_channels": 7, "model.num_classes": None},
        {**DETERMINISTIC, "sample.temperature": 0.9, "sample.temperature_scales": "epsilon"},
        {**DETERMINISTIC, "sample.temperature": 0.9, "sample.eta": 0.5},
        {"sample.temperature": 0.9},
        {"train.checkpoint": "w.pt", "train.ema_rates": [0.99, 0.9], "sample.ema_rate": 0.99},
        {"train.ema_rates": [0.99, 0.9], "sample.ema_rate": 0.9},
        {"seed": 2**64 - 1},
        EDM,
        LENGTHS,
        {**ZERO_SNR, **GUIDED, "diffusion.loss": "min_snr", "diffusion.min_snr_gamma": 1.0},
    ],
)
def test_taken(overrides: dict[str, Any]) -> None:
    assert workload.resolve("digits", overrides)


@pytest.mark.parametrize(
    ("base", "overrides", "told"),
    [
        ("tiny_digits", {"diffusion.steps": 20, "sample.steps": 3}, r"^diffusion\.steps: got 20, allowed: 21 or more"),
        (
            "digits_4_to_8",
            {"upsampler.diffusion.schedule": "linear", "upsampler.diffusion.steps": 20, "upsampler.steps": 3},
            r"^upsampler\.diffusion\.steps: got 20, allowed: 21 or more with upsampler\.diffusion\.schedule linear",
        ),
        ("digits", {"sample.steps": 1}, r"^sample\.steps: 1 visits only 0 of the steps 0 to 999, .* take more steps"),
        (
            "digits",
            {"sample.steps": "1,000"},
            r"as the sections 1 and 0, .* for 1000 steps write 1000, without a comma",
        ),
        ("digits_4_to_8", {"upsampler.steps": [1]}, r"^upsampler\.steps: \[1\] visits only 0 of"),
        ("digits", {"sample.steps": "ddim300"}, r"the nearest are ddim250 and ddim334"),
        ("digits", {"sample.steps": "ddim" + "9" * 5000}, r"respacing 'ddim9{55}…': no integer stride"),
        (
            "digits",
            {"evaluate.num_reference": 1798},
            r"^evaluate\.num_reference: got 1798, but the data has 1797 images",
        ),
        (
            "digits",
            {"figures.draw": ["neighbours"], "figures.num_reference": 5000},
            r"^figures\.num_reference: got 5000, but the data has 1797 images",
        ),
    ],
)
def test_refused_at_the_path_itself(base: str, overrides: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        workload.resolve(base, overrides)


def test_as_few_steps_as_a_schedule_can_have() -> None:
    assert workload.resolve("tiny_digits", {"diffusion.steps": 21, "sample.steps": 3})
    assert workload.resolve("tiny_digits", {"diffusion.schedule": "cosine", "diffusion.steps": 2, "sample.steps": 2})


@pytest.mark.parametrize(
    "path", ["train.weight_decay", "evaluate.max_gib", "sample.guidance_scale", "train.gradient_clip"]
)
@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300, -1.0])
def test_no_number_is_infinite_or_none(path: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{path}: got \S+ \(float\), allowed: a number"):
        workload.resolve("digits", {path: value})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *[
            (path, 2**31)
            for path in ("train.iterations", "train.batch_size", "evaluate.num_samples", "sample.batch_size")
        ],
        *[("diffusion.steps", 100_001), ("model.num_res_blocks", 10**9), ("model.channel_mult", [1e300, 1.0])],
    ],
)
def test_what_would_take_for_ever_to_plan_is_refused(path: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{path}.*allowed: .*≤"):
        workload.resolve("digits", {path: value})


def classifier(folder: Path, validation: float) -> dict[str, Any]:
    return {"data.source": "folder", "data.path": str(folder), "data.crop": "centre", "data.validation": validation}


def pictures(folder: Path, classes: int, each: int) -> Path:
    for number in range(classes * each):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number % classes}_{number}.png")
    return folder


def test_a_validation_split_with_nothing_in_it(tmp_path: Path) -> None:
    """All that the number of images tells is told by validate; what the sizes of classes tell, where a run starts."""
    pictures(tmp_path, classes=4, each=3)
    with pytest.raises(ConfigError, match=r"^data\.validation: data\.validation 0\.03 of 12 images, .* holds out none"):
        workload.resolve("classifier64", classifier(tmp_path, 0.03))
    for validation, told in ((0.1, "holds out none"), (0.9, "holds out all")):
        config = workload.resolve("classifier64", {**classifier(tmp_path, validation), "model.out_channels": 4})
        (stage,) = workload.stages(config)
        assert stage.check is not None
        with pytest.raises(UserError, match=rf"data\.validation {validation} of 12 images, .*{told}"):
            load_attribute(stage.check)({**stage.config, "model": {**stage.config["model"], "image_size": 8}})
    assert workload.resolve("classifier64", classifier(tmp_path, 0.0))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            {"sample.steps": [250, 0]},
            r"sample\.steps \[250, 0\] is read as the sections 250 and 0.*pure noise at step 499",
        ),
        ({"sample.steps": "2,000"}, r"'2,000' is read as the sections 2 and 0.*for 2000 steps write 2000"),
        ({"sample.steps": [50, 50, 50, 50, 0]}, r"none at the noisy end"),
        ({"sample.steps": "ddim4"}, r"'ddim4' visits only 0, 250, 500, 750 of the steps 0 to 999, and none"),
        ({"model.attention_resolutions": [4, 5]}, r"model\.attention_resolutions 5 is never reached.* are 8, 4 pixels"),
        ({"model.num_heads": 2}, r"model\.num_heads has no effect: model\.head_channels 32 determines"),
    ],
)
def test_warned_of(overrides: dict[str, Any], told: str) -> None:
    with pytest.warns(AssayWarning, match=told):
        workload.stages(workload.resolve("digits", overrides))


@pytest.mark.parametrize("steps", [2, 1000, "", "ddim25", [90, 60, 60, 20, 20], [10, 5, 2, 2, 1], [0, 0, 0, 0, 9]])
def test_steps_that_reach_the_noisy_end_are_not_warned_of(steps: Any) -> None:
    assert workload.stages(workload.resolve("digits", {"sample.steps": steps}))


def test_a_preset_anneals_over_its_length_whatever_that_is() -> None:
    for base, path in (("classifier128", "train"), ("imagenet128_to_512", "classifier.train")):
        values: Any = workload.resolve(base, {f"{path}.iterations": 150_000})
        for name in path.split("."):
            values = values[name]
        assert TrainConfig(**values).annealed_over == 150_000
