"""Our U-Net and diffusers' UNet2DModel: the same function, both ways, or a refusal with every reason.

The independent source is the library itself, with random weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DModel
from torch import Tensor

from adm import checkpoints
from adm.checkpoints import unet2d
from adm.checkpoints.formats import CONFIG_JSON, read_unet2d, write_unet2d
from adm.config import ModelConfig
from adm.models import build
from adm.models.trunk import Trunk
from assay.errors import UserError

BASE = ModelConfig(image_size=16, channels=32, channel_mult=(1, 2, 2), num_res_blocks=2, attention_resolutions=(8,))
SAME: dict[str, dict[str, Any]] = {
    "AdaGN, residual resampling, learned variance": {},
    "addition, convolutions": {"norm": "add", "updown": "conv"},
    "classes, several heads": {"num_classes": 7, "head_channels": 16},
    "the new qkv order": {"qkv_order": "new", "head_channels": 32, "out_channels": 3},
    "attention first and last, convolutions": {"attention_resolutions": (16, 4), "updown": "conv"},
    "no resampling": {"channel_mult": (1,), "attention_resolutions": (16,)},
    "fractions of the first width": {"channels": 64, "channel_mult": (1, 1.5), "num_res_blocks": 1},
}
TOLERANCE = 5e-6


def random_network(config: ModelConfig) -> Trunk:
    torch.manual_seed(0)
    network = build(config).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


@torch.no_grad()
def outputs(config: ModelConfig, ours: Trunk, theirs: UNet2DModel) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x, t = torch.randn(3, config.in_channels, config.image_size, config.image_size), torch.tensor([0, 10, 999])
    y = None if config.num_classes is None else torch.tensor([1, 2, config.num_classes - 1])
    return ours(x, t, y), theirs(x, t, class_labels=y).sample


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("options", SAME.values(), ids=SAME)
def test_both_compute_the_same_from_files_written_either_way(options: dict[str, Any], tmp_path: Path) -> None:
    config = BASE.model_copy(update=options)
    network = random_network(config)
    checkpoints.save(tmp_path / "ours.safetensors", network.state_dict(), config)
    write_unet2d(tmp_path / "ours.safetensors", tmp_path / "folder")

    theirs = UNet2DModel.from_pretrained(tmp_path / "folder", low_cpu_mem_usage=False).eval()
    ours, expected = outputs(config, network, theirs)
    assert relative(ours, expected) < TOLERANCE

    theirs.save_pretrained(tmp_path / "again")
    read_unet2d(tmp_path / "again", tmp_path / "again.safetensors")
    back = checkpoints.load(tmp_path / "again.safetensors").build()
    assert back.config.qkv_order == "legacy"
    assert torch.equal(outputs(config, back.eval(), theirs)[0], outputs(config, network, theirs)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"attention_head_dim": 16, "attn_norm_num_groups": 32, "resnet_time_scale_shift": "scale_shift"},
        {"attention_head_dim": None, "num_class_embeds": 5},
        {"attention_head_dim": 64, "block_out_channels": (32, 64)},
    ],
)
def test_a_network_of_theirs_becomes_one_of_ours(options: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = UNet2DModel(
        **{
            "sample_size": 8,
            "block_out_channels": (32, 64),
            "layers_per_block": 1,
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
            "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
            **options,
        }
    ).eval()
    theirs.save_pretrained(tmp_path)
    said = read_unet2d(tmp_path, tmp_path / "ours.safetensors")
    checkpoint = checkpoints.load(tmp_path / "ours.safetensors")
    assert checkpoint.config == ModelConfig(**said["model"])  # type: ignore[arg-type]
    ours, expected = outputs(checkpoint.config, checkpoint.build().eval(), theirs)
    assert relative(ours, expected) < TOLERANCE


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        ({"updown": "plain", "rescale_skip": True}, ["updown plain", "rescale_skip true"]),
        ({"channels": 64, "channel_mult": (0.5, 1)}, ["channel_mult starts with 0.5"]),
        ({"num_heads": 2, "channel_mult": (1, 2), "attention_resolutions": (16, 8)}, ["heads of 16, 32 channels"]),
        ({"num_heads": 2, "num_heads_up": 4}, ["heads of 16, 32 channels"]),
        ({"kind": "super_res", "low_res_size": 4}, ["kind super_res: only the U-Net"]),
        ({"kind": "encoder", "out_channels": 10}, ["kind encoder: only the U-Net"]),
    ],
)
def test_other_networks_are_not_written(options: dict[str, Any], reasons: list[str], tmp_path: Path) -> None:
    config = ModelConfig(**{**BASE.model_dump(), **options})
    checkpoints.save(tmp_path / "ours.safetensors", build(config).state_dict(), config)
    with pytest.raises(UserError) as error:
        write_unet2d(tmp_path / "ours.safetensors", tmp_path / "folder")
    lines = str(error.value).splitlines()
    assert len(lines) == 1 + len(reasons)
    assert all(f"  {reason}" in line for reason, line in zip(reasons, lines[1:], strict=True))
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"flip_sin_to_cos": False}, "flip_sin_to_cos false: allowed is true, since cosines come before sines"),
        ({"freq_shift": 1}, "freq_shift 1: allowed is 0"),
        ({"norm_eps": 1e-6}, "norm_eps 1e-06: allowed is 1e-05"),
        ({"norm_num_groups": 16}, "norm_num_groups 16: allowed is 32"),
        ({"center_input_sample": True}, "center_input_sample true: allowed is false"),
        ({"time_embedding_type": "fourier"}, 'time_embedding_type "fourier": allowed is "positional"'),
        ({"time_embedding_dim": 64}, "time_embedding_dim 64: allowed is 128"),
        ({"downsample_padding": 0}, "downsample_padding 0: allowed is 1"),
        ({"add_attention": False}, "add_attention false: allowed is true"),
        ({"mid_block_type": None}, 'mid_block_type null: allowed is "UNetMidBlock2D"'),
        ({"class_embed_type": "timestep"}, 'class_embed_type "timestep": allowed is null'),
        ({"attn_norm_num_groups": None}, "attn_norm_num_groups null: allowed is 32"),
        ({"sample_size": None}, "sample_size null: allowed is the side of a square"),
        ({"resnet_time_scale_shift": "spatial"}, "resnet_time_scale_shift spatial: allowed are default, scale_shift"),
        ({"down_block_types": ["SkipDownBlock2D"] * 3}, "blocks of type SkipDownBlock2D: allowed are"),
        ({"up_block_types": ["ResnetUpsampleBlock2D"] * 3}, "attention on the way down and up is at different"),
        ({"upsample_type": "conv"}, "resolutions are resampled by conv, residual blocks"),
        ({"gated": True}, "config.json has options that are not known here: gated"),
        ({"_class_name": "Transformer2DModel"}, "config.json describes Transformer2DModel; allowed: UNet2DModel"),
    ],
)
def test_other_networks_are_not_read(options: dict[str, Any], reason: str, tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "ours.safetensors", build(BASE).state_dict(), BASE)
    write_unet2d(tmp_path / "ours.safetensors", tmp_path)
    file = tmp_path / CONFIG_JSON
    file.write_text(json.dumps({**json.loads(file.read_text()), **options}))
    with pytest.raises(UserError) as error:
        read_unet2d(tmp_path, tmp_path / "again.safetensors")
    assert reason in str(error.value)


def test_every_option_of_theirs_is_known() -> None:
    theirs = {name: value for name, value in UNet2DModel().config.items() if not name.startswith("_")}
    assert theirs == unet2d.DEFAULTS


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    theirs = unet2d.to_unet2d(build(BASE).state_dict(), BASE)
    del theirs["mid_block.attentions.0.to_q.weight"]
    theirs["conv_skip.weight"] = torch.zeros(1)
    with pytest.raises(UserError, match="in 2 keys") as error:
        unet2d.from_unet2d(theirs, BASE)
    assert "mid_block.attentions.0.to_q.weight: missing" in str(error.value)
    assert "conv_skip.weight: not in the model" in str(error.value)


def test_a_size_that_cannot_be_halved_is_told() -> None:
    options = {**unet2d.config_json(BASE), "sample_size": 9}
    with pytest.raises(UserError, match="image_size 9 cannot be halved 2 times"):
        unet2d.model_config(json.dumps(options))
