"""Building networks: options, errors, a fresh model's zero, the classifier's features."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from adm import presets
from adm.config import ModelConfig
from adm.models import build
from adm.models.attention import split_heads
from adm.models.layout import Attention, Res, layout
from adm.models.options import model_config

OPTIONS: dict[str, Any] = {
    "image_size": 16,
    "in_channels": 3,
    "model_channels": 32,
    "out_channels": 6,
    "num_res_blocks": 1,
    "attention_resolutions": [2],
    "channel_mult": [1, 2],
}
X, T = torch.randn(2, 3, 16, 16), torch.tensor([0, 999])


def test_a_fresh_model_returns_zero() -> None:
    out = build(kind="unet", **OPTIONS)(X, T)
    assert out.shape == (2, 6, 16, 16)
    assert not out.any()


def test_option_names_of_the_published_code_mean_what_they_mean_there() -> None:
    config = model_config("unet", {**OPTIONS, "attention_resolutions": [2, 4, 3], "num_head_channels": -1})
    assert config.attention_resolutions == (8, 4)
    assert config.head_channels is None
    assert (config.norm, config.updown, config.qkv_order) == ("add", "conv", "legacy")
    config = model_config(
        "encoder", {**OPTIONS, "use_scale_shift_norm": True, "conv_resample": False, "use_new_attention_order": True}
    )
    assert (config.norm, config.updown, config.qkv_order, config.pool) == ("adagn", "plain", "new", "adaptive")
    same = {"dims": 2, "use_fp16": False, "channel_mult": "1,2", "attention_resolutions": {2}, "num_heads_upsample": -1}
    assert model_config("unet", {**OPTIONS, **same}) == model_config("unet", OPTIONS)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("unet", {"num_head": 4}, "unknown option 'num_head'.*did you mean 'num_heads'"),
        ("unet", {"pool": "attention"}, "unknown option 'pool' for a model of kind unet"),
        ("encoder", {"num_classes": 3}, "unknown option 'num_classes'"),
        ("unets", {}, "unknown kind.*did you mean 'unet'"),
        ("unet", {"model_channels": 48}, "48 × channel_mult 1 is 48.*32 groups"),
        ("unet", {"num_heads": 3}, "64 channels cannot have 3 heads"),
        ("unet", {"num_head_channels": 48}, "head_channels 48"),
        ("unet", {"image_size": 15}, "image_size 15"),
        ("unet", {"dims": 3}, "dims is 3, but can only be 2"),
        ("unet", {"use_fp16": True}, "use_fp16 is True, but can only be False: run the network under torch.autocast"),
        ("unet", {"attention_resolutions": "32,16,8"}, "downsampling factors, such as"),
        ("unet", {"attention_resolutions": [0]}, "downsampling factors, such as"),
        ("unet", {"channel_mult": "1;2"}, "channel_mult is '1;2'"),
        ("encoder", {"pool": "max"}, "pool"),
    ],
)
def test_what_cannot_be_built_is_refused(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(kind=kind, **{**OPTIONS, **options})


def test_build_takes_one_of_config_and_kind() -> None:
    config = model_config("unet", OPTIONS)
    with pytest.raises(ValueError, match="either"):
        build()
    with pytest.raises(ValueError, match="dropout"):
        build(config, dropout=0.1)
    with pytest.raises(ValueError, match="needs the options image_size"):
        build(kind="unet")


def test_inputs_that_do_not_belong_are_refused() -> None:
    conditional = build(kind="unet", **OPTIONS, num_classes=3)
    with pytest.raises(ValueError, match="conditional on 3 classes, but y was not given"):
        conditional(X, T)
    with pytest.raises(ValueError, match="no classes, but y was given"):
        build(kind="unet", **OPTIONS)(X, T, y=T)
    with pytest.raises(ValueError, match="not an upsampler"):
        build(kind="unet", **OPTIONS)(X, T, low_res=X)
    with pytest.raises(ValueError, match="needs low_res"):
        build(kind="super_res", **OPTIONS)(X, T)
    with pytest.raises(ValueError, match="only x and t"):
        build(kind="encoder", **OPTIONS)(X, T, y=T)


def test_a_class_is_the_weight_1_among_all() -> None:
    model = build(kind="unet", **OPTIONS, num_classes=3)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    y = torch.tensor([2, 0])
    weights = torch.nn.functional.one_hot(y, 3).float()
    with torch.no_grad():
        for enabled in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                assert torch.equal(model(X, T, weights), model(X, T, y))
        blend = 0.6 * weights + 0.8 * weights[:, [2, 0, 1]]
        expected = 0.6 * model.label_emb(y) + 0.8 * model.label_emb((y + 1) % 3)
        torch.testing.assert_close(model.embed(T, blend) - model.embed(T, 0 * blend), expected, rtol=0, atol=1e-5)
    for wrong in (weights[:, :2], y[:, None]):
        with pytest.raises(ValueError, match=r"give classes as integers \(N,\), or .* \(N, 3\)"):
            model(X, T, wrong)


@pytest.mark.parametrize(
    ("pool", "width"), [("attention", 64), ("adaptive", 64), ("spatial", 2048), ("spatial_v2", 2048)]
)
def test_features_are_what_the_last_projection_reads(pool: str, width: int) -> None:
    model = build(kind="encoder", **OPTIONS, pool=pool).eval()
    last = model.out[2].c_proj if pool == "attention" else model.out[3 if pool in ("adaptive", "spatial_v2") else 2]
    with torch.no_grad():
        last.weight.normal_()
        features, logits = model.features(X, T), model(X, T)
    assert features.shape == (2, width)
    torch.testing.assert_close(features @ last.weight.flatten(1).T + last.bias, logits)


def test_dropout_acts_in_training_only() -> None:
    model = build(kind="encoder", **OPTIONS, dropout=0.5, pool="spatial")
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    assert not torch.equal(model.train()(X, T), model(X, T))
    assert torch.equal(model.eval()(X, T), model(X, T))


def test_qkv_orders() -> None:
    qkv = torch.arange(12.0).view(1, 12, 1)  # 2 heads of 2 channels
    legacy, new = split_heads(qkv, 2, "legacy"), split_heads(qkv, 2, "new")
    assert [part.flatten().tolist() for part in legacy] == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    assert [part.flatten().tolist() for part in new] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_the_layout_reads_like_the_table() -> None:
    plan = layout(presets.load("imagenet512").model)
    widths = [block[0].out_channels for block in plan.input_blocks if isinstance(block[0], Res)]
    assert (widths[0], widths[-1]) == (128, 1024)
    attended = {layer.resolution for block in plan.input_blocks for layer in block if isinstance(layer, Attention)}
    assert attended == {32, 16, 8}
    assert len(plan.output_blocks) == len(plan.input_blocks)


def test_a_resolution_the_network_never_reaches_has_no_effect() -> None:
    config = presets.load("upsample_128_512").model
    without = config.model_copy(update={"attention_resolutions": (32, 16)})
    assert layout(config).output_blocks == layout(without).output_blocks


def test_presets_layouts_and_costs_need_no_torch() -> None:
    code = "import sys, adm.presets as p, adm.compute as c, adm.models; c.network_cost(p.load('imagenet512').model)"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)


def test_small_images_of_one_channel() -> None:
    config = ModelConfig(
        image_size=8, in_channels=1, out_channels=2, channels=32, channel_mult=(1, 2), attention_resolutions=(4,)
    )
    with torch.autocast("cpu", torch.bfloat16):
        out = build(config)(torch.randn(3, 1, 8, 8), torch.rand(3) * 1000)
    assert out.shape == (3, 2, 8, 8)
    assert out.dtype == torch.float32
