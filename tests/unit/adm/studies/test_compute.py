"""Operations, parameters, throughput and V100-days beside the paper's (tables 7, 10 to 13)."""

from __future__ import annotations

from typing import Any

import pytest

from adm import compute, presets
from adm.config import ModelConfig
from measured_cost import measured_cost

# Parameters and forward GFLOP of one image, as counted on the published networks.
PUBLISHED = {
    "imagenet64": (295_904_454, 219.36),
    "imagenet128": (421_529_606, 613.86),
    "imagenet256": (553_838_086, 2239.67),
    "imagenet256_uncond": (552_814_086, 2239.67),
    "lsun_bedroom_256": (552_814_086, 2239.67),
    "imagenet512": (558_997_638, 3964.67),
    "upsample_64_256": (311_795_910, 1263.28),
    "upsample_128_512": (308_835_270, 5009.57),
    "classifier64": (65_438_568, None),
    "classifier128": (42_568_040, None),
    "classifier256": (54_096_360, None),
    "classifier512": (54_448_360, None),
}
TINY = ModelConfig(
    image_size=16, channels=32, channel_mult=(1, 2), num_res_blocks=1, attention_resolutions=(8,), num_classes=3
)
VARIATIONS: dict[str, dict[str, Any]] = {
    "unconditional": {"num_classes": None},
    "add": {"norm": "add"},
    "conv": {"updown": "conv"},
    "plain": {"updown": "plain"},
    "naive": {"implementation": "naive"},
    "long_attention": {"attention_resolutions": (16, 8)},
    "deep": {"num_res_blocks": 3, "num_heads": 4},
    "wide": {"channel_mult": (1, 1.5, 2), "channels": 64},
    "super_res": {"kind": "super_res", "low_res_size": 4},
    **{
        f"pool_{pool}": {"kind": "encoder", "num_classes": None, "pool": pool}
        for pool in ("attention", "adaptive", "spatial", "spatial_v2")
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_counted_and_measured_are_the_published_networks(name: str) -> None:
    parameters, gflop = PUBLISHED[name]
    cost = compute.network_cost(presets.load(name).model)
    assert cost.parameters == parameters
    assert gflop is None or round(cost.flops / 1e9, 2) == gflop
    assert cost == measured_cost(presets.load(name).model)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIATIONS)
def test_counting_is_exact_whatever_the_options(name: str) -> None:
    config = TINY.model_copy(update=VARIATIONS[name])
    assert compute.network_cost(config) == measured_cost(config)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("imagenet64", "182.3"),
        ("imagenet128", "65.2"),
        ("imagenet256", "17.9"),
        ("upsample_64_256", "31.7"),
        ("upsample_128_512", "8.0"),
    ],
)
def test_theoretical_throughput_is_table_7_to_the_printed_digit(name: str, printed: str) -> None:
    assert f"{compute.theoretical_throughput(presets.load(name).model):.1f}" == printed
    assert f"{compute.TABLE_7[name].theoretical:.1f}" == printed


IMAGENET64 = ("imagenet64", 2048)
IMAGENET128 = ("imagenet128", 256)
IMAGENET256 = ("imagenet256", 256)
TO_256 = ("upsample_64_256", 256)
TO_512 = ("upsample_128_512", 256)


@pytest.mark.parametrize(
    ("parts", "days", "printed"),
    [
        ([(*IMAGENET256, 250_000)], 115.74, 116),  # LSUN horse
        ([(*IMAGENET256, 200_000)], 92.59, 92),  # LSUN cat
        ([(*IMAGENET128, 4_360_000)], 520.91, 521),
        ([(*IMAGENET128, 450_000)], 53.76, 54),
        ([(*IMAGENET256, 1_980_000)], 916.67, 916),
        ([(*IMAGENET256, 750_000)], 347.22, 347),
        ([(*IMAGENET64, 540_000), (*TO_256, 500_000)], 328.68, 329),
        ([(*IMAGENET64, 540_000), (*TO_256, 150_000)], 219.52, 219),
        ([(*IMAGENET64, 200_000), (*TO_256, 150_000)], 110.76, 110),
        ([(*IMAGENET128, 4_360_000), (*TO_512, 1_050_000)], 1873.57, 1878),
        ([(*IMAGENET128, 500_000), (*TO_512, 100_000)], 188.56, 189),
    ],
)
def test_table_10_follows_from_table_7(parts: list[tuple[str, int, int]], days: float, printed: int) -> None:
    found = sum(
        compute.training_v100_days(iterations, batch, compute.TABLE_7[name].optimized)
        for name, batch, iterations in parts
    )
    assert found == pytest.approx(days, abs=0.01)
    assert found == pytest.approx(printed, rel=0.01)  # table 7 prints two digits


@pytest.mark.parametrize(("steps", "count"), [(250, 250), ((90, 60, 60, 20, 20), 250), ("ddim25", 25), ("10,20", 30)])
def test_sampling_costs_a_forward_pass_a_step(steps: object, count: int) -> None:
    config = presets.load("imagenet64")
    unguided = config.model_copy(
        update={"sample": config.sample.model_copy(update={"steps": steps, "guidance_scale": 0.0})}
    )
    assert compute.num_evaluations("ddpm", unguided.diffusion, unguided.sample.steps) == count
    assert compute.sampling_flops(unguided) == count * compute.network_cost(config.model).flops


def test_guidance_adds_the_classifier_and_its_gradient() -> None:
    config = presets.load("imagenet64")
    assert config.classifier is not None
    network, classifier = compute.network_cost(config.model), compute.network_cost(config.classifier.model)
    assert compute.sampling_flops(config) == 250 * (network.flops + 2 * classifier.flops)
