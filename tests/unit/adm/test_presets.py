"""The presets are the tables of appendix K."""

from __future__ import annotations

import pytest

from adm import presets
from adm.config import Config
from adm.presets import tables
from adm.workload import workload
from assay.errors import ConfigError, UserError

# Columns: channels, depth, channels multiple, heads, head channels, dropout, batch, iterations, learning rate.
TABLES_11_AND_13 = {
    "lsun_bedroom_256": (256, 2, (1, 1, 2, 2, 4, 4), None, 64, 0.1, 256, 500_000, 1e-4),
    "lsun_cat_256": (256, 2, (1, 1, 2, 2, 4, 4), None, 64, 0.1, 256, 200_000, 1e-4),
    "lsun_horse_256": (256, 2, (1, 1, 2, 2, 4, 4), None, 64, 0.1, 256, 250_000, 1e-4),
    "lsun_horse_nodropout_256": (256, 2, (1, 1, 2, 2, 4, 4), None, 64, 0.0, 256, 250_000, 1e-4),
    "imagenet64": (192, 3, (1, 2, 3, 4), None, 64, 0.1, 2048, 540_000, 3e-4),
    "imagenet128": (256, 2, (1, 1, 2, 3, 4), 4, None, 0.0, 256, 4_360_000, 1e-4),
    "imagenet256": (256, 2, (1, 1, 2, 2, 4, 4), None, 64, 0.0, 256, 1_980_000, 1e-4),
    "imagenet512": (256, 2, (0.5, 1, 1, 2, 2, 4, 4), None, 64, 0.0, 256, 1_940_000, 1e-4),
    "upsample_64_256": (192, 2, (1, 1, 2, 2, 4, 4), 4, None, 0.0, 256, 500_000, 1e-4),
    "upsample_128_512": (192, 2, (1, 1, 2, 2, 4, 4), None, 64, 0.0, 256, 1_050_000, 1e-4),
}
# Columns: depth, weight decay, batch, iterations, learning rate, schedule.
TABLE_12 = {
    "classifier64": (4, 0.2, 1024, 300_000, 6e-4, "cosine"),
    "classifier128": (2, 0.05, 256, 300_000, 3e-4, "linear"),
    "classifier256": (2, 0.05, 256, 500_000, 3e-4, "linear"),
    "classifier512": (2, 0.05, 256, 500_000, 3e-4, "linear"),
}


@pytest.mark.parametrize("name", TABLES_11_AND_13)
def test_tables_11_and_13(name: str) -> None:
    channels, depth, mult, heads, head_channels, dropout, batch, iterations, learning_rate = TABLES_11_AND_13[name]
    c = presets.load(name)
    assert (c.model.channels, c.model.num_res_blocks, c.model.channel_mult) == (channels, depth, mult)
    assert c.model.head_channels == head_channels
    assert heads is None or c.model.num_heads == heads
    assert c.model.dropout == dropout
    assert (c.train.batch_size, c.train.iterations, c.train.learning_rate) == (batch, iterations, learning_rate)
    assert (c.train.ema_rates, c.train.weight_decay) == ((0.9999,), 0.0)
    assert c.diffusion.schedule == ("cosine" if name == "imagenet64" else "linear")
    assert c.diffusion.steps == 1000
    assert (c.model.norm, c.model.updown) == ("adagn", "residual")
    assert c.model.attention_resolutions == (32, 16, 8)


@pytest.mark.parametrize("name", TABLE_12)
def test_table_12(name: str) -> None:
    depth, weight_decay, batch, iterations, learning_rate, schedule = TABLE_12[name]
    c = presets.load(name)
    assert (c.model.kind, c.model.channels, c.model.num_res_blocks, c.model.pool) == (
        "encoder",
        128,
        depth,
        "attention",
    )
    assert (c.model.head_channels, c.model.out_channels) == (64, 1000)
    assert (c.train.weight_decay, c.train.batch_size, c.train.iterations) == (weight_decay, batch, iterations)
    assert (c.train.learning_rate, c.diffusion.schedule) == (learning_rate, schedule)
    assert c.train.anneal_iterations == "iterations", "as the published training command has it"


def test_the_512_model_alone_is_sampled_in_fp32() -> None:
    fp32 = [name for name in presets.names() if presets.load(name).sample.precision == "fp32"]
    assert fp32 == ["imagenet512"], "as the published sampling commands have it"


@pytest.mark.parametrize(
    ("name", "scale"), [("imagenet64", 1.0), ("imagenet128", 0.5), ("imagenet256", 1.0), ("imagenet512", 4.0)]
)
def test_table_14(name: str, scale: float) -> None:
    c = presets.load(name)
    assert (c.sample.steps, c.sample.sampler, c.sample.guidance_scale) == (250, "ddpm", scale)
    assert c.classifier is not None
    assert c.classifier == tables.CLASSIFIERS[f"classifier{c.model.image_size}"]
    ddim = {"imagenet64": None, "imagenet128": 1.25, "imagenet256": 2.5, "imagenet512": 9.0}
    assert tables.GUIDANCE_DDIM_25_STEPS.get(name) == ddim[name]


def test_guidance_at_the_mean_is_for_ancestral_sampling() -> None:
    values = presets.load("imagenet64").model_dump()
    values["sample"].update(guidance_at="mean")
    assert Config.model_validate(values).sample.guidance_at == "mean"
    told = r"sample\.guidance_at: mean has no effect with sample\.sampler ddim: it is for ddpm"
    with pytest.raises(ConfigError, match=told):
        workload.resolve("imagenet64", {"sample.guidance_at": "mean", "sample.sampler": "ddim"})


def test_names_are_the_presets_there_are() -> None:
    small = {"tiny_digits", "digits", "cifar10"}
    two_stage = {"digits_4_to_8", "imagenet64_to_256", "imagenet128_to_512"}
    assert len(presets.names()) == 21
    assert {*TABLES_11_AND_13, *TABLE_12, "imagenet256_uncond", *small, *two_stage} == set(presets.names())
    for name in presets.names():
        assert isinstance(presets.load(name), Config)


def test_only_the_64_model_has_the_new_qkv_order() -> None:
    new = [name for name in presets.names() if presets.load(name).model.qkv_order == "new"]
    assert new == ["imagenet64", "imagenet64_to_256"]


@pytest.mark.parametrize(
    ("name", "base", "upsampler"),
    [("imagenet64_to_256", "imagenet64", "upsample_64_256"), ("imagenet128_to_512", "imagenet128", "upsample_128_512")],
)
def test_two_stages_are_a_base_model_with_its_guidance_and_the_upsampler_of_table_13(
    name: str, base: str, upsampler: str
) -> None:
    c, low, high = presets.load(name), presets.load(base), presets.load(upsampler)
    assert c.upsampler is not None
    assert c.classifier is not None
    assert low.classifier is not None
    assert (c.model, c.train, c.diffusion, c.classifier.model, c.sample) == (
        low.model,
        low.train,
        low.diffusion,
        low.classifier.model,
        low.sample.model_copy(update={"batch_size": high.sample.batch_size}),  # it needs the most memory
    )
    assert (c.upsampler.model, c.upsampler.train, c.upsampler.diffusion) == (high.model, high.train, high.diffusion)
    assert (c.upsampler.sampler, c.upsampler.steps) == ("ddpm", 250)
    assert c.image_size == high.model.image_size


def test_the_two_stages_of_512_pixels_have_the_classifier_of_table_12s_footnote() -> None:
    own, alone = presets.load("imagenet128_to_512").classifier, presets.load("imagenet128").classifier
    assert own is not None
    assert alone is not None
    assert (own.train.batch_size, own.train.learning_rate) == (1024, 6e-5)
    assert own.train.model_copy(update={"batch_size": 256, "learning_rate": 3e-4}) == alone.train
    assert presets.load("imagenet64_to_256").classifier == presets.load("imagenet64").classifier


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown preset 'imagnet64'; did you mean 'imagenet64'"):
        presets.load("imagnet64")


@pytest.mark.parametrize("name", presets.names())
def test_where_a_classifier_is_trained_its_accuracy_is_measured_except_where_the_paper_trains_on_all(name: str) -> None:
    config = presets.load(name)
    is_of_the_paper = config.data.source == "folder"
    trains_one = config.classifier is not None or config.model.kind == "encoder"
    assert (config.data.validation > 0) == (trains_one and not is_of_the_paper)


@pytest.mark.parametrize("name", presets.names())
def test_the_papers_classes_are_drawn_and_its_classifiers_not_averaged(name: str) -> None:
    """As in the published classifier_sample.py and classifier_train.py."""
    config = presets.load(name)
    is_of_the_paper = config.data.source == "folder"
    if config.model.role.stage == "train":
        assert (config.sample.labels == "drawn") == is_of_the_paper
    if config.classifier is not None:
        assert (config.classifier.train.ema_rates == (0.0,)) == is_of_the_paper


def test_the_unconditional_model_is_trained_as_long_as_table_4_says() -> None:
    assert presets.load("imagenet256_uncond").train.iterations == 2_000_000
